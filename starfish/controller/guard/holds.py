"""Batches that wait for a person's approval, and who gave it for what."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starfish.controller.guard import audit

SCHEMA = """
CREATE TABLE IF NOT EXISTS hold (
    project INTEGER NOT NULL, batch INTEGER NOT NULL, terms TEXT NOT NULL, rows TEXT NOT NULL, reasons TEXT NOT NULL,
    since TEXT NOT NULL, approver TEXT, approved TEXT, PRIMARY KEY (project, batch)
);
"""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Why a batch waits. `terms` is the digest of tasks and variables, `rows` of the rows: the approval is for just these."""

    project: int
    batch: int
    terms: str
    rows: str
    reasons: list[str]
    since: str
    approver: str | None
    approved: str | None


def hold(db: sqlite3.Connection, batch: tuple[int, int], *, terms: str, rows: str, reasons: Sequence[str]) -> bool:
    """Whether the batch waits. An approval of the same terms and rows still holds; without a reason nothing waits."""
    before = find(db, batch)
    if before is not None and before.approver is not None and (before.terms, before.rows) == (terms, rows):
        return False
    db.execute("DELETE FROM hold WHERE project = ? AND batch = ?", batch)
    if not reasons:
        return False
    since = before.since if before is not None and before.approver is None else _now()
    db.execute(
        "INSERT INTO hold (project, batch, terms, rows, reasons, since) VALUES (?, ?, ?, ?, ?, ?)",
        (*batch, terms, rows, json.dumps(list(reasons)), since),
    )
    return True


def find(db: sqlite3.Connection, batch: tuple[int, int]) -> Hold | None:
    """The batch's, approved or not; None where it never had to wait."""
    row = db.execute("SELECT terms, rows, reasons, since, approver, approved FROM hold WHERE project = ? AND batch = ?", batch).fetchone()
    if row is None:
        return None
    terms, rows, reasons, since, approver, approved = row
    return Hold(
        project=batch[0],
        batch=batch[1],
        terms=terms,
        rows=rows,
        reasons=json.loads(reasons),
        since=since,
        approver=approver,
        approved=approved,
    )


def waits(db: sqlite3.Connection, batch: tuple[int, int]) -> bool:
    """Whether nothing of this batch may leave yet."""
    return db.execute("SELECT 1 FROM hold WHERE project = ? AND batch = ? AND approver IS NULL", batch).fetchone() is not None


def approved_before(db: sqlite3.Connection, terms: str, rows: str) -> bool:
    """Whether a person has approved just these terms on just these rows, of whichever batch: its answers are the same to the last bit."""
    found = db.execute("SELECT 1 FROM hold WHERE terms = ? AND rows = ? AND approver IS NOT NULL LIMIT 1", (terms, rows))
    return found.fetchone() is not None


def waiting(db: sqlite3.Connection) -> list[tuple[int, int]]:
    """Project and batch of what waits for a person, of batches that are not over."""
    return db.execute(
        "SELECT project, batch FROM hold WHERE approver IS NULL AND EXISTS "
        "(SELECT 1 FROM run WHERE run.project = hold.project AND run.batch = hold.batch AND NOT run.finished) ORDER BY since"
    ).fetchall()


def approve(db: sqlite3.Connection, found: Hold, approver: str) -> None:
    """Let the batch go on, and write down who said so, to what."""
    batch = (found.project, found.batch)
    db.execute("UPDATE hold SET approver = ?, approved = ? WHERE project = ? AND batch = ?", (approver, _now(), *batch))
    detail = {"approver": approver, "terms": found.terms, "rows": found.rows, "reasons": found.reasons}
    audit.append(db, "approved", batch, detail)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
