"""What a model goes through, stage by stage: variables (only for center and scale), columns, Newton, and what a report wants after.

A stage has a local half, run at a site, and a pooled half, run at the coordinator. Between them travels one update a site.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood.state import State, rows_digest, site_digest
from starfish.tasks.payload import Payload
from starfish.tasks.received import require
from starfish.tasks.summation import CompensatedSum, PooledMoments, local_moments
from starfish.tasks.updates import Expected, Shape, checked

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What the round of columns came to. The last of the `q` columns is the outcome less the offset.

    `moments` of all rows; `means` (k, q) and `weights` (k,) of each site, `within` the sites' summed squares or cross-products;
    `outcomes` (k, 2) the weight of non-events and events at each site, for a binary outcome.
    """

    moments: PooledMoments
    means: Array
    weights: Array
    within: Array
    outcomes: Array

    @property
    def offset(self) -> float:
        """The mean offset, for a binary outcome."""
        return float(self.outcomes[:, 1].sum() / self.outcomes.sum() - self.moments.mean[-1])


Updates = Iterable[tuple[str, Payload]]


class Stage(ABC):
    """One kind of round. `pool` returns whether the stage is over."""

    name: ClassVar[str]

    @abstractmethod
    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str) -> Mapping[str, Array]:
        """A site's arrays. Raises SiteRefusal."""

    @abstractmethod
    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        """What `local` returns."""

    @abstractmethod
    def pool(self, task: "LikelihoodTask", updates: Updates, state: State) -> bool:
        """Fold the updates into `state`. Raises NoEstimate."""

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        return Expected(stage=self.name, shapes=self.shapes(task, state))

    def require(self, task: "LikelihoodTask", state: State, site: str) -> None:
        """Raises SiteRefusal unless the global model has what `local` needs."""
        state.require_moments(task.question.formula.moments)

    def checked(self, task: "LikelihoodTask", updates: Updates, state: State) -> Updates:
        """The updates that count. Raises BadUpdate."""
        return checked(updates, self.expected(task, state))


class AtParameters(Stage):
    """A stage whose sums are those at the global model's parameters."""

    def require(self, task: "LikelihoodTask", state: State, site: str) -> None:
        super().require(task, state, site)
        state.require_site(site)
        require(state.arrays, self.reads(task, state), positive=("sd",))

    def reads(self, task: "LikelihoodTask", state: State) -> dict[str, Shape]:
        """The arrays of the global model that `local` needs."""
        layout = task.layout(state)
        return {"mean": (layout.slopes,), "sd": (layout.slopes,), "theta": (layout.pooled,)}


class Variables(Stage):
    """Pooled means and standard deviations of the variables in center() and scale()."""

    name = "variables"

    def require(self, task: "LikelihoodTask", state: State, site: str) -> None:
        """Nothing: it comes first."""

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str) -> Mapping[str, Array]:
        values = np.column_stack([rows.columns[name].astype(np.float64) for name in task.question.formula.moments])
        weight, mean, squares = local_moments(values, np.ones(rows.n), diagonal=True)
        return {"n": np.array(weight), "mean": mean, "squares": squares}

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = (len(task.question.formula.moments),)
        return {"n": (), "mean": size, "squares": size}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        return Expected(stage=self.name, shapes=self.shapes(task, state), counts=("n",), squares=("squares",))

    def pool(self, task: "LikelihoodTask", updates: Updates, state: State) -> bool:
        pooled = PooledMoments(diagonal=True)
        for _, update in self.checked(task, updates, state):
            pooled.merge(float(update.arrays["n"]), update.arrays["mean"], update.arrays["squares"])
        sd = np.sqrt(pooled.cross / max(pooled.weight - 1.0, 1.0))
        for name, spread in zip(task.question.formula.moments, sd, strict=True):
            if spread == 0.0:
                raise NoEstimate(f"{name} has the same value in every row, so it can't be scaled.", code="constant", variable=name)
        state.meta["moments"] = {
            name: [float(mean), float(spread)] for name, mean, spread in zip(task.question.formula.moments, pooled.mean, sd, strict=True)
        }
        return True


class Columns(Stage):
    """n, means and sums of squares of the design's columns (and of the outcome; all cross-products where the model asks),
    events, and rows by level."""

    name = "columns"

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        local = task.question.sized(rows, state.moments)
        values = np.column_stack([local.x[:, task.first_slope :], local.y - local.offset])
        weight, mean, cross = local_moments(values, local.weights, diagonal=not task.cross_products)
        found = {"n": np.array(float(rows.n)), "weight": np.array(weight), "mean": mean, "cross": cross}
        if task.binary:
            found["outcome"] = np.array([local.weights[local.y == value].sum() for value in (0, 1)])
        if task.config.weights == "precision":
            found["log_weight"] = np.array(float(np.log(local.weights).sum()))
        return found | {
            f"level:{name}": np.bincount(rows.columns[name], minlength=count).astype(np.float64) for name, count in task.categories.items()
        }

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = len(task.question.formula.columns) - task.first_slope + 1
        cross = (size, size) if task.cross_products else (size,)
        shapes: dict[str, Shape] = {"n": (), "weight": (), "mean": (size,), "cross": cross}
        if task.binary:
            shapes["outcome"] = (2,)
        if task.config.weights == "precision":
            shapes["log_weight"] = ()
        return shapes | {f"level:{name}": (levels,) for name, levels in task.categories.items()}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        shapes = self.shapes(task, state)
        counts = tuple(name for name in shapes if name not in ("mean", "cross", "log_weight"))
        if task.cross_products:
            return Expected(stage=self.name, shapes=shapes, counts=counts, information=("cross",), faults=_inconsistent)
        return Expected(stage=self.name, shapes=shapes, counts=counts, squares=("cross",), faults=_inconsistent)

    def pool(self, task: "LikelihoodTask", updates: Updates, state: State) -> bool:
        pooled = PooledMoments(diagonal=not task.cross_products)
        sums = {name: CompensatedSum() for name in self.shapes(task, state) if name not in ("mean", "cross")}
        within = CompensatedSum()
        sites: list[tuple[str, Payload]] = []
        for site, update in self.checked(task, updates, state):
            arrays = update.arrays
            pooled.merge(float(arrays["weight"]), arrays["mean"], arrays["cross"])
            for name, total in sums.items():
                total.add(arrays[name])
            within.add(arrays["cross"])
            sites.append((site, update))
        if not sites:
            raise NoEstimate("No site sent an update.", code="no-updates")
        state.meta |= {name: float(sums[name].total) for name in ("n", "weight", "log_weight") if name in sums}
        state.meta["sites"] = [site_digest(site) for site, _ in sites]
        state.meta["announced"] = [rows_digest(site, float(update.arrays["n"])) for site, update in sites]
        levels = {name: sums[f"level:{name}"].total for name in task.categories}
        _refuse_empty_levels(task, levels)
        self._scale(task, state, pooled)
        task.begin(
            state,
            Pooled(
                moments=pooled,
                means=np.array([update.arrays["mean"] for _, update in sites]),
                weights=np.array([float(update.arrays["weight"]) for _, update in sites]),
                within=within.total,
                outcomes=np.array([update.arrays["outcome"] for _, update in sites]) if task.binary else np.zeros((len(sites), 0)),
            ),
        )
        return True

    def _scale(self, task: "LikelihoodTask", state: State, pooled: PooledMoments) -> None:
        squares = pooled.cross if pooled.diagonal else np.diag(pooled.cross)
        mean, sd = pooled.mean[:-1], np.sqrt(squares[:-1] / pooled.weight)
        constant = sd <= 1e-12 * np.abs(mean)
        if task.first_slope:
            _refuse_constant([column.name for column in task.question.formula.columns[1:]], constant)
        size = np.where(constant, np.abs(mean), sd)
        state.arrays |= {"mean": mean, "sd": np.where(size > 0, size, 1.0)}


def _inconsistent(update: Payload) -> str | None:
    """Rows are whole, their levels are as many, and events and non-events weigh what all rows weigh."""
    arrays = update.arrays
    n, weight = float(arrays["n"]), float(arrays["weight"])
    if not n.is_integer():
        return "'n' is no number of rows"
    wrong = [name for name, counts in arrays.items() if name.startswith("level:") and counts.sum() != n]
    if wrong:
        return f"'{wrong[0]}' does not add up to its rows"
    if "outcome" in arrays and abs(arrays["outcome"].sum() - weight) > 1e-9 * weight:
        return "'outcome' does not add up to its rows' weight"
    return None


def _refuse_constant(names: list[str], constant: Array) -> None:
    for name, same in zip(names, constant, strict=True):
        if same:
            raise NoEstimate(
                f"{name} has the same value in every row of every site, so it has no effect that could be estimated. "
                "Take it out of the formula.",
                code="constant",
                variable=name,
            )


def _refuse_empty_levels(task: "LikelihoodTask", levels: Mapping[str, Array]) -> None:
    for name, counts in levels.items():
        for level, count in zip(task.study.variables[name].values, counts, strict=True):
            if count == 0:
                raise NoEstimate(
                    f"No row of any site has {name} = {level}, so its effect can't be estimated. Take the level out of the project's "
                    "variables, or join it with another by the sites' mappings.",
                    code="empty-level",
                    variable=name,
                )
