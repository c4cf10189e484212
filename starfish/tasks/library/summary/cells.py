"""Counts and moments of numeric variables, by group: one cell for each variable and group, merged over sites."""

from dataclasses import dataclass

import numpy as np

from starfish.tasks.summation import PooledMoments

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Cell:
    """n, mean and centred sum of squares."""

    n: float
    mean: float
    squares: float

    @property
    def variance(self) -> float:
        """Sample variance; NaN below two values."""
        return self.squares / (self.n - 1.0) if self.n > 1 else float("nan")

    @property
    def sd(self) -> float:
        return float(np.sqrt(self.variance))


def local_cells(values: Array, group: Array, groups: int) -> Array:
    """(groups, 3): n, mean, centred sum of squares of the values (n,) that are not missing, by group code (n,)."""
    present = ~np.isnan(values)
    cells = np.zeros((groups, 3))
    for code in range(groups):
        chosen = values[present & (group == code)]
        if len(chosen):
            mean = chosen[0] + (chosen - chosen[0]).mean()
            cells[code] = len(chosen), mean, float(((chosen - mean) ** 2).sum())
    return cells


def merged(cells: Array) -> Cell:
    """One cell out of several, rows of (k, 3)."""
    pooled = PooledMoments(diagonal=True)
    for n, mean, squares in cells:
        if n:
            pooled.merge(float(n), np.array([mean]), np.array([squares]))
    if not pooled.weight:
        return Cell(n=0.0, mean=float("nan"), squares=float("nan"))
    return Cell(n=pooled.weight, mean=float(pooled.mean[0]), squares=float(pooled.cross[0]))
