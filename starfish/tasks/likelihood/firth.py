"""Firth's penalty: the likelihood times the root of the information's determinant, whose maximum is always finite.

Two rounds a point: the sums, from which the pooled information follows; then, at the same point, each site's part of the score's
adjustment. That needs the leverages of its rows, and these need nothing of other sites but the pooled information: it is exact.
The leverages' own change is in no sum: without it Newton's steps, and those of other programs, converge but linearly. It is learnt
from the scores of the last points (symmetric rank one), which halves the rounds.
Sources: Firth (1993), Biometrika 80, 27-38; Heinze and Schemper (2002), Statistics in Medicine 21, 2409-2419; Nocedal and Wright
(2006), Numerical Optimization, section 6.2.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from starfish.tasks.disclosure import Limits
from starfish.tasks.likelihood.contained import Sums, beyond_own
from starfish.tasks.likelihood.judged import judge, judge_information
from starfish.tasks.likelihood.linalg import inverse, leverages, log_determinant, quadratic_form
from starfish.tasks.likelihood.newton import Newton, accepted, at_pooled, embedded, own_theta, scattered, settled, symmetric
from starfish.tasks.likelihood.scaling import standardised
from starfish.tasks.likelihood.stages import Updates
from starfish.tasks.likelihood.state import State
from starfish.tasks.payload import Payload
from starfish.tasks.summation import CompensatedSum
from starfish.tasks.updates import Expected, Shape

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
MEMORY = 6
"""Steps from whose change of the score the curvature is learnt."""
NEAR = 1.0
"""The decrement from which on it is."""


class Penalised(Newton):
    """Newton on ll + log|I| / 2. Where `meta` says so, the round is one for the adjustment."""

    def reads(self, task: "LikelihoodTask", state: State) -> dict[str, Shape]:
        size = task.layout(state).pooled
        return super().reads(task, state) | ({"base_information": (size, size)} if self._adjusting(state) else {})

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        if not self._adjusting(state):
            return super().local(task, rows, state, site, limits)
        rows = task.training(rows, site)
        local = task.question.local(rows, state.moments)
        z = standardised(local.x, task.layout(state), state)
        point = task.pointwise(z @ own_theta(task.layout(state), state, site) + local.offset, local.y)
        indices = task.layout(state).indices(state.place(site))
        own = inverse(state.arrays["base_information"])[np.ix_(indices, indices)]
        curvature = local.weights * point.curvature
        leverage = leverages(z, own, curvature)
        # Half a leverage is added to each row as an event and as a non-event, so much is added to its curvature.
        added = np.divide(curvature, local.weights) * leverage
        found = {
            "n": np.array(float(rows.n)),
            "adjustment": z.T @ (0.5 * leverage * point.growth),
            "added": symmetric(z.T @ (z * added[:, None])),
        }
        if limits.oracle:
            judge(limits, task, local, point)
            judge_information(limits, z, added, found["added"])
        return found

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        if not self._adjusting(state):
            return super().shapes(task, state)
        size = task.layout(state).local
        return {"n": (), "adjustment": (size,), "added": (size, size)}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        information = "added" if self._adjusting(state) else "information"
        return Expected(stage=self.name, shapes=self.shapes(task, state), counts=("n",), information=(information,))

    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
        if not self._adjusting(state):
            return super().fold(task, updates, state)
        layout = task.layout(state)
        adjustment, added = CompensatedSum(), CompensatedSum()
        for indices, update in embedded(self.checked(task, updates, state), layout, state):
            adjustment.add(scattered(update.arrays["adjustment"], indices, (layout.pooled,)))
            added.add(scattered(update.arrays["added"], indices, (layout.pooled, layout.pooled)))
        return {"adjustment": adjustment.total, "added": added.total}

    def carried(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        if not self._adjusting(state):
            return super().carried(task, state)
        size = task.layout(state).pooled
        return {"adjustment": (size,), "added": (size, size)}

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        if not self._adjusting(state):
            return super().plausible(task, state, sums, own, site)
        own_sums = at_pooled(own, task.layout(state), state, site)
        return beyond_own(sums, own_sums, self.expected(task, state))

    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        if not self._adjusting(state):
            return super().follow(task, state, sums)
        information = state.arrays["base_information"]
        state.meta["adjusting"] = False
        score = state.arrays["base_score"] + sums["adjustment"]
        return settled(task, state, score, information, curvature=self._curvature(state, score, information + sums["added"]))

    def _curvature(self, state: State, score: Array, curvature: Array) -> Array:
        """The curvature with what the last points, as far as they were near the maximum, say of it."""
        if quadratic_form(score, state.arrays["base_information"])[0] > NEAR:
            return curvature
        for name, now in (("path_theta", state.arrays["base_theta"]), ("path_score", score)):
            before = state.arrays.get(name, np.zeros((0, len(score))))
            state.arrays[name] = np.vstack([before[-MEMORY:], now])
        return secant(curvature, state.arrays["path_theta"], state.arrays["path_score"])

    def advance(self, task: "LikelihoodTask", state: State, ll: float, score: Array, information: Array) -> bool:
        objective = ll + 0.5 * log_determinant(information)
        if accepted(task, state, objective, information):
            state.meta |= {"base_ll": ll, "base_objective": objective, "adjusting": True}
            state.arrays |= {"base_theta": state.arrays["theta"], "base_score": score, "base_information": information}
        return False

    @staticmethod
    def _adjusting(state: State) -> bool:
        return bool(state.meta.get("adjusting", False))


def secant(curvature: Array, thetas: Array, scores: Array) -> Array:
    """The curvature (p, p), corrected so that it explains how the scores (m, p) changed between the points (m, p).

    As it was where the correction is not positive definite.
    """
    corrected = curvature.copy()
    for step, change in zip(np.diff(thetas, axis=0), -np.diff(scores, axis=0), strict=True):
        left = change - corrected @ step
        along = float(left @ step)
        if abs(along) > 1e-8 * np.linalg.norm(left) * np.linalg.norm(step):
            corrected += np.outer(left, left) / along
    try:
        smallest = float(linalg.eigh(corrected, curvature, eigvals_only=True)[0])
    except np.linalg.LinAlgError:
        return curvature
    return symmetric(corrected) if smallest > 1e-3 else curvature
