"""Quantiles by counting: a bracket that is known to hold the quantile is cut into parts until it is narrow enough.

The first bracket needs no smallest or largest value: by Cantelli's inequality the q-quantile lies between
mean - sd sqrt((1 - q) / q) and mean + sd sqrt(q / (1 - q)), with the sd of the very values (divisor n).
"""

import numpy as np

from starfish.tasks.library.summary.cells import Cell

Array = np.ndarray
CUTS = 63


def first_bracket(cell: Cell, q: float) -> tuple[float, float]:
    """(low, high] that holds the smallest value at or below which at least the part q of the values lies."""
    if cell.n == 0:
        return 0.0, 0.0
    sd = np.sqrt(cell.squares / cell.n)
    slack = 1e-9 * (sd + abs(cell.mean)) + np.finfo(float).tiny
    return cell.mean - sd * np.sqrt((1.0 - q) / q) - slack, cell.mean + sd * np.sqrt(q / (1.0 - q)) + slack


def cuts(low: Array, high: Array) -> Array:
    """Inner cutting points (..., CUTS) of brackets (...)."""
    parts = np.arange(1, CUTS + 1) / (CUTS + 1)
    return np.asarray(low[..., None] + (high - low)[..., None] * parts)


def counts_below(values: Array, points: Array) -> Array:
    """How many of the values (n,) are at or below each point."""
    ordered = np.sort(values[~np.isnan(values)])
    return np.searchsorted(ordered, points, side="right").astype(np.float64)


def narrowed(low: Array, high: Array, below: Array, rank: Array) -> tuple[Array, Array]:
    """The part of each bracket (...) that holds the value of this rank (1 is the smallest), by the counts below (..., CUTS)."""
    points = cuts(low, high)
    place = (below < rank[..., None]).sum(axis=-1)
    edges = np.concatenate([low[..., None], points, high[..., None]], axis=-1)
    return (
        np.take_along_axis(edges, place[..., None], axis=-1)[..., 0],
        np.take_along_axis(edges, place[..., None] + 1, axis=-1)[..., 0],
    )


def rank_of(q: float, n: float) -> float:
    """The quantile is the value of this rank (inverse of the distribution function, R's type 1)."""
    return max(1.0, float(np.ceil(q * n - 1e-9)))
