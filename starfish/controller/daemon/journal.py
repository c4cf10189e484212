"""What a site has seen and done, in SQLite: its runs, its workers, its events. What its guard keeps is in the same file."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from starfish.controller.guard import answers, audit, holds, rows

BatchKey = tuple[int, int]
"""Project id and batch number."""
Level = Literal["info", "warning", "error"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    run INTEGER PRIMARY KEY, project INTEGER NOT NULL, batch INTEGER NOT NULL, coordinates INTEGER NOT NULL,
    failed INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS prepared (run INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS worker (
    project INTEGER NOT NULL, batch INTEGER NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, PRIMARY KEY (project, batch)
);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, project INTEGER, batch INTEGER, level TEXT NOT NULL,
    public TEXT NOT NULL, private TEXT
);
CREATE INDEX IF NOT EXISTS event_of_batch ON event (project, batch, id);
"""
SCHEMAS = (SCHEMA, audit.SCHEMA, answers.SCHEMA, holds.SCHEMA, rows.SCHEMA)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A line for this site's people; `private` may name rows and values, `public` is what others may be told."""

    id: int
    at: str
    level: str
    public: str
    private: str | None


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """A run that this site has taken up. `failed`: it has told why; `finished`: nothing is left to do."""

    run: int
    project: int
    batch: int
    coordinates: bool
    failed: bool
    finished: bool


class Journal:
    """journal.sqlite3; safe to share between threads, and between the daemon and the command line."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=20, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + "".join(SCHEMAS))
        path.chmod(0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def take_up(self, run: int, batch: BatchKey, *, coordinates: bool) -> None:
        """Remember a run; one that was finished (a batch that is restarted) is live again."""
        with self.write() as db:
            db.execute(
                "INSERT INTO run (run, project, batch, coordinates) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (run) DO UPDATE SET finished = 0 WHERE finished",
                (run, *batch, coordinates),
            )

    def known(self, run: int) -> KnownRun | None:
        return next(self._runs("WHERE run = ?", run), None)

    def unfinished(self) -> list[KnownRun]:
        return list(self._runs("WHERE NOT finished ORDER BY run"))

    def mark(self, run: int, *, failed: bool | None = None, finished: bool | None = None) -> None:
        with self.write() as db:
            if failed is not None:
                db.execute("UPDATE run SET failed = ? WHERE run = ?", (failed, run))
            if finished is not None:
                db.execute("UPDATE run SET finished = ? WHERE run = ?", (finished, run))

    def prepared(self, run: int) -> bool:
        """Whether this site has said that its rows are prepared, in the run's present attempt."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM prepared WHERE run = ?", (run,)).fetchone() is not None

    def mark_prepared(self, run: int, *, prepared: bool) -> None:
        with self.write() as db:
            db.execute("INSERT OR IGNORE INTO prepared VALUES (?)" if prepared else "DELETE FROM prepared WHERE run = ?", (run,))

    def worker_began(self, batch: BatchKey, pid: int, started: float) -> None:
        with self.write() as db:
            db.execute("INSERT OR REPLACE INTO worker VALUES (?, ?, ?, ?)", (*batch, pid, started))

    def worker_ended(self, batch: BatchKey) -> None:
        with self.write() as db:
            db.execute("DELETE FROM worker WHERE project = ? AND batch = ?", batch)

    def workers(self) -> list[tuple[BatchKey, int, float]]:
        """Processes that were begun and not known to have ended: batch, pid, start time."""
        with self._lock:
            rows = self._db.execute("SELECT project, batch, pid, started FROM worker").fetchall()
        return [((project, batch), pid, started) for project, batch, pid, started in rows]

    def log(self, batch: BatchKey | None, level: Level, public: str, private: str | None = None) -> None:
        with self.write() as db:
            db.execute(
                "INSERT INTO event (at, project, batch, level, public, private) VALUES (?, ?, ?, ?, ?, ?)",
                (_now(), *(batch or (None, None)), level, public, private),
            )

    def events(self, batch: BatchKey | None = None, *, after: int = 0) -> list[Event]:
        """Of one batch, or of the site itself, in their order."""
        where = "project = ? AND batch = ?" if batch else "project IS NULL"
        with self._lock:
            rows = self._db.execute(
                f"SELECT id, at, level, public, private FROM event WHERE {where} AND id > ? ORDER BY id", (*(batch or ()), after)
            ).fetchall()
        return [Event(id=nr, at=at, level=level, public=public, private=private) for nr, at, level, public, private in rows]

    def departures(self, batch: BatchKey) -> list[tuple[str, str, int, str]]:
        """What left in a batch: what, name, size, SHA-256."""
        with self.read() as db:
            left = [entry for row in audit.rows(db, contents=False) if (entry := audit.entry(row)).kind == "departure"]
        return [
            (entry.detail["what"], entry.detail["name"], entry.detail["size"], entry.detail["sha256"])
            for entry in left
            if (entry.project, entry.batch) == batch
        ]

    def _runs(self, where: str, *values: object) -> Iterator[KnownRun]:
        with self._lock:
            rows = self._db.execute(f"SELECT run, project, batch, coordinates, failed, finished FROM run {where}", values).fetchall()
        for run, project, batch, coordinates, failed, finished in rows:
            yield KnownRun(
                run=run, project=project, batch=batch, coordinates=bool(coordinates), failed=bool(failed), finished=bool(finished)
            )

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The database, for this thread alone; nothing is to be written."""
        with self._lock:
            yield self._db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block is on the disk when it ends, or nothing where it raises."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
