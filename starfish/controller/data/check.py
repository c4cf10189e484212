"""What `dataset check` says: every broken rule, and hints at values that look like something else than they are taken for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from starfish.controller.data.mapping import Mapping
from starfish.controller.data.sources import Table
from starfish.controller.data.typing import type_variable
from starfish.controller.data.values import EPOCH
from starfish.tasks.formula.eligibility import missing
from starfish.tasks.study import Study, Variable

SPIKES = (0, 9, 99, 999, 9999, -1, -9, -99, -999, 88, 888)
UNITS = {
    10.0: "a decimal place, or centimetres and millimetres",
    100.0: "centimetres and metres, or percent and fractions",
    1000.0: "grams and kilograms, or g/L and mg/L",
    2.2046: "kilograms and pounds",
    2.54: "centimetres and inches",
    18.016: "mmol/L and mg/dL of glucose",
    38.67: "mmol/L and mg/dL of cholesterol",
    88.57: "mmol/L and mg/dL of triglycerides",
    88.42: "mg/dL and µmol/L of creatinine",
    17.1: "mg/dL and µmol/L of bilirubin",
    365.25: "years and days",
    30.44: "months and days",
    12.0: "years and months",
}
STILL_NUMBERS = ("out-of-range", "not-whole")
"""Problems that another unit or a code for missing may explain."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about a variable. `text` is for the site's own people: it may name lines and values."""

    severity: Literal["problem", "hint"]
    variable: str
    code: str
    text: str


def check(table: Table, study: Study, mapping: Mapping) -> list[Finding]:
    """All problems, then all hints."""
    problems: list[Finding] = []
    hints: list[Finding] = []
    for name, variable in study.variables.items():
        values, found = type_variable(table, name, variable, mapping.variables[name])
        problems += [Finding(severity="problem", variable=name, code=one.code, text=one.private) for one in found]
        if all(one.code in STILL_NUMBERS for one in found):
            hints += [Finding(severity="hint", variable=name, code=code, text=f"{name}: {text}") for code, text in _hints(values, variable)]
    return problems + hints


def _hints(values: np.ndarray, variable: Variable) -> Iterator[tuple[str, str]]:
    gone = missing(values)
    if gone.all():
        yield "all-missing", "every value is missing; tasks that read it will use no row of this dataset."
        return
    known = values[~gone]
    if len(known) > 1 and (known == known[0]).all():
        yield "constant", "it has the same value in every row."
    if variable.type in ("number", "integer"):
        yield from _spikes(known)
        yield from _units(known, variable)
    if variable.type == "date":
        yield from _dates(known)


def _spikes(values: np.ndarray) -> Iterator[tuple[str, str]]:
    """Codes for "unknown" stand apart: further from the rest than the rest's middle half is wide."""
    for code in SPIKES:
        rest = values[values != code]
        count = len(values) - len(rest)
        if count == 0 or len(rest) < 4:
            continue
        low, high = np.quantile(rest, [0.25, 0.75])
        gap = rest.min() - code if code < rest.min() else code - rest.max()
        if gap > max(high - low, 0):
            yield (
                "spike",
                (
                    f"{count} value{'s are' if count > 1 else ' is'} {code}, far from all others ({rest.min():g} to {rest.max():g}). "
                    f"If {code} means missing, say so: missing: [{code}] in the mapping, or missing_codes in the project."
                ),
            )


def _units(values: np.ndarray, variable: Variable) -> Iterator[tuple[str, str]]:
    """Values outside the project's range that another unit would bring inside; or two groups apart by a unit's ratio."""
    low, high = variable.min, variable.max
    if low is not None and high is not None and np.mean((values < low) | (values > high)) > 0.5:
        for ratio, what in UNITS.items():
            for factor in (ratio, 1 / ratio):
                if np.mean((values * factor >= low) & (values * factor <= high)) > 0.9:
                    yield "unit", f"most values fit the project's range once multiplied by {factor:.4g} ({what}): factor: {factor:.4g}?"
                    return
    positive = np.unique(values[values > 0])
    if len(positive) < 8:
        return
    jumps = positive[1:] / positive[:-1]
    place = int(np.argmax(jumps))
    lower, upper = values[(values > 0) & (values <= positive[place])], values[values >= positive[place + 1]]
    ratio = float(np.median(upper) / np.median(lower))
    near = [(known, what) for known, what in UNITS.items() if known > 5 and abs(ratio / known - 1) < 0.2]
    if near and jumps[place] > 2 and min(len(lower), len(upper)) >= max(3, 0.01 * len(values)):
        yield (
            "unit",
            (
                f"the values fall into two groups, around {np.median(lower):g} and {np.median(upper):g}, "
                f"about {near[0][0]:g} apart: {near[0][1]} in one column?"
            ),
        )


def _dates(values: np.ndarray) -> Iterator[tuple[str, str]]:
    today = float(date.today().toordinal() - EPOCH)
    future, early = values > today, values < float(date(1900, 1, 1).toordinal() - EPOCH)
    if future.any():
        yield "future", f"{int(future.sum())} dated in the future."
    if early.any():
        yield "early", f"{int(early.sum())} dated before 1900."
