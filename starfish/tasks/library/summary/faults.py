"""What no rows can make of a summary's update, looked at by the coordinator before it counts."""

from collections.abc import Sequence

import numpy as np

from starfish.tasks.payload import Payload
from starfish.tasks.updates import LARGEST_NUMBER


def cell_faults(update: Payload, *, levelled: Sequence[str]) -> str | None:
    """n and sums of squares are no negative numbers, rows are whole, and no cell has more values than its group has rows."""
    arrays, cells = update.arrays, update.arrays["cells"]
    if (cells[:, :, 0] < 0).any() or (cells[:, :, 2] < 0).any():
        return "'cells' has a negative number of values or sum of squares"
    if (np.abs(cells[:, :, 1]) > LARGEST_NUMBER).any():
        return "'cells' has a mean that is larger than any rows can make it"
    if (cells[:, :, 0] > arrays["rows"]).any():
        return "'cells' has more values than rows"
    if any((counts != np.floor(counts)).any() for counts in (arrays["rows"], cells[:, :, 0])):
        return "'rows' or 'cells' has a number of rows that is not whole"
    if not np.isin(arrays["withheld"], (0.0, 1.0)).all():
        return "'withheld' is neither 0 nor 1"
    if cells[arrays["withheld"][: len(cells)] > 0].any():
        return "'cells' tells what is withheld"
    for name, withheld in zip(levelled, arrays["withheld"][len(cells) :], strict=True):
        expected = arrays["rows"] * (withheld == 0)
        if (arrays[f"levels:{name}"].sum(axis=1) != expected).any():
            return f"'levels:{name}' does not add up to its rows"
    return None


def count_faults(update: Payload) -> str | None:
    """Counts rise with their points, and nothing is told of what is withheld."""
    below, withheld = update.arrays["below"], update.arrays["withheld"]
    if (np.diff(below, axis=-1) < 0).any() or (below != np.floor(below)).any():
        return "'below' has counts that are none, or fall where the points rise"
    if not np.isin(withheld, (0.0, 1.0)).all():
        return "'withheld' is neither 0 nor 1"
    return "'below' counts what is withheld" if below[withheld > 0].any() else None
