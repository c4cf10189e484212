"""The logistic model. Source: McCullagh and Nelder (1989), Generalized Linear Models, chapter 4."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from scipy import special

from starfish.tasks.api import Count, Rows
from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood import LikelihoodConfig, LikelihoodTask, Pointwise, State
from starfish.tasks.likelihood.linalg import log_determinant
from starfish.tasks.likelihood.stages import Pooled
from starfish.tasks.payload import number

Array = np.ndarray
FIRTH_ROUNDS = 100
"""Two a point, and under separation the maximum is far out."""


class LogisticConfig(LikelihoodConfig):
    """Adds a penalty against separation."""

    penalty: Literal["none", "firth"] = Field(
        default="none",
        description="firth: the likelihood times the root of the information's determinant; finite under separation. Where it is asked "
        f"for, total_round is {FIRTH_ROUNDS} by default.",
    )

    @model_validator(mode="before")
    @classmethod
    def _more_rounds(cls, given: Any) -> Any:
        return {"total_round": FIRTH_ROUNDS, **given} if isinstance(given, dict) and given.get("penalty") == "firth" else given


class LogisticRegressionStats(LikelihoodTask):
    """log odds = X b, for a binary outcome."""

    name = "LogisticRegressionStats"
    title = "Logistic regression"
    outcomes = ("binary",)
    ratio = "OR"
    leaves: ClassVar[Sequence[str]] = (
        "With center() or scale() in the formula, a round before the others: the number of rows, means and sums of squares of their "
        "variables.",
        "Round 1: the number of rows, means and sums of squares of the design's columns, the number of events, rows by level.",
        "Each further round: log-likelihood, score (one number a parameter) and information (one a pair) at the current parameters.",
        "With penalty: firth, after each of these a second round: the score's adjustment and what the rows' leverages add to the "
        "information.",
        "With robust standard errors, one more round: the sum of squared scores, by row or by cluster, and the number of these.",
    )

    separation_advice = "Take it out of the formula, join rare levels, or ask for 'penalty: firth', which has a finite estimate."
    Config: ClassVar[type[LikelihoodConfig]] = LogisticConfig
    config: LogisticConfig

    @property
    def firth(self) -> bool:
        return self.config.penalty == "firth"

    def pointwise(self, eta: Array, y: Array) -> Pointwise:
        """ll = -log(1 + exp(-s eta)) with s = ±1, which neither over- nor underflows."""
        p, q = special.expit(eta), special.expit(-eta)
        sign = 2.0 * y - 1.0
        return Pointwise(ll=special.log_expit(sign * eta), slope=sign * special.expit(-sign * eta), curvature=p * q, growth=q - p)

    def count(self, rows: Rows) -> Count:
        return Count(used=rows.n, events=int(self.question.formula.response_values(rows).sum()))

    def begin(self, state: State, pooled: Pooled) -> None:
        without, events = (float(total) for total in pooled.outcome)
        state.meta["outcome"] = [without, events]
        name = self.question.formula.response
        if not (without and events):
            kind = "positive" if not events else "negative"
            raise NoEstimate(f"{name}: no row of any site is {kind}, so there is nothing to compare.", code="no-events", variable=name)
        if self.config.site == "fixed" and not self.firth and (pooled.outcomes == 0.0).any():
            place = int(np.flatnonzero((pooled.outcomes == 0.0).any(axis=1))[0])
            term = f"site {place + 1}"
            raise NoEstimate(
                f"{term} has no row that is {'negative' if pooled.outcomes[place, 0] == 0.0 else 'positive'} in {name}, so its own term "
                "grows without end (separation). Leave that site out, take 'site: none', or ask for 'penalty: firth'.",
                code="separation",
                variable=term,
            )
        super().begin(state, pooled)

    def fit(self, state: State) -> Mapping[str, Any]:
        without, events = state.meta["outcome"]
        added: dict[str, Any] = {"events": int(events) if float(events).is_integer() else events}
        if self.firth:
            return added | {"penalised_log_likelihood": number(self._penalised(state))}
        if self._has_null_model:
            total = without + events
            null = float(special.xlogy(events, events / total) + special.xlogy(without, without / total))
            df = self.parameters(state) - 1
            statistic = 2.0 * (self.log_likelihood(state) - null)
            added |= {"null_log_likelihood": number(null), "deviance": number(-2.0 * self.log_likelihood(state))}
            if df:
                p_value = number(float(special.chdtrc(df, max(statistic, 0.0))))
                added["likelihood_ratio"] = {"statistic": number(statistic), "df": df, "p_value": p_value}
        return added

    @property
    def _has_null_model(self) -> bool:
        """Whether the model with an intercept alone is known without a fit, and its likelihood is one."""
        formula = self.question.formula
        return formula.intercept and not formula.offset and self.config.site == "none" and self.config.weights != "sampling"

    def _penalised(self, state: State) -> float:
        """On the columns as they are; those of the fit are divided by their standard deviations."""
        scale = 2.0 * float(np.log(state.arrays["sd"]).sum())
        return self.log_likelihood(state) + 0.5 * (log_determinant(state.arrays["base_information"]) + scale)
