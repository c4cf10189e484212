"""Standardised columns: all fits run on them, and are mapped back at the end.

With an intercept z = (x - mean) / sd by the pooled values; without one z = x / sd, since there is nothing to take the means up.
"""

from dataclasses import dataclass

import numpy as np

from starfish.tasks.formula import Formula
from starfish.tasks.likelihood.state import State

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where parameters stand. A site's own are (intercept, slopes); the pooled ones have an intercept for each site where
    `sites` > 1 (site: fixed), first of all."""

    formula: Formula
    sites: int

    @property
    def intercept(self) -> bool:
        return self.formula.intercept

    @property
    def slopes(self) -> int:
        return len(self.formula.columns) - self.intercept

    @property
    def local(self) -> int:
        """Parameters that a site's sums speak of."""
        return len(self.formula.columns)

    @property
    def pooled(self) -> int:
        return self.slopes + (self.sites if self.intercept else 0)

    def indices(self, place: int) -> Array:
        """The pooled positions of the parameters of the site at `place`."""
        slopes = np.arange(self.pooled - self.slopes, self.pooled)
        own = [place if self.sites > 1 else 0] if self.intercept else []
        return np.concatenate([np.array(own, dtype=np.int64), slopes])

    def names(self) -> list[str]:
        """Of the pooled parameters, in their order."""
        columns = [column.name for column in self.formula.columns]
        own = [f"site {number + 1}" for number in range(self.sites)] if self.sites > 1 else ["(Intercept)"]
        return (own + columns[1:]) if self.intercept else columns


def standardised(x: Array, layout: Layout, state: State) -> Array:
    """The design (n, p) of standardised columns."""
    sd = state.arrays["sd"]
    if not layout.intercept:
        return np.asarray(x / sd)
    z = np.empty_like(x)
    z[:, 0] = 1.0
    z[:, 1:] = (x[:, 1:] - state.arrays["mean"]) / sd
    return z


def back(layout: Layout, state: State) -> Array:
    """The matrix (p, p) that maps pooled parameters of standardised columns to those of the columns as they are."""
    matrix = np.eye(layout.pooled)
    slopes = np.arange(layout.pooled - layout.slopes, layout.pooled)
    matrix[slopes, slopes] = 1.0 / state.arrays["sd"]
    if layout.intercept:
        for own in range(layout.pooled - layout.slopes):
            matrix[own, slopes] = -state.arrays["mean"] / state.arrays["sd"]
    return matrix
