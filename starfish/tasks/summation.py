"""Sums over sites that do not depend on how the rows were dealt: compensated sums, and moments by Chan's merge."""

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
LARGEST, SMALLEST = 1e100, 1e-100
"""Of larger values the squares and their sums may not be finite, and of columns of smaller ones they may be 0."""


class CompensatedSum:
    """A running sum of arrays of one shape, kept as an unevaluated pair: the error is below one rounding of the total.

    Source: Neumaier (1974), "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", element by element.
    """

    def __init__(self) -> None:
        self._high: Array | None = None
        self._low: Array | None = None

    def add(self, term: Array | float) -> None:
        term = np.asarray(term, dtype=np.float64)
        if self._high is None or self._low is None:
            self._high, self._low = term.copy(), np.zeros_like(term)
            return
        total = self._high + term
        larger = np.abs(self._high) >= np.abs(term)
        self._low = self._low + np.where(larger, (self._high - total) + term, (term - total) + self._high)
        self._high = total

    @property
    def total(self) -> Array:
        """The sum; raises ValueError where nothing was added."""
        if self._high is None or self._low is None:
            raise ValueError("nothing was added")
        return np.asarray(self._high + self._low)


@dataclass
class PooledMoments:
    """Weight, means and centred cross-products of several groups of rows, merged one by one.

    Source: Chan, Golub, LeVeque (1983), "Algorithms for computing the sample variance", extended to cross-products.
    `cross` has shape (q, q); with `diagonal` alone it has shape (q,).
    """

    diagonal: bool = False
    weight: float = 0.0
    mean: Array = field(default_factory=lambda: np.zeros(0))
    cross: Array = field(default_factory=lambda: np.zeros(0))

    def merge(self, weight: float, mean: Array, cross: Array) -> None:
        """One more group: total weight (scalar), mean (q,), sums of squares (q,) or cross-products (q, q) about that mean."""
        if weight == 0.0 and self.mean.size:
            return
        if self.weight == 0.0:
            self.weight, self.mean, self.cross = weight, mean.copy(), cross.copy()
            return
        total = self.weight + weight
        shift = mean - self.mean
        between = shift * shift if self.diagonal else np.outer(shift, shift)
        self.cross = self.cross + cross + between * (self.weight * weight / total)
        self.mean = self.mean + shift * (weight / total)
        self.weight = total


def size_fault(values: Array) -> str | None:
    """Why these values can't be squared and added, if they can't; NaN is left out."""
    largest = float(np.fmax.reduce(np.abs(values), initial=0.0))
    if largest > LARGEST:
        return "a value is too large to compute with; look at its unit"
    return "all values are too small to compute with; look at their unit" if 0.0 < largest < SMALLEST else None


def local_moments(values: Array, weights: Array, *, diagonal: bool) -> tuple[float, Array, Array]:
    """Total weight, means (q,) and centred sums of squares (q,) or cross-products (q, q) of `values` (n, q)."""
    weight = float(weights.sum())
    if weight == 0.0:
        size = values.shape[1]
        return 0.0, np.zeros(size), np.zeros(size if diagonal else (size, size))
    mean = values[0] + weights @ (values - values[0]) / weight
    centred = values - mean
    cross = weights @ (centred * centred) if diagonal else centred.T @ (centred * weights[:, None])
    return weight, mean, cross
