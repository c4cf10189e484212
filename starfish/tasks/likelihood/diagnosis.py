"""Why the pooled rows have no answer: columns that can't be told apart, and estimates that grow without end."""

from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.errors import NoEstimate
from starfish.tasks.likelihood.linalg import dependent_columns, smallest_eigenvalue
from starfish.tasks.likelihood.state import State

if TYPE_CHECKING:
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
SLOW = 1e-8
"""A gain below which Newton's method, were there a maximum, would be converging quadratically."""
FADED = 1e-4
"""Part of the information's smallest eigenvalue that is left where an estimate grows without end, at most."""


def refuse_dependent(names: list[str], information: Array) -> None:
    """Raises NoEstimate where a column of the information depends on those before it."""
    dropped = [names[j] for j in dependent_columns(information)]
    if dropped:
        composed = "^" in dropped[0] or ":" in dropped[0]
        power = " Powers and products of variables far from 0 are told apart when these are centred: I(center(x)^2)." if composed else ""
        raise NoEstimate(
            f"{', '.join(dropped)}: can't be told apart from the terms before in the pooled rows (collinear). Take it out of the formula."
            f"{power}",
            code="collinear",
            variable=dropped[0],
        )


def grows_without_end(task: "LikelihoodTask", state: State) -> bool:
    """Newton converges quadratically to a finite maximum; where there is none, the gains shrink by a constant factor, an estimate
    grows by a constant step, and the information's smallest eigenvalue goes to 0."""
    slow, last = state.meta["slow"], state.meta["round"] >= task.config.total_round
    if not (slow >= 2 and (state.meta["decrement"] < SLOW or (last and slow >= 3))):
        return False
    return bool(smallest_eigenvalue(state.arrays["base_information"]) < FADED * state.meta["first_eigenvalue"])


def separation(task: "LikelihoodTask", state: State, step: Array) -> NoEstimate:
    """Names the columns that grow; an intercept only where no slope does."""
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
