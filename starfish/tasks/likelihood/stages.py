"""What a model goes through, stage by stage: variables (only for center and scale), columns, Newton, and what a report wants after.

A stage has a local half, run at a site, and a pooled half: the coordinator folds the updates into sums, and the next global model follows
from these and the one before. It carries them, so that a site can let it follow once more. Between the halves travels one update a site.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from starfish.tasks.disclosure import OPEN, Limits, breaches, refuse
from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood.contained import SLACK, Sums, apart, beyond_own
from starfish.tasks.likelihood.designed import design_of
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

    `moments` of all rows; `means` (k, q) of each site, `within` the sites' summed squares or cross-products; for a binary outcome
    `outcome` (2,) the weight of non-events and events, and `outcomes` (k, 2) at each site.
    """

    moments: PooledMoments
    means: Array
    within: Array
    outcome: Array
    outcomes: Array

    @property
    def offset(self) -> float:
        """The mean offset, for a binary outcome."""
        return float(self.outcome[1] / self.outcome.sum() - self.moments.mean[-1])


Updates = Iterable[tuple[str, Payload]]
SITES = "site:"
"""Before the name of what is known of each site, and stays out of the global model."""


class Stage(ABC):
    """One kind of round."""

    name: ClassVar[str]

    @abstractmethod
    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        """A site's arrays. Raises SiteRefusal, also where too few rows make them up for the limits."""

    @abstractmethod
    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        """What `local` returns."""

    @abstractmethod
    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
        """The sums of the updates; what the model says of the sites goes into `state`. Raises NoEstimate, BadUpdate."""

    @abstractmethod
    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        """Take `state` to what follows from it and the sums, alike wherever it is done; whether the stage is over. Raises NoEstimate."""

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        """Why these can't be sums that this site's own update is in, if they can't; `state` is what they were made at."""
        return beyond_own(sums, own.arrays, self.expected(task, state))

    def carried(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        """The sums that the next global model carries."""
        return self.shapes(task, state)

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

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        values = np.column_stack([rows.columns[name].astype(np.float64) for name in task.question.formula.moments])
        weight, mean, squares = local_moments(values, np.ones(rows.n), diagonal=True)
        return {"n": np.array(weight), "mean": mean, "squares": squares}

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = (len(task.question.formula.moments),)
        return {"n": (), "mean": size, "squares": size}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        return Expected(stage=self.name, shapes=self.shapes(task, state), counts=("n",), whole=("n",), squares=("squares",))

    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
        pooled = PooledMoments(diagonal=True)
        for _, update in self.checked(task, updates, state):
            pooled.merge(float(update.arrays["n"]), update.arrays["mean"], update.arrays["squares"])
        return {"n": np.array(pooled.weight), "mean": pooled.mean, "squares": pooled.cross}

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        return apart("n", "squares", sums, own.arrays)

    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        sd = np.sqrt(sums["squares"] / max(float(sums["n"]) - 1.0, 1.0))
        for name, spread in zip(task.question.formula.moments, sd, strict=True):
            if spread == 0.0:
                raise NoEstimate(f"{name} has the same value in every row, so it can't be scaled.", code="constant", variable=name)
        state.meta["moments"] = {
            name: [float(mean), float(spread)] for name, mean, spread in zip(task.question.formula.moments, sums["mean"], sd, strict=True)
        }
        return True


class Columns(Stage):
    """n, means and sums of squares of the design's columns (and of the outcome; all cross-products where the model asks),
    events, and rows by level."""

    name = "columns"

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        local = task.question.sized(rows, state.moments)
        if task.question.formula.moments and limits != OPEN:  # not known before
            refuse(breaches(design_of(task, rows, local), limits), task.name)
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
        return Expected(
            stage=self.name,
            shapes=shapes,
            counts=counts,
            whole=tuple(name for name in counts if name == "n" or name.startswith("level:")),
            information=("cross",) if task.cross_products else (),
            squares=() if task.cross_products else ("cross",),
            faults=partial(_inconsistent, weighted=task.config.weights != "none"),
        )

    def carried(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        shapes = {name: shape for name, shape in self.shapes(task, state).items() if not name.startswith("level:")}
        return shapes | {"within": shapes["cross"]}

    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
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
        state.meta["sites"] = [site_digest(site) for site, _ in sites]
        state.meta["announced"] = [rows_digest(site, float(update.arrays["n"])) for site, update in sites]
        levels = {name: sums[f"level:{name}"].total for name in task.categories}
        _refuse_empty_levels(task, levels)
        by_site = {"mean": np.array([update.arrays["mean"] for _, update in sites])}
        if task.binary:
            by_site["outcome"] = np.array([update.arrays["outcome"] for _, update in sites])
        return {
            **{name: total.total for name, total in sums.items() if not name.startswith("level:")},
            **{SITES + name: array for name, array in by_site.items()},
            "mean": pooled.mean,
            "cross": pooled.cross,
            "within": within.total,
        }

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        names = [name for name in ("n", "outcome") if name in sums]
        fewer = next((name for name in names if (sums[name] < own.arrays[name] * (1.0 - SLACK)).any()), None)
        if fewer:
            return f"'{fewer}' is less than this site's own"
        return apart("weight", "cross", sums, own.arrays)

    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        state.meta |= {name: float(sums[name]) for name in ("n", "weight", "log_weight") if name in sums}
        moments = PooledMoments(diagonal=not task.cross_products, weight=float(sums["weight"]), mean=sums["mean"], cross=sums["cross"])
        self._scale(task, state, moments)
        means = sums[SITES + "mean"]
        pooled = Pooled(
            moments=moments,
            means=means,
            within=sums["within"],
            outcome=sums["outcome"] if task.binary else np.zeros(0),
            outcomes=sums[SITES + "outcome"] if task.binary else np.zeros((len(means), 0)),
        )
        task.begin(state, pooled)
        return True

    def _scale(self, task: "LikelihoodTask", state: State, pooled: PooledMoments) -> None:
        squares = pooled.cross if pooled.diagonal else np.diag(pooled.cross)
        mean, sd = pooled.mean[:-1], np.sqrt(squares[:-1] / pooled.weight)
        constant = sd <= 1e-12 * np.abs(mean)
        if task.first_slope:
            _refuse_constant([column.name for column in task.question.formula.columns[1:]], constant)
        size = np.where(constant, np.abs(mean), sd)
        state.arrays |= {"mean": mean, "sd": np.where(size > 0, size, 1.0)}


def _inconsistent(update: Payload, *, weighted: bool) -> str | None:
    """Rows have as many levels, and weigh as much as events and non-events do."""
    arrays = update.arrays
    n, weight = float(arrays["n"]), float(arrays["weight"])
    if not weighted and weight != n:
        return "'weight' is not the number of rows, which have no weights"
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
