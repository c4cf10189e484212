"""Numbers made of one variable: the variable itself, log, exp, sqrt, a power, or centred by pooled values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Union

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.errors import SiteRefusal

Array = np.ndarray
Moments = Mapping[str, tuple[float, float]]
Transform = Literal["log", "exp", "sqrt"]
Shift = Literal["center", "scale"]


@dataclass(frozen=True)
class Plain:
    """A variable as it is."""

    variable: str

    @property
    def text(self) -> str:
        return self.variable

    def values(self, rows: Rows, moments: Moments) -> Array:
        return complete(rows, self.variable)


@dataclass(frozen=True)
class Transformed:
    """log, exp or sqrt of an expression."""

    function: Transform
    of: "Expression"

    @property
    def text(self) -> str:
        return f"{self.function}({self.of.text})"

    @property
    def variable(self) -> str:
        return self.of.variable

    def values(self, rows: Rows, moments: Moments) -> Array:
        given = self.of.values(rows, moments)
        with np.errstate(all="ignore"):
            made = FUNCTIONS[self.function](given)
        return _finite(self, given, made)


@dataclass(frozen=True)
class Power:
    """I(x^k), k fixed in the formula."""

    of: "Expression"
    exponent: float

    @property
    def text(self) -> str:
        return f"I({self.of.text}^{plain_number(self.exponent)})"

    @property
    def variable(self) -> str:
        return self.of.variable

    def values(self, rows: Rows, moments: Moments) -> Array:
        given = self.of.values(rows, moments)
        with np.errstate(all="ignore"):
            made = given**self.exponent
        return _finite(self, given, made)


@dataclass(frozen=True)
class Shifted:
    """center(x) = x - mean, scale(x) = (x - mean) / sd: by the pooled values, never by the site's own."""

    function: Shift
    variable: str

    @property
    def text(self) -> str:
        return f"{self.function}({self.variable})"

    def values(self, rows: Rows, moments: Moments) -> Array:
        if self.variable not in moments:
            raise ValueError(f"the pooled mean and sd of {self.variable} are needed for {self.text}")
        mean, sd = moments[self.variable]
        centred: Array = complete(rows, self.variable) - mean
        return centred if self.function == "center" else centred / sd


Expression = Union[Plain, Transformed, Power, Shifted]  # noqa: UP007 (a name for mypy and for people)
"""A number for each row; its `text` is its canonical spelling, which is also its column's name."""

FUNCTIONS: Mapping[Transform, Callable[[Array], Array]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt}


def complete(rows: Rows, variable: str) -> Array:
    """A column without missing values; a missing one here is a mistake in the program, not in the data."""
    column = rows.columns[variable]
    missing = column < 0 if column.dtype.kind == "i" else np.isnan(column)
    if missing.any():
        raise ValueError(f"{variable} is missing in some of these rows; a formula reads complete rows")
    return column


def plain_number(value: float) -> str:
    """2 for 2.0, 0.5 for 0.5."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def refuse_rows(expression: Expression, rule: str, wrong: Array, given: Array) -> SiteRefusal:
    """The refusal for the rows where `wrong` holds: how many in public, which ones and their values in private."""
    count = int(wrong.sum())
    said = f"{expression.variable}: {rule} in {count} row{'s' if count > 1 else ''}"
    first = ", ".join(f"row {row + 1}: {given[row]:g}" for row in np.flatnonzero(wrong)[:5])
    private = f"{said} (counted among the complete rows, {first}{', …' if count > 5 else ''})"
    return SiteRefusal(f"{said}.", code="formula-values", private=f"{private}.", variable=expression.variable)


def _finite(expression: Expression, given: Array, made: Array) -> Array:
    wrong = ~np.isfinite(made)
    if wrong.any():
        raise refuse_rows(expression, f"{expression.text} is no number", wrong, given)
    return made
