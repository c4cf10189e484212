"""Cells of a site's rows: every level, every pair of levels, and columns that are the same in all rows but a few."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from starfish.tasks.disclosure import Cell

Array = np.ndarray
BLOCK = 1 << 13
"""Rows that are sorted at a time: of many rows and levels the table of all would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A column of numbers (n,); `term` says in public what it is of, `name` which column."""

    term: str
    name: str
    values: Array


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What rows are sorted by: a variable, or a column. `codes` (n,), an index of `levels`, or outside where missing."""

    term: str
    name: str
    codes: Array
    levels: Sequence[str]


def cells_of(factors: Sequence[Factor]) -> Iterator[Cell]:
    """The cells that are not empty of every factor, and of every pair of factors: the pairs stand in an information matrix."""
    owners = [factor for factor in factors for _ in factor.levels]
    names = [f"{factor.name} = {level}" for factor in factors for level in factor.levels]
    if not names:
        return
    counts = np.zeros((len(names), len(names)))
    for start in range(0, len(factors[0].codes), BLOCK):
        counts += _pairs(factors, slice(start, start + BLOCK))
    for one, other in zip(*np.nonzero(np.triu(counts)), strict=True):
        pair = owners[one] is not owners[other]
        yield Cell(
            variables=", ".join(dict.fromkeys((owners[one].term, owners[other].term))),
            name=f"{names[one]} and {names[other]}" if pair else names[one],
            rows=int(counts[one, other]),
        )


def _pairs(factors: Sequence[Factor], rows: slice) -> Array:
    held = np.column_stack([factor.codes[rows] == code for factor in factors for code in range(len(factor.levels))]).astype(np.float64)
    return np.asarray(held.T @ held)


def two_valued(columns: Sequence[Measured]) -> Iterator[Factor]:
    """The columns that take two values: indicators, products of indicators, and whatever else comes to one."""
    for column in columns:
        low, high = column.values.min(), column.values.max()
        if low < high and ((column.values == low) | (column.values == high)).all():
            codes = (column.values == high).astype(np.int64)
            yield Factor(term=column.term, name=column.name, codes=codes, levels=(f"{low:g}", f"{high:g}"))


def exceptions(columns: Sequence[Measured]) -> Iterator[Cell]:
    """Of each column the rows that do not have its commonest value, where it is not the same in all."""
    for column in columns:
        commonest = int(np.unique(column.values, return_counts=True)[1].max(initial=0))
        if commonest < len(column.values):
            name = f"{column.name} other than its commonest value"
            yield Cell(variables=column.term, name=name, rows=len(column.values) - commonest)


def largest_share(squares: Array) -> float:
    """The largest part of a sum (n,), none of whose terms is negative, that is one term; 0 of nothing."""
    total = float(squares.sum())
    return float(squares.max(initial=0.0)) / total if total > 0 else 0.0


def effective_number(weights: Array) -> float:
    """So many equal weights would be spread as these are: (sum)² / sum of squares. Source: Kish (1965), Survey Sampling."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
