"""What sums can't be, whosever they are: less than one of their terms, or more than any rows can make them."""

from collections.abc import Mapping

import numpy as np

from starfish.tasks.likelihood.state import State
from starfish.tasks.updates import Expected

Array = np.ndarray
Sums = Mapping[str, Array]
SLACK = 1e-9
"""Rounding of a sum, relative to it: more than sums over sites differ by."""
EPSILON = 1e-14
"""Rounding of a mean, relative to it."""
NOTHING = {"ll": np.zeros(()), "score": np.zeros(())}


def beyond_own(sums: Sums, own: Mapping[str, Array], expected: Expected) -> str | None:
    """What sums lack that one of their terms has: of the rest no count can be negative, and no information."""
    for name in (*expected.counts, *expected.squares):
        if name in sums and (sums[name] < own[name] - SLACK * np.abs(own[name])).any():
            return f"'{name}' is less than this site's own"
    for name in expected.information:
        size = float(max(np.abs(sums[name]).max(initial=0.0), np.abs(own[name]).max(initial=0.0)))
        if size and float(np.linalg.eigvalsh((sums[name] - own[name]) / size).min()) < -SLACK:
            return f"'{name}' is less than this site's own"
    return None


def apart(weight: str, squares: str, sums: Sums, own: Mapping[str, Array]) -> str | None:
    """The same of moments, whose squares are about other means: Chan's merge undone."""
    mine, total = float(own[weight]), float(sums[weight])
    left = total - mine
    if left < -SLACK * total:
        return f"'{weight}' is less than this site's own"
    shift = np.maximum(np.abs(sums["mean"] - own["mean"]) - EPSILON * np.abs(sums["mean"]), 0.0)
    between = mine * total / left * shift * shift if left > SLACK * total else np.zeros(len(shift))
    all_squares, own_squares = (array if array.ndim == 1 else np.diag(array) for array in (sums[squares], own[squares]))
    alone = left <= SLACK * total and (shift > 1e-6 * (np.abs(own["mean"]) + np.sqrt(own_squares / mine))).any()
    if alone or (all_squares - own_squares - between < -SLACK * (all_squares + between)).any():
        return f"'mean' and '{squares}' can't be of rows that this site's own are among"
    return None


def beyond_rows(state: State, sums: Sums, own: Mapping[str, Array] = NOTHING) -> str | None:
    """What no rows of a binary outcome can make of the sums, whosever they are.

    With r the rows' residuals, |r| <= 1 and r^2 <= |r| <= -ll of each: a score is at most (sum w z^2)^½ (sum w r^2)^½, and the columns
    z are standardised. A log-likelihood is not above 0.
    """
    rest, weight = float(sums["ll"] - own["ll"]), float(state.meta["weight"])
    if rest > SLACK * abs(float(sums["ll"])):
        return "'ll' is above what any rows can have"
    size = np.full(len(sums["score"]), weight)
    if len(size) == len(state.arrays["sd"]):  # no intercept: columns are not centred
        size = weight * (1.0 + (state.arrays["mean"] / state.arrays["sd"]) ** 2)
    if (np.abs(sums["score"] - own["score"]) > np.sqrt(size * min(weight, max(-rest, 0.0))) + SLACK * size).any():
        return "'score' is more than any rows can make it"
    return None
