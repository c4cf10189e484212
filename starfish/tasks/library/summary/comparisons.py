"""Comparisons of groups from their counts and moments.

Sources: Welch (1947); Student; Fisher's one-way analysis of variance; Pearson's chi-square without correction; standardised
mean differences as Austin (2009), of categories as Yang and Dalton (2012).
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import special

from starfish.tasks.library.summary.cells import Cell
from starfish.tasks.payload import number

Array = np.ndarray


def numeric_tests(groups: Sequence[Cell]) -> list[dict[str, Any]]:
    """Welch's and the pooled t test for two groups, the analysis of variance for any number."""
    used = [cell for cell in groups if cell.n > 0]
    if len(used) < 2 or sum(cell.n for cell in used) <= len(used):
        return []
    rows = [_anova(used)]
    if len(groups) == 2 and all(cell.n > 1 for cell in used):
        rows = [_welch(*used), _student(*used), *rows]
    return rows


def numeric_smd(groups: Sequence[Cell]) -> float:
    """The largest absolute standardised difference of two groups; infinite where two differ and neither has a variance."""
    return _largest(_smd(a, b) for a, b in combinations([cell for cell in groups if cell.n > 1], 2))


def category_tests(counts: Array) -> list[dict[str, Any]]:
    """Pearson's chi-square of counts (groups, levels); empty rows and columns don't count."""
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return []
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return [_row("chi-square", statistic, df, float(special.chdtrc(df, statistic)))]


def category_smd(counts: Array) -> float:
    """The largest standardised difference of two groups' proportions (Mahalanobis distance of all levels but the first)."""
    shares = [row / row.sum() for row in counts if row.sum() > 0]
    return _largest(_category_smd(a, b) for a, b in combinations(shares, 2))


def _largest(differences: Iterable[float]) -> float:
    """NaN stands for two groups of the same single value, and counts where there is nothing else."""
    return max((value for value in differences if not np.isnan(value)), default=float("nan"))


def _smd(a: Cell, b: Cell) -> float:
    spread = np.sqrt((a.variance + b.variance) / 2.0)
    if spread == 0:
        return float("nan") if a.mean == b.mean else float("inf")
    return float(abs(a.mean - b.mean) / spread)


def _category_smd(a: Array, b: Array) -> float:
    difference = (a - b)[1:]
    spread = (np.diag(a[1:]) - np.outer(a[1:], a[1:]) + np.diag(b[1:]) - np.outer(b[1:], b[1:])) / 2.0
    distance = np.linalg.pinv(spread, rcond=1e-10, hermitian=True) @ difference
    if np.abs(spread @ distance - difference).max() > 1e-6:
        return float("inf")
    return float(np.sqrt(max(float(difference @ distance), 0.0)))


def _welch(a: Cell, b: Cell) -> dict[str, Any]:
    parts = np.array([a.variance / a.n, b.variance / b.n])
    total = parts.sum()
    if total == 0:
        return _row("Welch t", float("nan"), float("nan"), float("nan"))
    df = total**2 / (parts**2 / np.array([a.n - 1, b.n - 1])).sum()
    return _t("Welch t", (a.mean - b.mean) / np.sqrt(total), float(df))


def _student(a: Cell, b: Cell) -> dict[str, Any]:
    df = a.n + b.n - 2
    spread = np.sqrt((a.squares + b.squares) / df * (1 / a.n + 1 / b.n))
    return _t("pooled t", (a.mean - b.mean) / spread if spread > 0 else float("nan"), df)


def _anova(groups: Sequence[Cell]) -> dict[str, Any]:
    n = sum(cell.n for cell in groups)
    grand = sum(cell.n * cell.mean for cell in groups) / n
    between = sum(cell.n * (cell.mean - grand) ** 2 for cell in groups)
    within, df = sum(cell.squares for cell in groups), (len(groups) - 1, n - len(groups))
    statistic = (between / df[0]) / (within / df[1]) if within > 0 else float("nan")
    return _row("ANOVA F", statistic, [df[0], df[1]], float(special.fdtrc(*df, statistic)))


def _t(name: str, statistic: float, df: float) -> dict[str, Any]:
    return _row(name, statistic, df, float(special.betainc(df / 2.0, 0.5, df / (df + statistic**2))))


def _row(name: str, statistic: float, df: Any, p_value: float) -> dict[str, Any]:
    shown = [float(value) for value in df] if isinstance(df, list) else number(df)
    return {"test": name, "statistic": number(statistic), "df": shown, "p_value": number(p_value)}
