"""Small symmetric systems: rank by columns in order, as R drops them; solutions by Cholesky."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

Array = np.ndarray
RANK_TOLERANCE = 1e-10
"""With less of a column left, its standard error is not exact to the sixth digit any more."""


def dependent_columns(information: Array) -> list[int]:
    """Columns that are combinations of those before them: what is left of a column, relative to itself, is below the tolerance.

    A Cholesky factorisation in the given order, which is the order in which R's `lm` keeps columns.
    """
    size = len(information)
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    factor = np.zeros((size, size))
    dropped = []
    for j in range(size):
        if scale[j] == 0.0:
            dropped.append(j)
            continue
        row = factor[:j]
        column = information[:, j] - row.T @ row[:, j]
        left = column[j] / scale[j] ** 2
        if left < RANK_TOLERANCE:
            dropped.append(j)
            continue
        factor[j, j:] = column[j:] / np.sqrt(column[j])
    return dropped


def solve(information: Array, right: Array) -> Array:
    """information⁻¹ right. Raises numpy.linalg.LinAlgError where it is not positive definite."""
    with np.errstate(all="ignore"):
        scale = 1.0 / np.sqrt(np.diag(information))
        scaled = information * np.outer(scale, scale)
    if not np.isfinite(scaled).all():
        raise np.linalg.LinAlgError("a diagonal that is not positive")
    factor = cho_factor(scaled, lower=True)
    tail = scale if right.ndim == 1 else scale[:, None]
    solution: Array = tail * cho_solve(factor, tail * right)
    return solution


def inverse(information: Array) -> Array:
    """information⁻¹, symmetric to the last bit."""
    half = solve(information, np.eye(len(information)))
    symmetric: Array = (half + half.T) / 2.0
    return symmetric


def leverages(z: Array, covariance: Array, weights: Array) -> Array:
    """w z' V z of each row (n,): how much of its own fitted value a row makes."""
    product: Array = np.einsum("ij,jk,ik->i", z, covariance, z) * weights
    return product


def log_determinant(information: Array) -> float:
    """Of a positive definite matrix; minus infinity of any other."""
    sign, value = np.linalg.slogdet(information)
    return float(value) if sign > 0 else -np.inf


def smallest_eigenvalue(information: Array) -> float:
    return float(np.linalg.eigvalsh(information)[0])


def quadratic_form(score: Array, information: Array) -> tuple[float, int]:
    """score' information⁻ score with a generalised inverse, and its rank: a site may have fewer rows than parameters."""
    values, vectors = np.linalg.eigh(information)
    kept = values > 1e-10 * max(float(values.max(initial=0.0)), np.finfo(float).tiny)
    projected = vectors[:, kept].T @ score
    return float(np.sum(projected * projected / values[kept])), int(kept.sum())
