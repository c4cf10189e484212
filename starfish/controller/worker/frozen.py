"""The analysis rows of a batch, frozen: every round of every task reads these, whatever happens to the source meanwhile."""

from pathlib import Path

import numpy as np

from starfish.controller.data import complete_mask
from starfish.controller.files import write_pieces
from starfish.tasks.api import Rows, Task
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.payload import Payload
from starfish.tasks.tensors import TooMuchText


class FrozenRows:
    """Rows that nobody can change, and those of them that a task reads: kept from one of its rounds to the next."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._variables: tuple[str, ...] = ()
        self._complete = rows

    def of(self, task: Task) -> Rows:
        """The rows that are complete for this task, or all where it reads all."""
        variables = task.variables if task.complete_cases else ()
        if variables != self._variables:
            mask = complete_mask(self.rows, variables)
            self._complete = self.rows if mask.all() else _fixed(self.rows.take(mask))
            self._variables = variables
        return self._complete

    def used(self, task: Task, site: str) -> np.ndarray:
        """Which of all these rows (bool, shape (n,)) the task's estimates are of."""
        used = complete_mask(self.rows, task.variables if task.complete_cases else ())
        used[used] = task.chosen(self.of(task), site=site)
        return used


def freeze(rows: Rows, path: Path) -> str:
    """Write `rows` durably; returns the SHA-256 of the file, the same for the same rows. Raises SiteRefusal for too much text."""
    numbers = {name: column for name, column in rows.columns.items() if column.dtype.kind != "O"}
    texts = {name: column.tolist() for name, column in rows.columns.items() if column.dtype.kind == "O"}
    payload = Payload(meta={"kind": "rows", "n": rows.n, "texts": texts}, arrays=numbers)
    try:
        return write_pieces(path, payload.pieces()).sha256
    except TooMuchText as error:
        raise SiteRefusal(
            f"The text and id variables ({', '.join(sorted(texts))}) hold more text than can be kept of a site's rows ({error}). "
            "Take out of the project what no task reads, or shorten the ids.",
            code="too-much-text",
        ) from error


def thaw(path: Path) -> FrozenRows:
    """The rows that `freeze` wrote; numbers are views of the file."""
    payload = Payload.map(path)
    texts = {name: np.array(column, dtype=object) for name, column in payload.meta["texts"].items()}
    return FrozenRows(_fixed(Rows(n=payload.meta["n"], columns={**payload.arrays, **texts})))


def _fixed(rows: Rows) -> Rows:
    for column in rows.columns.values():
        column.flags.writeable = False
    return rows
