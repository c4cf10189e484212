"""The one door: whatever leaves is in the journal first, with digest and size."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from starfish.controller.daemon.journal import Journal
from starfish.controller.errors import HomeError
from starfish.controller.guard import egress
from starfish.controller.guard.policy import preset

BATCH = (1, 1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite3") as made:
        yield made


@pytest.mark.parametrize("as_file", [False, True])
def test_a_departure_is_journalled_as_it_leaves(journal: Journal, tmp_path: Path, as_file: bool) -> None:
    data = b"an update"
    (tmp_path / "file").write_bytes(data)
    departure = egress.release(journal, preset("open"), BATCH, "update", "mid-artifacts", tmp_path / "file" if as_file else data)
    assert departure.size == len(data)
    assert departure.sha256 == hashlib.sha256(data).hexdigest()
    assert journal.departures(BATCH) == [("update", "mid-artifacts", len(data), departure.sha256)]


def test_a_failure_notice_has_the_public_part_alone() -> None:
    notice = json.loads(egress.failure_notice("type", "'age' is no number", "age", 2))
    assert notice == {"code": "type", "message": "'age' is no number", "variable": "age", "task_seq": 2}


def test_what_no_policy_allows_stays_and_is_not_journalled(journal: Journal) -> None:
    with pytest.raises(HomeError, match="lets no update leave"):
        egress.release(journal, preset("standard"), BATCH, "update", "mid-artifacts", b"an update")
    assert journal.departures(BATCH) == []
