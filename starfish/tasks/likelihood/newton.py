"""Safeguarded Newton on the sums of all sites.

The global model carries the sums at the point that the next one follows from (`base_*`) and how often the step was halved, so
that a site can recompute that it is asked for nothing but the Newton step or a halving of it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.errors import BadUpdate, NoEstimate
from starfish.tasks.likelihood.linalg import dependent_columns, quadratic_form, solve
from starfish.tasks.likelihood.scaling import Layout, standardised
from starfish.tasks.likelihood.stages import Stage, Updates
from starfish.tasks.likelihood.state import State
from starfish.tasks.payload import Payload
from starfish.tasks.summation import CompensatedSum
from starfish.tasks.updates import Expected, Shape

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
CONVERGED = 1e-12
HALVINGS = 30
LL_NOISE = 1e-11
"""A log-likelihood that falls by less than this part of itself has not fallen: its sum is not more exact."""


class Newton(Stage):
    """Log-likelihood, score and information at the current parameters, until the decrement g'I⁻¹g is at most 1e-12."""

    name = "sums"

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        local = task.question.local(rows, state.moments)
        layout = task.layout(state)
        z = standardised(local.x, layout, state)
        eta = z @ own_theta(layout, state, site) + local.offset
        point = task.pointwise(eta, local.y)
        return {
            "ll": np.array(float(local.weights @ point.ll)),
            "score": z.T @ (local.weights * point.slope),
            "information": symmetric(z.T @ (z * (local.weights * point.curvature)[:, None])),
        }

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = task.layout(state).local
        return {"ll": (), "score": (size,), "information": (size, size)}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        return Expected(stage=self.name, shapes=self.shapes(task, state), information=("information",))

    def pool(self, task: "LikelihoodTask", updates: Updates, state: State) -> bool:
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
        state.meta["homogeneity"] = [spread, rank - size]
        return _advance(task, state, float(ll.total), score.total, information.total)


def own_theta(layout: Layout, state: State, site: str) -> Array:
    """The parameters (of standardised columns) that this site's rows follow."""
    theta: Array = state.arrays["theta"][layout.indices(state.place(site))]
    return theta


def symmetric(matrix: Array) -> Array:
    half: Array = (matrix + matrix.T) / 2.0
    return half


def embedded(updates: Updates, layout: Layout, state: State) -> Iterator[tuple[Array, Payload]]:
    """Each update with the pooled positions of its parameters; all sites of the first round must be there. Raises BadUpdate."""
    seen = 0
    for site, update in updates:
        try:
            place = state.place(site)
        except ValueError:
            raise BadUpdate("The update does not count: the site did not take part in the task's first round.", site=site) from None
        seen += 1
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


def _advance(task: "LikelihoodTask", state: State, ll: float, score: Array, information: Array) -> bool:
    base = state.meta.get("base_ll")
    if base is None:
        _refuse_dependent(task, state, information)
    elif ll < base - LL_NOISE * (1.0 + abs(base)):
        _halve(state)
        return False
    try:
        step = solve(information, score)
    except np.linalg.LinAlgError:
        raise _separated(task, state, state.arrays.get("step", state.arrays["theta"])) from None
    decrement = float(score @ step) / task.dispersion(state, ll)
    ratio = decrement / state.meta["decrement"] if state.meta.get("decrement") else 0.0
    slow = state.meta.get("slow", 0) + 1 if ratio > 0.15 else 0
    state.meta |= {"base_ll": ll, "decrement": decrement, "halvings": 0, "slow": slow, "evaluations": state.meta.get("evaluations", 0) + 1}
    state.arrays |= {"base_theta": state.arrays["theta"], "base_score": score, "base_information": information, "step": step}
    # Newton converges quadratically to a finite maximum; a decrement that keeps shrinking by a constant factor has none.
    last = state.meta["round"] >= task.config.total_round
    if slow >= 2 and (decrement < 1e-8 or (last and slow >= 3)):
        raise _separated(task, state, step)
    if decrement <= CONVERGED:
        return True
    state.arrays["theta"] = state.arrays["theta"] + step
    return False


def _halve(state: State) -> None:
    state.meta["halvings"] += 1
    if state.meta["halvings"] > HALVINGS:
        raise NoEstimate("The likelihood can't be raised any further from a point that is not its maximum.", code="no-ascent")
    state.arrays["theta"] = state.arrays["base_theta"] + state.arrays["step"] * 0.5 ** state.meta["halvings"]


def _refuse_dependent(task: "LikelihoodTask", state: State, information: Array) -> None:
    names = task.layout(state).names()
    dropped = [names[j] for j in dependent_columns(information)]
    if dropped:
        raise NoEstimate(
            f"{', '.join(dropped)}: can't be told apart from the terms before in the pooled rows (collinear). Take it out of the formula.",
            code="collinear",
            variable=dropped[0],
        )


def _separated(task: "LikelihoodTask", state: State, step: Array) -> NoEstimate:
    layout = task.layout(state)
    size = np.abs(step)
    free = layout.pooled - layout.slopes
    if layout.slopes and size[free:].max() > 1e-3 * size[:free].max(initial=0.0):
        size[:free] = 0.0
    names = [name for name, grows in zip(layout.names(), size >= 0.3 * size.max(), strict=True) if grows]
    return NoEstimate(
        f"{', '.join(names)}: separates the outcomes in the pooled rows, so the estimate grows without end (separation). "
        + task.separation_advice,
        code="separation",
        variable=names[0],
    )
