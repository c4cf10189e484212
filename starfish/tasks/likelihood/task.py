"""The engine: any model whose log-likelihood is a sum over rows, maximised exactly over all sites' rows.

A new model says what a row contributes (`pointwise`) and what its report adds; everything else is here.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy import special

from starfish.tasks.api import Count, Outcome, Rows, Task, TaskReport
from starfish.tasks.disclosure import UNCHECKED, Design, Scrutiny
from starfish.tasks.errors import InvalidTask
from starfish.tasks.formula.expressions import complete
from starfish.tasks.likelihood.config import LikelihoodConfig
from starfish.tasks.likelihood.contained import Sums
from starfish.tasks.likelihood.designed import design_of
from starfish.tasks.likelihood.firth import Penalised
from starfish.tasks.likelihood.local import Question, ask, refuse_size
from starfish.tasks.likelihood.meat import Meat
from starfish.tasks.likelihood.newton import Newton
from starfish.tasks.likelihood.oracle import refuse_chosen
from starfish.tasks.likelihood.report import model_report
from starfish.tasks.likelihood.scaling import Layout
from starfish.tasks.likelihood.stages import Columns, Pooled, Stage, Variables
from starfish.tasks.likelihood.state import State
from starfish.tasks.payload import Payload, number
from starfish.tasks.received import refusal, sendable
from starfish.tasks.study import Study

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pointwise:
    """Of each row (n,): its log-likelihood, the derivative by the linear predictor, and minus the second derivative (`curvature`).

    `growth` is the derivative of log curvature, for models that offer Firth's penalty.
    """

    ll: Array
    slope: Array
    curvature: Array
    growth: Array = field(default_factory=lambda: np.zeros(1))


class LikelihoodTask(Task):
    """A model with one linear predictor."""

    Config: ClassVar[type[LikelihoodConfig]] = LikelihoodConfig
    config: LikelihoodConfig
    outcomes: ClassVar[tuple[str, ...]]
    """Types that the outcome may have."""
    cross_products: ClassVar[bool] = False
    """Whether the first round pools all cross-products, from which `begin` may start at the answer."""
    ratio: ClassVar[str | None] = None
    """What exp(estimate) is called: "OR"; None where it means nothing."""
    separation_advice: ClassVar[str] = "Take it out of the formula, or join rare levels."
    precision_weights: ClassVar[bool] = False
    """Whether rows have a variance that a precision weight could divide."""

    def __init__(self, config: LikelihoodConfig, study: Study) -> None:
        super().__init__(config, study)
        self.question: Question = ask(config, study, self.outcomes, self.name)
        self.first_slope = int(self.question.formula.intercept)
        if config.weights == "precision" and not self.precision_weights:
            raise InvalidTask(
                f"{self.name}: precision weights divide a residual variance, which this model has not; use frequency or sampling.",
                code="weights",
            )

    @abstractmethod
    def pointwise(self, eta: Array, y: Array) -> Pointwise:
        """What each row contributes at linear predictors `eta` (n,) and outcomes `y` (n,)."""

    def dispersion(self, state: State, ll: float) -> float:
        """By what score and information are to be divided: 1 where the likelihood is complete, the mean of sampling weights."""
        return float(state.meta["weight"] / state.meta["n"]) if self.config.weights == "sampling" else 1.0

    def begin(self, state: State, pooled: Pooled) -> None:
        """Set the parameters to start from. Raises NoEstimate."""
        layout = self.layout(state)
        state.arrays["theta"] = np.zeros(layout.pooled)
        if self.question.formula.offset and layout.intercept:
            state.arrays["theta"][: layout.pooled - layout.slopes] = -pooled.offset

    def after(self) -> Sequence[Stage]:
        """Stages that follow convergence, for the report."""
        return ()

    def log_likelihood(self, state: State) -> float:
        """Full and normalised, at the estimate."""
        return float(state.meta["base_ll"])

    def parameters(self, state: State) -> int:
        """What AIC and BIC count."""
        return self.layout(state).pooled

    def residual_df(self, state: State) -> float | None:
        """Degrees of freedom of t tests; None: tests are normal."""
        return None

    def homogeneity(self, state: State, spread: float, df: int) -> Mapping[str, Any]:
        """The test that all sites have the same parameters; `spread` is the sum of U_k' I_k⁻ U_k at the pooled estimate."""
        return {"statistic": number(spread), "df": df, "p_value": number(float(special.chdtrc(df, spread)))}

    def n(self, state: State) -> float:
        """Rows; with frequency weights what they stand for."""
        return float(state.meta["weight"] if self.config.weights == "frequency" else state.meta["n"])

    def fit(self, state: State) -> Mapping[str, Any]:
        """What the model adds to the report's `fit`."""
        return {}

    def tables(self, state: State) -> Mapping[str, Any]:
        """What the model adds to the report's `tables`."""
        return {}

    def training(self, rows: Rows, site: str) -> Rows:
        """The rows that the model is fitted to; all of them unless some are held out."""
        return rows

    @property
    def variables(self) -> tuple[str, ...]:
        return self.question.variables

    @cached_property
    def categories(self) -> Mapping[str, int]:
        """The categories in the design, and how many levels each has."""
        used = {variable for variable in self.question.formula.variables if variable != self.question.formula.response}
        stated = {name: self.study.variables[name] for name in self.question.formula.variables if name in used}
        special = {*self.question.formula.cluster, *self.question.formula.strata}
        return {name: len(v.values) for name, v in stated.items() if v.type == "category" and name not in special}

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """By name, in order."""
        first: list[Stage] = [Variables()] if self.question.formula.moments else []
        robust: list[Stage] = [Meat()] if self.se_type != "model" else []
        newton = Penalised() if self.firth else Newton()
        return {stage.name: stage for stage in (*first, Columns(), newton, *robust, *self.after())}

    @property
    def firth(self) -> bool:
        """Whether the likelihood is penalised by the square root of the information's determinant."""
        return False

    @property
    def binary(self) -> bool:
        """Whether the outcome is an event or none."""
        return self.outcomes == ("binary",)

    @property
    def se_type(self) -> str:
        """Sampling weights imply robust standard errors, which are called by their name."""
        return "sampling" if self.config.weights == "sampling" and self.config.se == "model" else self.config.se

    def layout(self, state: State) -> Layout:
        return Layout(formula=self.question.formula, sites=len(state.sites) if self.config.site == "fixed" else 1)

    def count(self, rows: Rows) -> Count:
        return Count(used=rows.n)

    def design(self, rows: Rows, *, site: str = "") -> Design:
        training = self.training(rows, site)
        return design_of(self, training, self.question.without_pooled().local(training, {}))

    def check(self, rows: Rows) -> None:
        self.question.without_pooled().sized(rows, {})
        for name in self.question.formula.moments:
            refuse_size(name, complete(rows, name))

    def train(self, rows: Rows, model: Payload | None, *, site: str, scrutiny: Scrutiny = UNCHECKED) -> Payload:
        state = State.of(model)
        if model and state.meta.get("stage") not in list(self.stages):
            raise refusal("it is of no stage of this task")
        stage = self.stage(state)
        stage.require(self, state, site)
        if model and scrutiny.limits.oracle:
            refuse_chosen(self, state, scrutiny, site)
        try:
            with np.errstate(all="ignore"):
                found = stage.local(self, rows, state, site, scrutiny.limits)
        except np.linalg.LinAlgError:
            raise refusal("its information is not that of an estimate") from None
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in found.items()}
        return sendable(Payload(meta={"stage": stage.name}, arrays=arrays))

    def aggregate(self, updates: Iterable[tuple[str, Payload]], model: Payload | None) -> Outcome:
        state = State.of(model)
        with np.errstate(all="ignore"):
            self.follow(state, self.stage(state).fold(self, updates, state))
        state.require_finite()
        return Outcome(model=state.payload(), done=state.stage == "done")

    def follow(self, state: State, sums: Sums) -> None:
        """Take `state` to the next global model, which these sums and nothing else lead to. Raises NoEstimate."""
        stage = self.stage(state)
        carried = stage.carried(self, state)
        state.meta["round"] = state.meta.get("round", 0) + 1
        over = stage.follow(self, state, sums)
        state.carry({name: sums[name] for name in carried})
        if over:
            state.meta["converged"] = state.meta.get("converged", False) or stage.name == Newton.name
            names = list(self.stages)
            following = names.index(stage.name) + 1
            state.meta["stage"] = names[following] if following < len(names) else "done"
        else:
            state.meta["stage"] = stage.name

    def report(self, model: Payload, *, site_names: Mapping[str, str] | None = None) -> TaskReport:
        return model_report(self, State.of(model), site_names)

    def stage(self, state: State) -> Stage:
        """The stage that comes next."""
        return self.stages[state.meta.get("stage", next(iter(self.stages)))]
