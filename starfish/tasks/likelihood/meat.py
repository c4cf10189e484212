"""The middle of the sandwich, at the pooled estimate and with pooled leverages: robust standard errors, exactly.

Sources: White (1980); MacKinnon and White (1985) for HC1 to HC3; Liang and Zeger (1986) for clusters.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.disclosure import Limits
from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood.contained import Sums, beyond_own
from starfish.tasks.likelihood.judged import judge, judge_scores
from starfish.tasks.likelihood.linalg import inverse, leverages
from starfish.tasks.likelihood.newton import at_pooled, embedded, own_theta, scattered, symmetric
from starfish.tasks.likelihood.scaling import standardised
from starfish.tasks.likelihood.stages import AtParameters, Updates
from starfish.tasks.likelihood.state import State
from starfish.tasks.payload import Payload
from starfish.tasks.summation import CompensatedSum
from starfish.tasks.updates import Expected, Shape

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
ALONE = 1e-10


class Meat(AtParameters):
    """The sum of squared scores, by row or by cluster."""

    name = "meat"

    def reads(self, task: "LikelihoodTask", state: State) -> dict[str, Shape]:
        size = task.layout(state).pooled
        return super().reads(task, state) | ({"base_information": (size, size)} if task.se_type in ("HC2", "HC3") else {})

    def local(self, task: "LikelihoodTask", rows: "Rows", state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        rows = task.training(rows, site)
        local = task.question.local(rows, state.moments)
        layout = task.layout(state)
        z = standardised(local.x, layout, state)
        point = task.pointwise(z @ own_theta(layout, state, site) + local.offset, local.y - state.origin)
        # A frequency weight is so many rows, each with its own square; any other weight is part of its row's score.
        copies = local.weights if task.config.weights == "frequency" else np.ones(rows.n)
        weights = local.weights / copies
        scores = z * (weights * point.slope)[:, None]
        if task.se_type in ("HC2", "HC3"):
            indices = layout.indices(state.place(site))
            own = inverse(state.arrays["base_information"])[np.ix_(indices, indices)]
            left = 1.0 - leverages(z, own, weights * point.curvature)
            # A row that a parameter fits by itself has leverage 1 and residual 0: it adds nothing.
            left = np.where(left > ALONE, left, np.inf)
            scores /= (left ** (0.5 if task.se_type == "HC2" else 1.0))[:, None]
        if limits.oracle:
            judge(limits, task, local, point)
            judge_scores(scores)
        if local.cluster is None:
            return {"meat": symmetric(scores.T @ (scores * copies[:, None])), "groups": np.array(float(len(z)))}
        groups = int(local.cluster.max(initial=-1)) + 1
        summed = np.zeros((groups, z.shape[1]))
        np.add.at(summed, local.cluster, scores * copies[:, None])
        return {"meat": symmetric(summed.T @ summed), "groups": np.array(float(groups))}

    def shapes(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = task.layout(state).local
        return {"meat": (size, size), "groups": ()}

    def expected(self, task: "LikelihoodTask", state: State) -> Expected:
        shapes = self.shapes(task, state)
        return Expected(stage=self.name, shapes=shapes, information=("meat",), counts=("groups",), whole=("groups",))

    def fold(self, task: "LikelihoodTask", updates: Updates, state: State) -> Sums:
        layout = task.layout(state)
        meat, groups = CompensatedSum(), CompensatedSum()
        by_row = None if task.se_type == "cluster" else "groups"
        for indices, update in embedded(self.checked(task, updates, state), layout, state, rows=by_row):
            meat.add(scattered(update.arrays["meat"], indices, (layout.pooled, layout.pooled)))
            groups.add(update.arrays["groups"])
        return {"meat": meat.total, "groups": groups.total}

    def carried(self, task: "LikelihoodTask", state: State) -> Mapping[str, Shape]:
        size = task.layout(state).pooled
        return {"meat": (size, size), "groups": ()}

    def plausible(self, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> str | None:
        return beyond_own(sums, at_pooled(own, task.layout(state), state, site), self.expected(task, state))

    def follow(self, task: "LikelihoodTask", state: State, sums: Sums) -> bool:
        state.arrays["meat"] = sums["meat"]
        state.meta["groups"] = float(sums["groups"])
        if task.se_type == "cluster" and sums["groups"] < 2:
            raise NoEstimate(
                f"{task.question.cluster}: all rows are of one cluster, which has no variance between clusters.",
                code="too-few-clusters",
                variable=task.question.cluster,
            )
        return True
