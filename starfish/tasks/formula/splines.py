"""Bases of splines with given knots, as R's `splines::bs` and `splines::ns` have them (Cox-de Boor; de Boor 1978)."""

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def b_spline(x: Array, knots: tuple[float, ...], bounds: tuple[float, float], degree: int) -> Array:
    """`bs(x, knots, degree, Boundary.knots)` without the intercept; x within the bounds. Shape (n, len(knots) + degree)."""
    return _basis(x, _padded(knots, bounds, degree), degree)[:, 1:]


def natural_spline(x: Array, knots: tuple[float, ...], bounds: tuple[float, float]) -> Array:
    """`ns(x, knots, Boundary.knots)` without the intercept; linear beyond the bounds. Shape (n, len(knots) + 1)."""
    padded = _padded(knots, bounds, 3)
    inside = np.clip(x, *bounds)
    basis = _basis(inside, padded, 3) + (x - inside)[:, None] * _derivative(inside, padded, 3, 1)
    curvature = _derivative(np.asarray(bounds, dtype=np.float64), padded, 3, 2)[:, 1:]
    q, _ = np.linalg.qr(curvature.T, mode="complete")
    return np.asarray((basis[:, 1:] @ q)[:, 2:], dtype=np.float64)


def _padded(knots: tuple[float, ...], bounds: tuple[float, float], degree: int) -> Array:
    return np.array([bounds[0]] * (degree + 1) + list(knots) + [bounds[1]] * (degree + 1), dtype=np.float64)


def _basis(x: Array, knots: Array, degree: int) -> Array:
    """All B-splines of a degree at x, by the recursion over degrees; the last interval is closed on the right."""
    spans = len(knots) - 1
    last = int(np.max(np.flatnonzero(np.diff(knots) > 0)))
    interval = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, last)
    basis: Array = (interval[:, None] == np.arange(spans)).astype(np.float64)
    for order in range(1, degree + 1):
        left, right = knots[: spans - order], knots[order + 1 :]
        rise = _ratio(x[:, None] - left, knots[order:spans] - left)
        fall = _ratio(right - x[:, None], right - knots[1 : spans - order + 1])
        basis = rise * basis[:, :-1] + fall * basis[:, 1:]
    return basis


def _derivative(x: Array, knots: Array, degree: int, times: int) -> Array:
    """The `times`-th derivative of every B-spline of a degree at x."""
    if times == 0:
        return _basis(x, knots, degree)
    lower = _derivative(x, knots, degree - 1, times - 1)
    scale = _ratio(np.full(len(knots) - degree, float(degree)), knots[degree:] - knots[: len(knots) - degree])
    return lower[:, :-1] * scale[:-1] - lower[:, 1:] * scale[1:]


def _ratio(above: Array, below: Array) -> Array:
    """above / below, and 0 where knots coincide."""
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below != 0)
