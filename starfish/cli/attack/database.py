"""The database and the files, in the attacker's hands: read, written, and put back to what they were."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BUSY_S = 20
FAILED = 0


@dataclass(frozen=True, kw_only=True)
class Database:
    """SQLite, as the Routing Server has it open; `artifacts`: the folder of its files."""

    path: Path
    artifacts: Path

    def rows(self, query: str, *values: object) -> list[Row]:
        with self._open() as db:
            return [dict(row) for row in db.execute(query, values)]

    def do(self, query: str, *values: object) -> None:
        with self._open() as db:
            db.execute(query, values)

    def insert(self, table: str, **values: object) -> int:
        """A row with what every such row needs besides; its id."""
        with self._open() as db:
            columns = {row["name"]: row for row in db.execute(f"PRAGMA table_info({table})")}
            now = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ")
            times = {name: now for name in ("created_at", "updated_at", "at", "last_seen_at") if name in columns}
            row = {**times, **values}
            names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
            return int(db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values())).lastrowid or 0)

    def copy_row(self, table: str, row: Mapping[str, Any], **changed: object) -> int:
        """The same row again, but for what is changed."""
        return self.insert(table, **{key: value for key, value in row.items() if key != "id"} | changed)

    def tables(self) -> Iterator[tuple[str, Row]]:
        """Every row of every table."""
        names = [row["name"] for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in self.rows(f'SELECT * FROM "{name}"'):
                yield name, row

    def files(self) -> list[Path]:
        """All that it has stored: artifacts, and the database's own files."""
        own = self.path.parent.glob(f"{self.path.name}*")
        return [path for path in [*own, *self.artifacts.rglob("*")] if path.is_file()]

    def file(self, project: int, batch: int, site: str, kind: str, at: tuple[int, int]) -> bytes:
        """An artifact that a site has sent in a round. Raises LookupError."""
        found = self.rows(
            "SELECT a.key FROM router_artifact a JOIN router_run r ON r.id = a.run_id JOIN router_batch b ON b.id = r.batch_id "
            "JOIN router_site s ON s.id = r.site_id "
            "WHERE b.project_id = ? AND b.number = ? AND s.name = ? AND a.kind = ? AND a.task_seq = ? AND a.round_seq = ?",
            project, batch, site, kind, *at,
        )  # fmt: skip
        if not found:
            raise LookupError(f"{site} has sent nothing of this kind in task {at[0]}, round {at[1]} of batch {batch}")
        return next(path for path in self.artifacts.rglob("*") if str(path).endswith(found[0]["key"])).read_bytes()

    def runs(self, project: int, batch: int) -> list[Row]:
        return self.rows(
            "SELECT r.*, s.name AS site FROM router_run r JOIN router_batch b ON b.id = r.batch_id JOIN router_site s ON s.id = r.site_id "
            "WHERE b.project_id = ? AND b.number = ? ORDER BY r.id",
            project, batch,
        )  # fmt: skip

    def batch(self, project: int, number: int) -> Row:
        return self.rows("SELECT * FROM router_batch WHERE project_id = ? AND number = ?", project, number)[0]

    def delete_batch(self, batch: int) -> None:
        """And all that hangs on it."""
        for table in ("artifact", "upload", "runlines", "runprogress", "runtransition"):
            self.do(f"DELETE FROM router_{table} WHERE run_id IN (SELECT id FROM router_run WHERE batch_id = ?)", batch)
        self.do("DELETE FROM router_run WHERE batch_id = ?", batch)
        self.do("DELETE FROM router_batch WHERE id = ?", batch)

    def end(self, project: int) -> None:
        """No batch of a project is active any more."""
        self.do(
            "UPDATE router_run SET status = ? WHERE status BETWEEN 1 AND 7 "
            "AND batch_id IN (SELECT id FROM router_batch WHERE project_id = ?)",
            FAILED, project,
        )  # fmt: skip

    def copy(self, to: Path) -> "Database":
        """As it is now."""
        with closing(sqlite3.connect(self.path, timeout=BUSY_S)) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)
        return Database(path=to, artifacts=self.artifacts)

    @contextmanager
    def rolled_back(self, to: "Database", aside: Path) -> Iterator[None]:
        """What it was then, meanwhile; afterwards what it is now."""
        present = self.copy(aside)
        try:
            to.copy(self.path)
            yield
        finally:
            present.copy(self.path)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_S)) as db:
            db.row_factory = sqlite3.Row
            db.text_factory = lambda data: data.decode("utf-8", "replace")
            with db:
                yield db
