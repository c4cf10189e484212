"""The analysis rows of a batch, frozen: every round of every task reads these, whatever happens to the source meanwhile."""

import hashlib
from pathlib import Path

import numpy as np

from starfish.controller.worker.folder import BatchFolder
from starfish.tasks.api import Rows
from starfish.tasks.payload import Payload


def freeze(rows: Rows, path: Path) -> str:
    """Write `rows` durably; returns the SHA-256 of the file, the same for the same rows."""
    numbers = {name: column for name, column in rows.columns.items() if column.dtype.kind != "O"}
    texts = {name: column.tolist() for name, column in rows.columns.items() if column.dtype.kind == "O"}
    data = Payload(meta={"kind": "rows", "n": rows.n, "texts": texts}, arrays=numbers).to_bytes()
    BatchFolder.write(path, data)
    return hashlib.sha256(data).hexdigest()


def thaw(path: Path) -> Rows:
    """The rows that `freeze` wrote."""
    payload = Payload.from_bytes(path.read_bytes())
    texts = {name: np.array(column, dtype=object) for name, column in payload.meta["texts"].items()}
    return Rows(n=payload.meta["n"], columns={**payload.arrays, **texts})
