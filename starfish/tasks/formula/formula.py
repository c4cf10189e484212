"""A parsed formula: its columns, and its design matrix for a site's rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.formula.expressions import Array, Expression, Moments, Plain, Shifted, complete
from starfish.tasks.formula.factors import Category, Factor
from starfish.tasks.formula.syntax import Parsed, Parser
from starfish.tasks.formula.terms import Column, columns
from starfish.tasks.study import Study


@dataclass(frozen=True, kw_only=True)
class Formula:
    """What a formula says; immutable, and made by `parse` alone.

    `offset` holds the spellings of offset(…), `strata`, `cluster` and `random` the variables of these terms, `variables` all
    that is read, the outcome first; `moments` the variables in center() and scale(), whose pooled mean and sd `design` is given.
    """

    text: str
    response: str | None
    survival: tuple[str, str] | None
    intercept: bool
    columns: tuple[Column, ...]
    offset: tuple[str, ...]
    strata: tuple[str, ...]
    cluster: tuple[str, ...]
    random: tuple[str, ...]
    variables: tuple[str, ...]
    moments: tuple[str, ...]
    _response: Expression | None = field(repr=False)
    _offsets: tuple[Expression, ...] = field(repr=False)

    def design(self, rows: Rows, moments: Mapping[str, tuple[float, float]] | None = None) -> Array:
        """The design matrix, float64 of shape (n, len(columns)). Raises SiteRefusal where a transform has no value."""
        made = np.ones((rows.n, len(self.columns)), dtype=np.float64)
        values: dict[Factor, Array] = {}
        for place, column in enumerate(self.columns):
            for factor, index in column.parts:
                if factor not in values:
                    values[factor] = _values(factor, rows, moments or {})
                with np.errstate(over="ignore", invalid="ignore"):
                    made[:, place] *= values[factor] == index if isinstance(factor, Category) else values[factor][:, index]
        return made

    def without_pooled(self) -> "Formula":
        """The same without all that stands in center() and scale(): what the rows say before pooled means are known."""
        columns = tuple(replace(column, parts=tuple(part for part in column.parts if not _pooled(part[0]))) for column in self.columns)
        offsets = tuple(offset for offset in self._offsets if not _shifted(offset))
        return replace(self, columns=columns, moments=(), _offsets=offsets)

    def response_values(self, rows: Rows) -> Array:
        """The outcome, float64 of shape (n,): 0 and 1 for a binary one, the level's index for a category."""
        if self._response is None:
            raise ValueError("this formula has no outcome but Surv(time, event), or none")
        return self._response.values(rows, {}).astype(np.float64)

    def survival_values(self, rows: Rows) -> tuple[Array, Array]:
        """Time and event of Surv(time, event), each float64 of shape (n,)."""
        if self.survival is None:
            raise ValueError("this formula has no Surv(time, event)")
        time, event = self.survival
        return complete(rows, time).astype(np.float64), complete(rows, event).astype(np.float64)

    def offset_values(self, rows: Rows, moments: Mapping[str, tuple[float, float]] | None = None) -> Array:
        """The sum of all offsets, float64 of shape (n,); zeros where there is none."""
        return sum((offset.values(rows, moments or {}) for offset in self._offsets), start=np.zeros(rows.n))


def parse(text: str, study: Study) -> Formula:
    """Read a formula. Raises InvalidTask (code "formula"), which names the place and what is allowed there."""
    parser = Parser(text, study)
    parsed = parser.parse()
    made = columns(parsed.terms, order=parsed.factors, intercept=parsed.intercept, refuse=parser.refuse_whole)
    if not made:
        parser.refuse_whole("it makes no column; leave the intercept in, as disease ~ 1")
    return Formula(
        text=text,
        response=parsed.response.variable if parsed.response else None,
        survival=parsed.survival,
        intercept=parsed.intercept,
        columns=made,
        offset=tuple(offset.text for offset in parsed.offsets),
        strata=_once(parsed.strata),
        cluster=_once(parsed.cluster),
        random=_once(parsed.random),
        variables=tuple(parsed.read),
        moments=_moments(parsed),
        _response=parsed.response,
        _offsets=tuple(parsed.offsets),
    )


def _values(factor: Factor, rows: Rows, moments: Moments) -> Array:
    return factor.codes(rows) if isinstance(factor, Category) else factor.values(rows, moments)


def _moments(parsed: Parsed) -> tuple[str, ...]:
    """The variables in center() and scale(), which stand in numeric factors, splines and offsets, at any depth."""
    expressions = [factor.expression for term in parsed.terms for factor in term if not isinstance(factor, Category)]
    return _once([name for expression in [*expressions, *parsed.offsets] for name in _shifted(expression)])


def _pooled(factor: Factor) -> bool:
    return not isinstance(factor, Category) and bool(_shifted(factor.expression))


def _shifted(expression: Expression) -> list[str]:
    while not isinstance(expression, Plain | Shifted):
        expression = expression.of
    return [expression.variable] if isinstance(expression, Shifted) else []


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
