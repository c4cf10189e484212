"""Whether an update counts: checked at the coordinator, array by array, before it is added to anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from starfish.tasks.errors import BadUpdate
from starfish.tasks.payload import Payload

Shape = tuple[int, ...]
MOST_ROWS, LARGEST_NUMBER, LARGEST_SQUARE = 1e30, 1e130, 1e260
"""More than rows of values up to 1e100 and weights up to 1e20 can come to, and little enough to be multiplied and added."""


def no_faults(update: Payload) -> str | None:
    """Nothing else is wrong."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The stage that an update must be of, and its arrays by shape (float64, finite).

    `information` are symmetric and not negative, `counts` (of rows, or of their weights) and `squares` (sums of squares) not
    negative, `sums` like squares, but of either sign, `whole` numbers of rows; `faults` says what else is wrong with such an update.
    """

    stage: str
    shapes: Mapping[str, Shape]
    information: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    squares: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    faults: Callable[[Payload], str | None] = no_faults


def checked(updates: Iterable[tuple[str, Payload]], expected: Expected) -> Iterator[tuple[str, Payload]]:
    """The updates, each looked at as it comes. Raises BadUpdate, which names the site."""
    for site, update in updates:
        reason = _fault(update, expected)
        if reason:
            raise BadUpdate(f"The update does not count: {reason}.", site=site)
        yield site, update


def _fault(update: Payload, expected: Expected) -> str | None:
    if update.meta.get("stage") != expected.stage:
        return f"it is of stage {str(update.meta.get('stage'))[:40]!r}, not {expected.stage!r}"
    if set(update.arrays) != set(expected.shapes):
        return f"it holds the arrays {sorted(update.arrays)}, not {sorted(expected.shapes)}"
    for name, shape in expected.shapes.items():
        array = update.arrays[name]
        if array.dtype != np.float64 or array.shape != shape:
            return f"'{name}' is {array.dtype} of shape {array.shape}, not float64 of shape {shape}"
        if not np.isfinite(array).all():
            return f"'{name}' has a number that is not finite"
        if float(np.abs(array).max(initial=0.0)) > _most(name, expected):
            return f"'{name}' has a number that is larger than any rows can make it"
    for name in (*expected.counts, *expected.squares):
        if (update.arrays[name] < 0).any():
            return f"'{name}' has a negative number"
    for name in expected.whole:
        if (update.arrays[name] != np.floor(update.arrays[name])).any():
            return f"'{name}' is no number of rows"
    fault = next((fault for name in expected.information if (fault := _not_information(name, update.arrays[name]))), None)
    return fault or expected.faults(update)


def _most(name: str, expected: Expected) -> float:
    if name in expected.counts:
        return MOST_ROWS
    return LARGEST_SQUARE if name in (*expected.information, *expected.squares, *expected.sums) else LARGEST_NUMBER


def _not_information(name: str, matrix: np.ndarray) -> str | None:
    size = float(np.abs(matrix).max(initial=0.0))
    if size and float(np.abs(matrix - matrix.T).max()) > 1e-9 * size:
        return f"'{name}' is not symmetric"
    if size and float(np.linalg.eigvalsh(matrix / size).min()) < -1e-9 * len(matrix):
        return f"'{name}' has a negative eigenvalue"
    return None
