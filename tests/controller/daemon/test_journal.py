"""The journal: what must be there after a crash, and for two processes at once."""

import sqlite3
import threading
from pathlib import Path

import pytest

from starfish.controller.daemon.journal import Journal
from starfish.controller.guard import audit

BATCH = (7, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


def test_all_is_there_for_the_next_daemon(path: Path) -> None:
    with Journal(path) as journal:
        journal.take_up(11, BATCH, coordinates=True)
        journal.mark(11, failed=True)
        journal.worker_began(BATCH, 4711, 1.5)
        journal.log(BATCH, "error", "a row is refused", "row 3 is refused: 'x'")
        with journal.write() as db:
            audit.append(db, "departure", BATCH, {"what": "update", "name": "mid-artifacts", "size": 3, "sha256": "ab"})
    with Journal(path) as journal:
        known = journal.known(11)
        assert known is not None
        assert (known.project, known.batch) == BATCH
        assert known.coordinates
        assert known.failed
        assert not known.finished
        assert journal.workers() == [(BATCH, 4711, 1.5)]
        [event] = journal.events(BATCH)
        assert (event.level, event.public, event.private) == ("error", "a row is refused", "row 3 is refused: 'x'")
        assert journal.departures(BATCH) == [("update", "mid-artifacts", 3, "ab")]
        journal.worker_ended(BATCH)
        assert journal.workers() == []


def test_a_finished_run_is_live_again_once_it_is_taken_up(path: Path) -> None:
    with Journal(path) as journal:
        journal.take_up(11, BATCH, coordinates=False)
        journal.mark(11, failed=True, finished=True)
        assert journal.unfinished() == []
        journal.take_up(11, BATCH, coordinates=False)
        [again] = journal.unfinished()
        assert again.failed, "what failed is still to be forgotten, by the step that does so"


def test_events_of_a_batch_and_of_the_site_stay_apart_and_go_on_from_a_position(path: Path) -> None:
    with Journal(path) as journal:
        journal.log(BATCH, "info", "one")
        journal.log(None, "warning", "the site's")
        journal.log((7, 3), "info", "another batch's")
        journal.log(BATCH, "info", "two")
        assert [event.public for event in journal.events(BATCH)] == ["one", "two"]
        first = journal.events(BATCH)[0].id
        assert [event.public for event in journal.events(BATCH, after=first)] == ["two"]
        assert [event.public for event in journal.events()] == ["the site's"]


def test_many_threads_and_two_connections_lose_nothing(path: Path) -> None:
    with Journal(path) as daemon, Journal(path) as command:
        threads = [
            threading.Thread(target=lambda journal=journal: [journal.log(BATCH, "info", "line") for _ in range(20)])
            for journal in (daemon, daemon, command, command)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(command.events(BATCH)) == 80


def test_it_is_for_its_owner_alone_and_survives_a_power_cut(path: Path) -> None:
    with Journal(path):
        assert path.stat().st_mode & 0o077 == 0
        with sqlite3.connect(path) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()
