"""The logistic model. Source: McCullagh and Nelder (1989), Generalized Linear Models, chapter 4."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import special

from starfish.tasks.api import Count, Rows
from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood import LikelihoodTask, Pointwise, State
from starfish.tasks.payload import number
from starfish.tasks.summation import PooledMoments

Array = np.ndarray


class LogisticRegressionStats(LikelihoodTask):
    """log odds = X b, for a binary outcome."""

    name = "LogisticRegressionStats"
    title = "Logistic regression"
    outcomes = ("binary",)
    ratio = "OR"
    leaves: ClassVar[Sequence[str]] = (
        "Round 1: the number of rows, means and sums of squares of the design's columns, the number of events, rows by level.",
        "Each further round: log-likelihood, score (one number a parameter) and information (one a pair) at the current parameters.",
        "With robust standard errors, one more round: the sum of squared scores, by row or by cluster.",
    )

    def pointwise(self, eta: Array, y: Array) -> Pointwise:
        """ll = -log(1 + exp(-s eta)) with s = ±1, which neither over- nor underflows."""
        p = special.expit(eta)
        sign = 2.0 * y - 1.0
        return Pointwise(ll=special.log_expit(sign * eta), slope=sign * special.expit(-sign * eta), curvature=p * special.expit(-eta))

    def count(self, rows: Rows) -> Count:
        return Count(used=rows.n, events=int(self.question.formula.response_values(rows).sum()))

    def begin(self, state: State, pooled: PooledMoments, means: Array, weights: Array, within: Array) -> None:
        without, events = state.meta["outcome"]
        if not (without and events):
            name, kind = self.question.formula.response, "positive" if not events else "negative"
            raise NoEstimate(f"{name}: no row of any site is {kind}, so there is nothing to compare.", code="no-events", variable=name)
        super().begin(state, pooled, means, weights, within)

    def fit(self, state: State) -> Mapping[str, Any]:
        without, events = state.meta["outcome"]
        added: dict[str, Any] = {"events": int(events) if float(events).is_integer() else events}
        if self.config.site == "none" and self.question.formula.intercept and not self.question.formula.offset:
            total = without + events
            null = float(special.xlogy(events, events / total) + special.xlogy(without, without / total))
            df = self.parameters(state) - 1
            statistic = 2.0 * (self.log_likelihood(state) - null)
            added |= {"null_log_likelihood": number(null), "deviance": number(-2.0 * self.log_likelihood(state))}
            if df:
                p_value = number(float(special.chdtrc(df, max(statistic, 0.0))))
                added["likelihood_ratio"] = {"statistic": number(statistic), "df": df, "p_value": p_value}
        return added
