"""The tables of a summary."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from starfish.tasks.api import TaskReport
from starfish.tasks.library.summary.comparisons import category_smd, category_tests, numeric_smd, numeric_tests
from starfish.tasks.payload import Payload, number

if TYPE_CHECKING:
    from starfish.tasks.library.summary.task import SummaryStatistics

INCOMPLETE = "site withheld"


def summary_report(task: "SummaryStatistics", model: Payload) -> TaskReport:
    """Tables `variables`, `levels` and, with groups, `tests`."""
    tables: dict[str, Any] = {"variables": list(_numeric(task, model)), "levels": list(_levels(task, model))}
    if task.config.group:
        tables["tests"] = list(_tests(task, model))
    done = model.meta["stage"] == "done"
    warnings = [] if done else ["Some quantiles' brackets are wider than asked for: total_round was reached."]
    if model.arrays["closed"].any():
        warnings.append("Some quantiles' brackets are wider than asked for: few values of a site lie within them, and it withholds these.")
    return TaskReport(
        converged=done,
        fit={"n": int(model.arrays["rows"].sum())},
        tables={name: rows for name, rows in tables.items() if rows},
        warnings=warnings,
        methods="Means and standard deviations were pooled from the sites' own (Chan's merge); quantiles were found by counting, "
        "to the bracket that is given.",
    )


def _groups(task: "SummaryStatistics") -> list[tuple[str | None, int | None]]:
    """What a table has rows for: all rows, then each group."""
    named = [(level, code) for code, level in enumerate(task.groups)] if task.config.group else []
    return [(None, None), *named]


def _numeric(task: "SummaryStatistics", model: Payload) -> Iterator[dict[str, Any]]:
    arrays = model.arrays
    known = task.numeric_known(arrays)
    for place, name in enumerate(task.numeric):
        variable = task.study.variables[name]
        if not known[place]:
            yield {"variable": name, "unit": variable.unit, "group": None, "incomplete": INCOMPLETE}
            continue
        for label, code in _groups(task):
            cell = task.cell(arrays, place, code)
            size = float(arrays["rows"].sum() if code is None else arrays["rows"][code])
            row: dict[str, Any] = {"variable": name, "unit": variable.unit, "group": label, "n": int(cell.n), "missing": int(size - cell.n)}
            row |= {"mean": number(cell.mean), "sd": number(cell.sd)}
            brackets = len(task.groups) if code is None else code
            for place_q, q in enumerate(task.config.quantiles):
                low, high = (float(arrays[end][place, brackets, place_q]) for end in ("low", "high"))
                row |= _quantile(
                    f"q{100 * q:.12g}", low, high, exact=variable.type == "integer", known=cell.n > 0, mean=cell.mean, one=not cell.squares
                )
            if task.config.min_max and code is None:
                row |= {"min": number(arrays["extremes"][place, 0]), "max": number(arrays["extremes"][place, 1])}
            yield row


def _quantile(name: str, low: float, high: float, *, exact: bool, known: bool, mean: float, one: bool) -> dict[str, Any]:
    """The quantile and its bracket; the value itself where just one is possible."""
    if not known:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    if one:
        low = high = mean
    elif exact and np.floor(high) - np.floor(low) == 1:
        low = high = float(np.floor(high))
    return {name: (low + high) / 2.0, f"{name}_low": low, f"{name}_high": high}


def _levels(task: "SummaryStatistics", model: Payload) -> Iterator[dict[str, Any]]:
    for name, withheld in zip(task.levelled, model.arrays["withheld"][len(task.numeric) :], strict=True):
        if withheld:
            yield {"variable": name, "level": None, "group": None, "incomplete": INCOMPLETE}
            continue
        counts = model.arrays[f"levels:{name}"]
        for label, code in _groups(task):
            row = counts.sum(axis=0) if code is None else counts[code]
            total = row[:-1].sum()
            for level, count in zip(task.study.variables[name].values, row[:-1], strict=True):
                share = number(count / total) if total else None
                yield {"variable": name, "level": level, "group": label, "count": int(count), "share": share, "missing": int(row[-1])}


def _tests(task: "SummaryStatistics", model: Payload) -> Iterator[dict[str, Any]]:
    groups = len(task.groups)
    told = model.arrays["withheld"] == 0
    for place, name in enumerate(task.numeric):
        if not told[place]:
            continue
        cells = [task.cell(model.arrays, place, code) for code in range(groups)]
        yield from ({"variable": name, **row, "smd": number(numeric_smd(cells))} for row in numeric_tests(cells))
    for place, name in enumerate(task.levelled, start=len(task.numeric)):
        if not told[place]:
            continue
        counts = model.arrays[f"levels:{name}"][:groups, :-1]
        yield from ({"variable": name, **row, "smd": number(category_smd(counts))} for row in category_tests(counts))
