"""One site's rows as a likelihood model sees them: design, outcome, offset, weights, clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask, SiteRefusal
from starfish.tasks.formula import Formula, parse
from starfish.tasks.likelihood.config import LikelihoodConfig
from starfish.tasks.study import Study
from starfish.tasks.summation import size_fault

Array = np.ndarray
LARGEST_WEIGHT = 1e20


@dataclass(frozen=True, kw_only=True)
class Local:
    """`x` (n, p) as the formula codes it, `y`, `offset` and `weights` (n,), `cluster` (n,) codes of the clusters or None."""

    x: Array
    y: Array
    offset: Array
    weights: Array
    cluster: Array | None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every site: the formula, and the variables that are weight and cluster."""

    formula: Formula
    weight: str | None
    cluster: str | None
    whole_weights: bool

    @property
    def variables(self) -> tuple[str, ...]:
        extra = [name for name in (self.weight, self.cluster) if name and name not in self.formula.variables]
        return (*self.formula.variables, *extra)

    def local(self, rows: Rows, moments: Mapping[str, tuple[float, float]]) -> Local:
        """Raises SiteRefusal."""
        return Local(
            x=self.formula.design(rows, moments),
            y=self.formula.response_values(rows),
            offset=self.formula.offset_values(rows, moments),
            weights=self._weights(rows),
            cluster=_codes(rows.columns[self.cluster]) if self.cluster else None,
        )

    def sized(self, rows: Rows, moments: Mapping[str, tuple[float, float]]) -> Local:
        """The same, looked at for values that can't be squared and added. Raises SiteRefusal."""
        local = self.local(rows, moments)
        for place, column in enumerate(self.formula.columns):
            refuse_size(column.name, local.x[:, place])
        refuse_size(str(self.formula.response), local.y - local.offset)
        return local

    def without_pooled(self) -> "Question":
        """The part of the question that can be looked at before pooled means are known."""
        return replace(self, formula=self.formula.without_pooled())

    def _weights(self, rows: Rows) -> Array:
        if self.weight is None:
            return np.ones(rows.n)
        weights = rows.columns[self.weight].astype(np.float64)
        wrong = (weights < 1.0 / LARGEST_WEIGHT) | (weights > LARGEST_WEIGHT) | (self.whole_weights & (weights != np.floor(weights)))
        if wrong.any():
            rule = f"{'a whole number ' * self.whole_weights}above 0 (and between 1e-20 and 1e20)"
            raise SiteRefusal(
                f"{self.weight}: a weight must be {rule}.",
                code="weights",
                private=f"{self.weight}: a weight must be {rule}; {int(wrong.sum())} are not, the first is {weights[wrong][0]:g}.",
                variable=self.weight,
            )
        return weights


def ask(config: LikelihoodConfig, study: Study, outcomes: tuple[str, ...], name: str) -> Question:
    """The question of a task. Raises InvalidTask where the formula, the outcome's type, the weights or the clusters don't fit."""
    formula = parse(config.formula or default_formula(study), study)
    if formula.survival or formula.response is None:
        raise InvalidTask(f"{name}: the formula needs an outcome on its left, as in 'outcome ~ age'.", code="formula")
    kind = study.variables[formula.response].type
    if kind not in outcomes:
        allowed = " or ".join(outcomes)
        raise InvalidTask(
            f"{name}: the outcome '{formula.response}' is of type {kind}; this task needs type {allowed}.",
            code="outcome",
            variable=formula.response,
        )
    if formula.strata or formula.random:
        raise InvalidTask(f"{name}: strata() and (1|g) have no meaning in this model.", code="formula")
    if not formula.columns:
        raise InvalidTask(f"{name}: the formula has no term on its right.", code="formula")
    if config.site == "fixed" and not formula.intercept:
        raise InvalidTask(f"{name}: 'site: fixed' gives each site its own intercept, so the formula must not take it away.", code="formula")
    return Question(
        formula=formula,
        weight=_weight(config, study, name),
        cluster=_cluster(config, study, formula, name),
        whole_weights=config.weights == "frequency",
    )


def default_formula(study: Study) -> str:
    """outcome ~ exposures, by the variables' roles. Raises InvalidTask."""
    outcomes = [name for name, variable in study.variables.items() if variable.role == "outcome"]
    if len(outcomes) != 1:
        raise InvalidTask(
            "'formula' is missing, and not exactly one variable has the role outcome. Write, for example, 'outcome ~ age + sex'.",
            code="formula",
        )
    usable = {
        name: variable
        for name, variable in study.variables.items()
        if variable.type in ("number", "integer", "binary", "category") and variable.role in (None, "exposure")
    }
    exposures = [name for name, variable in usable.items() if variable.role == "exposure"] or list(usable)
    return f"{outcomes[0]} ~ {' + '.join(exposures) or '1'}"


def _weight(config: LikelihoodConfig, study: Study, name: str) -> str | None:
    if config.weights == "none":
        return None
    found = [variable for variable, stated in study.variables.items() if stated.role == "weight"]
    if len(found) != 1:
        raise InvalidTask(f"{name}: 'weights: {config.weights}' needs exactly one variable with role weight.", code="weights")
    return found[0]


def _cluster(config: LikelihoodConfig, study: Study, formula: Formula, name: str) -> str | None:
    if config.se != "cluster":
        if formula.cluster:
            raise InvalidTask(
                f"{name}: cluster({formula.cluster[0]}) in the formula goes with 'se: cluster', which is not set.", code="formula"
            )
        return None
    found = formula.cluster or tuple(variable for variable, stated in study.variables.items() if stated.role == "cluster")
    if len(found) != 1:
        raise InvalidTask(
            f"{name}: 'se: cluster' needs cluster(variable) in the formula, once, or exactly one variable with role cluster.",
            code="formula",
        )
    return found[0]


def refuse_size(name: str, values: Array) -> None:
    """Raises SiteRefusal where the values can't be squared and added."""
    if fault := "a value is too large to compute with; look at its unit" if np.isnan(values).any() else size_fault(values):
        raise SiteRefusal(f"{name}: {fault}.", code="size", variable=name)


def _codes(column: Array) -> Array:
    codes: Array = np.unique(column, return_inverse=True)[1]
    return codes
