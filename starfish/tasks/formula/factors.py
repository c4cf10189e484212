"""What terms are products of: numeric factors (one or more columns of numbers) and categories (coded from the project's levels)."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.formula.expressions import Array, Expression, Moments, complete, plain_number, refuse_rows
from starfish.tasks.formula.splines import b_spline, natural_spline

SplineKind = Literal["ns", "bs"]


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """One column: an expression's values."""

    expression: Expression
    categorical: ClassVar[bool] = False

    @property
    def text(self) -> str:
        return self.expression.text

    @property
    def variable(self) -> str:
        return self.expression.variable

    @property
    def names(self) -> tuple[str, ...]:
        return (self.text,)

    def values(self, rows: Rows, moments: Moments) -> Array:
        return self.expression.values(rows, moments).astype(np.float64)[:, None]


@dataclass(frozen=True, kw_only=True)
class Spline:
    """A spline's basis on explicit knots: `ns` natural cubic, `bs` B-spline; both without the constant, as R's."""

    kind: SplineKind
    expression: Expression
    knots: tuple[float, ...]
    bounds: tuple[float, float]
    degree: int = 3
    categorical: ClassVar[bool] = False

    @property
    def text(self) -> str:
        arguments = [self.expression.text]
        if self.knots:
            arguments.append(f"knots={_list(self.knots)}")
        if self.degree != 3:
            arguments.append(f"degree={self.degree}")
        return f"{self.kind}({', '.join(arguments)}, bounds={_list(self.bounds)})"

    @property
    def variable(self) -> str:
        return self.expression.variable

    @property
    def names(self) -> tuple[str, ...]:
        width = len(self.knots) + (1 if self.kind == "ns" else self.degree)
        return tuple(f"{self.text}[{number + 1}]" for number in range(width))

    def values(self, rows: Rows, moments: Moments) -> Array:
        given = self.expression.values(rows, moments)
        if self.kind == "ns":
            return natural_spline(given, self.knots, self.bounds)
        outside = (given < self.bounds[0]) | (given > self.bounds[1])
        if outside.any():
            low, high = (plain_number(bound) for bound in self.bounds)
            raise refuse_rows(self.expression, f"{self.expression.text} lies outside the spline's bounds {low} to {high}", outside, given)
        return b_spline(given, self.knots, self.bounds, self.degree)


@dataclass(frozen=True, kw_only=True)
class Category:
    """A variable's levels as indicator columns: all of them, or all but the reference. `written` is C(…) where it was."""

    variable: str
    levels: tuple[str, ...]
    reference: int
    written: str
    categorical: ClassVar[bool] = True

    @property
    def text(self) -> str:
        return self.written

    @cached_property
    def contrasts(self) -> tuple[int, ...]:
        """The codes of the levels after the reference."""
        return tuple(code for code in range(len(self.levels)) if code != self.reference)

    @cached_property
    def all(self) -> tuple[int, ...]:
        """All codes, the reference first."""
        return (self.reference, *self.contrasts)

    def name(self, code: int) -> str:
        return f"{self.variable}[{self.levels[code]}]"

    def codes(self, rows: Rows) -> Array:
        return complete(rows, self.variable)


Factor = Numeric | Spline | Category


def _list(numbers: tuple[float, ...]) -> str:
    return f"c({', '.join(plain_number(number) for number in numbers)})" if len(numbers) > 1 else plain_number(numbers[0])
