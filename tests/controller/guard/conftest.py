"""A journal, and what the guard's tests let leave."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from starfish.controller.daemon.journal import Journal
from starfish.tasks.payload import Payload


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite3") as made:
        yield made


def update(seed: int = 0, numbers: int = 3) -> bytes:
    """An update of so many numbers, another for each seed."""
    return Payload(meta={"task": {}}, arrays={"score": np.arange(numbers, dtype=float) + seed}).to_bytes()
