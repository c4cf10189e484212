"""Sums over sites that do not depend on how the rows were dealt: compensated sums, and moments by Chan's merge."""

from dataclasses import dataclass, field

import numpy as np

from starfish.tasks.blocks import ITEMS, blocks, give_back

Array = np.ndarray
SPLITTER = 2.0**27 + 1.0
LARGEST, SMALLEST = 1e100, 1e-100
"""Of larger values the squares and their sums may not be finite, and of columns of smaller ones they may be 0."""


class CompensatedSum:
    """A running sum of arrays of one shape, kept as an unevaluated pair: the error is below one rounding of the total.

    Besides the pair, nothing of the arrays' size is held; a term is read once, block by block, and not kept. Source: Neumaier
    (1974), "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", element by element; the error of an addition by
    Knuth's TwoSum, which is the same number without asking which term is the larger.
    """

    def __init__(self) -> None:
        self._high: Array | None = None
        self._low: Array | None = None

    def add(self, term: Array | float) -> None:
        """Raises ValueError where `term` is of another shape than the ones before."""
        term = np.asarray(term, dtype=np.float64)
        if self._high is None or self._low is None:
            self._high, self._low = np.array(term, order="C"), np.zeros(term.shape)
            give_back(term)
            return
        if term.shape != self._high.shape:
            raise ValueError(f"an array of shape {term.shape} can't be added to ones of shape {self._high.shape}")
        highs, lows = self._high.reshape(-1), self._low.reshape(-1)
        totals, shares, errors = (np.empty(min(term.size, ITEMS)) for _ in range(3))
        for place, block in blocks(term):
            high, low, size = highs[place], lows[place], len(block)
            total = np.add(high, block, out=totals[:size])
            share = np.subtract(total, high, out=shares[:size])
            error = np.subtract(total, share, out=errors[:size])
            np.subtract(high, error, out=error)
            np.subtract(block, share, out=share)
            np.add(error, share, out=error)
            np.add(low, error, out=low)
            high[:] = total

    @property
    def total(self) -> Array:
        """The sum; raises ValueError where nothing was added."""
        high, low = self._pair()
        return np.asarray(high + low)

    def mean(self, terms: int) -> Array:
        """The sum divided by the number of terms: where all are equal, it is that term to the last bit. Terms are below 1e290.

        The quotient's remainder is taken exactly (Dekker's splitting) and divided once more. The mean takes the sum's place in
        memory: there is no sum any more.
        """
        mean, low = self._pair()
        self._high = self._low = None
        lows = low.reshape(-1)
        for place, high in blocks(mean):
            quotient = (high + lows[place]) / terms
            split = quotient * SPLITTER
            upper = split - (split - quotient)
            left = ((high - upper * terms) - (quotient - upper) * terms) + lows[place]
            np.add(quotient, left / terms, out=high)
        return mean

    def _pair(self) -> tuple[Array, Array]:
        if self._high is None or self._low is None:
            raise ValueError("nothing was added")
        return self._high, self._low


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
