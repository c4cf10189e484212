"""The normal linear model: solved from pooled cross-products, then residuals taken at the solution, never y'y - b'X'y."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import special

from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood import LikelihoodTask, Pointwise, State
from starfish.tasks.likelihood.diagnosis import refuse_dependent
from starfish.tasks.likelihood.linalg import solve
from starfish.tasks.likelihood.stages import Pooled
from starfish.tasks.payload import number
from starfish.tasks.summation import PooledMoments

Array = np.ndarray
PERFECT, ROUNDING = 1e-24, 1e-30
"""A residual sum of squares below this part of the total one, or of that about 0, is rounding (R warns at the latter)."""


class LinearRegression(LikelihoodTask):
    """y = X b + e by least squares; sums are those of -RSS/2, the variance follows from them."""

    name = "LinearRegression"
    title = "Linear regression"
    outcomes = ("number", "integer")
    cross_products = True
    precision_weights = True
    leaves: ClassVar[Sequence[str]] = (
        "With center() or scale() in the formula, a round before the others: the number of rows, means and sums of squares of their "
        "variables.",
        "Round 1: the number of rows, means and cross-products of the design's columns and the outcome, rows by level.",
        "Round 2: the residual sum of squares at the solution, the score (one number a parameter) and the information (one a pair).",
        "With robust standard errors, one more round: the sum of squared scores, by row or by cluster, and the number of these.",
    )

    def pointwise(self, eta: Array, y: Array) -> Pointwise:
        residual = y - eta
        return Pointwise(ll=-0.5 * residual * residual, slope=residual, curvature=np.ones_like(residual))

    def begin(self, state: State, found: Pooled) -> None:
        layout, pooled = self.layout(state), found.moments
        state.meta["total_squares"] = float(pooled.cross[-1, -1] if layout.intercept else _raw(pooled)[-1, -1])
        if self.n(state) <= layout.pooled:
            raise NoEstimate(
                f"There are {int(self.n(state))} rows and {layout.pooled} parameters, so that no variance can be determined. "
                "Take terms out of the formula.",
                code="too-few-rows",
            )
        if state.meta["total_squares"] <= PERFECT * self.n(state) * float(pooled.mean[-1]) ** 2:
            name = self.question.formula.response
            raise NoEstimate(f"{name} has the same value in every row, so there is nothing to explain.", code="constant", variable=name)
        cross = found.within if layout.sites > 1 else pooled.cross if layout.intercept else _raw(pooled)
        slopes = self._slopes(state, cross)
        theta = np.zeros(layout.pooled)
        theta[layout.pooled - layout.slopes :] = slopes
        if layout.sites > 1:
            z = (found.means[:, :-1] - state.arrays["mean"]) / state.arrays["sd"]
            theta[: layout.sites] = found.means[:, -1] - pooled.mean[-1] - z @ slopes
        if layout.intercept:
            state.meta["origin"] = float(pooled.mean[-1])
        state.arrays["theta"] = theta

    def _slopes(self, state: State, cross: Array) -> Array:
        sd = state.arrays["sd"]
        squares = cross[:-1, :-1] / np.outer(sd, sd)
        refuse_dependent([column.name for column in self.question.formula.columns[self.first_slope :]], squares)
        return solve(squares, cross[:-1, -1] / sd) if len(sd) else np.zeros(0)

    def residual_df(self, state: State) -> float:
        return self.n(state) - self.layout(state).pooled

    def dispersion(self, state: State, ll: float) -> float:
        """The residual variance. Raises NoEstimate where the fit is perfect."""
        residual = -2.0 * ll
        if residual <= self._rounding(state):
            name = self.question.formula.response
            raise NoEstimate(
                f"{name} is an exact combination of the terms, so there is no residual variance and no standard error. "
                "Look for a term that is the outcome in other units.",
                code="perfect-fit",
                variable=name,
            )
        return residual / self.residual_df(state)

    def _rounding(self, state: State) -> float:
        """A residual sum of squares that is none."""
        total = state.meta["total_squares"]
        return float(PERFECT * total + ROUNDING * (total + state.meta["weight"] * state.origin**2))

    def log_likelihood(self, state: State) -> float:
        """At the maximum-likelihood variance RSS/n, as R's logLik.lm."""
        n, residual = self.n(state), -2.0 * state.meta["base_ll"]
        return float(-0.5 * n * (np.log(2.0 * np.pi * residual / n) + 1.0) + 0.5 * state.meta.get("log_weight", 0.0))

    def parameters(self, state: State) -> int:
        """The residual variance counts, as in R."""
        return self.layout(state).pooled + 1

    def homogeneity(self, state: State, spread: float, df: int) -> Mapping[str, Any]:
        """The F test of a regression at each site against the pooled one (Chow): `spread` is by how much they lower the RSS."""
        left, within = self.residual_df(state) - df, -2.0 * state.meta["base_ll"] - spread
        exact = left <= 0 or within <= self._rounding(state)
        statistic = float("nan") if exact else (spread / df) / (within / left)
        return {"statistic": number(statistic), "df": [df, int(left)], "p_value": number(float(special.fdtrc(df, left, statistic)))}

    def fit(self, state: State) -> Mapping[str, Any]:
        residual, total = -2.0 * state.meta["base_ll"], state.meta["total_squares"]
        n, df, p = self.n(state), self.residual_df(state), self.layout(state).pooled
        corrected = int(self.question.formula.intercept)
        variance = residual / df
        added: dict[str, Any] = {
            "sigma": number(float(np.sqrt(variance))),
            "df_residual": int(df),
            "residual_sum_of_squares": number(residual),
            "total_sum_of_squares": number(total),
            "r_squared": number(1.0 - residual / total),
            "adjusted_r_squared": number(1.0 - variance / (total / (n - corrected))),
        }
        if p > corrected:
            statistic = (total - residual) / (p - corrected) / variance
            p_value = number(float(special.fdtrc(p - corrected, df, statistic)))
            added["f_test"] = {"statistic": number(statistic), "df": [p - corrected, int(df)], "p_value": p_value}
        return added


def _raw(pooled: PooledMoments) -> Array:
    """Cross-products about zero."""
    return np.asarray(pooled.cross + pooled.weight * np.outer(pooled.mean, pooled.mean))
