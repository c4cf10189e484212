"""Safeguarded Newton on the sums of all sites.

The global model carries the last sums (`sum:*`), those at the point that the next one follows from (`base_*`) and how often the step was
halved, so that a site can recompute that it is asked for nothing but the Newton step or a halving of it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.disclosure import Limits
from starfish.tasks.errors import BadUpdate, NoEstimate
from starfish.tasks.likelihood.contained import Sums, beyond_own, beyond_rows
from starfish.tasks.likelihood.diagnosis import grows_without_end, refuse_dependent, separation
from starfish.tasks.likelihood.judged import judge, judge_information
from starfish.tasks.likelihood.linalg import quadratic_form, smallest_eigenvalue, solve
from starfish.tasks.likelihood.scaling import Layout, standardised
from starfish.tasks.likelihood.stages import AtParameters, Updates
from starfish.tasks.likelihood.state import State, rows_digest
from starfish.tasks.payload import Payload
from starfish.tasks.summation import CompensatedSum
from starfish.tasks.updates import Expected, Shape, no_faults

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
CONVERGED = 1e-12
HALVINGS = 30
LL_NOISE = 1e-11
"""A log-likelihood that falls by less than this part of itself has not fallen: its sum is not more exact."""


class Newton(AtParameters):
    """Log-likelihood, score and information at the current parameters, until the decrement g'I⁻¹g is at most 1e-12."""

    name = "sums"

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        local = task.question.local(rows, state.moments)
        z = standardised(local.x, task.layout(state), state)
        eta = z @ own_theta(task.layout(state), state, site) + local.offset
        point = task.pointwise(eta, local.y - state.origin)
        curvature = local.weights * point.curvature
        found = {
            "n": np.array(float(rows.n)),
            "ll": np.array(float(local.weights @ point.ll)),
            "score": z.T @ (local.weights * point.slope),
            "information": symmetric(z.T @ (z * curvature[:, None])),
        }
        if limits.oracle:
            judge(limits, task, local, point)
            judge_information(limits, z, curvature, found["information"])
        return found

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = task.layout(state).local
        return {"n": (), "ll": (), "score": (size,), "information": (size, size)}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        return Expected(
            stage=self.name,
            shapes=self.shapes(task, state),
            counts=("n",),
            sums=("ll",),
            information=("information",),
            faults=(lambda update: beyond_rows(state, update.arrays)) if task.binary else no_faults,
        )

    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
        layout = task.layout(state)
        ll, score, information = CompensatedSum(), CompensatedSum(), CompensatedSum()
        spread, rank, size = 0.0, 0, layout.pooled
        for indices, update in embedded(self.checked(task, updates, state), layout, state):
            arrays = update.arrays
            ll.add(arrays["ll"])
            score.add(scattered(arrays["score"], indices, (size,)))
            information.add(scattered(arrays["information"], indices, (size, size)))
            distance, degrees = quadratic_form(arrays["score"], arrays["information"])
            spread, rank = spread + distance, rank + degrees
        return {
            "ll": ll.total,
            "score": score.total,
            "information": information.total,
            "spread": np.array(spread),
            "rank": np.array(float(rank)),
        }

    def carried(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = task.layout(state).pooled
        return {"ll": (), "score": (size,), "information": (size, size), "spread": (), "rank": ()}

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        own_sums = at_pooled(own, task.layout(state), state, site)
        if fault := beyond_own(sums, own_sums, self.expected(task, state)):
            return fault
        return beyond_rows(state, sums, own_sums) if task.binary else None

    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        state.meta["homogeneity"] = [float(sums["spread"]), int(sums["rank"]) - task.layout(state).pooled]
        return self.advance(task, state, float(sums["ll"]), sums["score"], sums["information"])

    def advance(self, task: "LikelihoodTask", state: State, ll: float, score: Array, information: Array) -> bool:
        """From the pooled sums at `theta` to the next point; True where this one is the maximum. Raises NoEstimate."""
        if not accepted(task, state, ll, information):
            return False
        state.meta |= {"base_ll": ll, "base_objective": ll}
        state.arrays["base_theta"] = state.arrays["theta"]
        if settled(task, state, score, information, curvature=information):
            return True
        if grows_without_end(task, state):
            raise separation(task, state, state.arrays["step"])
        return False


def at_pooled(own: Payload, layout: Layout, state: State, site: str) -> dict[str, Array]:
    """A site's update at the places of the pooled parameters."""
    indices = layout.indices(state.place(site))
    return {name: scattered(array, indices, (layout.pooled,) * array.ndim) for name, array in own.arrays.items()}


def own_theta(layout: Layout, state: State, site: str) -> Array:
    """The parameters (of standardised columns) that this site's rows follow."""
    theta: Array = state.arrays["theta"][layout.indices(state.place(site))]
    return theta


def symmetric(matrix: Array) -> Array:
    half: Array = (matrix + matrix.T) / 2.0
    return half


def embedded(updates: Updates, layout: Layout, state: State, *, rows: str | None = "n") -> Iterator[tuple[Array, Payload]]:
    """Each update with the pooled positions of its parameters; all sites of the first round must be there, and their rows (the array
    named `rows`) as many as then. Raises BadUpdate."""
    seen = 0
    for site, update in updates:
        try:
            place = state.place(site)
        except ValueError:
            raise BadUpdate("The update does not count: the site did not take part in the task's first round.", site=site) from None
        seen += 1
        if rows and rows_digest(site, float(update.arrays[rows])) != state.meta["announced"][place]:
            raise BadUpdate("The update does not count: it is of another number of rows than the site's first one.", site=site)
        yield layout.indices(place), update
    if seen != len(state.sites):
        raise NoEstimate(
            f"{len(state.sites)} sites took part in the task's first round and {seen} in this one; their sums don't belong together.",
            code="sites-changed",
        )


def scattered(local: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """A site's vector or matrix at its places among the pooled parameters."""
    pooled = np.zeros(shape)
    pooled[np.ix_(*[indices] * local.ndim)] = local
    return pooled


def accepted(task: "LikelihoodTask", state: State, objective: float, information: Array) -> bool:
    """Whether the point is no worse than the one before; if it is, the step is halved. Raises NoEstimate."""
    base = state.meta.get("base_objective")
    if base is None:
        refuse_dependent(task.layout(state).names(), information)
        state.meta["first_eigenvalue"] = smallest_eigenvalue(information)
    elif objective < base - LL_NOISE * (task.dispersion(state, state.meta["base_ll"]) + abs(base)):
        state.meta["halvings"] += 1
        if state.meta["halvings"] > HALVINGS:
            raise NoEstimate("The likelihood can't be raised any further from a point that is not its maximum.", code="no-ascent")
        state.arrays["theta"] = state.arrays["base_theta"] + state.arrays["step"] * 0.5 ** state.meta["halvings"]
        return False
    return True


def settled(task: "LikelihoodTask", state: State, score: Array, information: Array, *, curvature: Array) -> bool:
    """Whether score' information⁻¹ score is small enough; if it is not, the next point is a step curvature⁻¹ score away.

    Raises NoEstimate where the information is not positive definite any more.
    """
    try:
        step, decrement = solve(curvature, score), float(score @ solve(information, score))
    except np.linalg.LinAlgError:
        raise separation(task, state, state.arrays.get("step", state.arrays["theta"])) from None
    decrement /= task.dispersion(state, state.meta["base_ll"])
    last = state.meta.get("decrement")
    state.meta["slow"] = state.meta.get("slow", 0) + 1 if last and decrement > 0.15 * last else 0
    state.meta |= {"decrement": decrement, "halvings": 0, "evaluations": state.meta.get("evaluations", 0) + 1}
    state.arrays |= {"base_score": score, "base_information": information, "step": step}
    if decrement <= CONVERGED:
        return True
    state.arrays["theta"] = state.arrays["base_theta"] + step
    return False
