"""Which rows were used before: a keyed mark for each row, by which two batches' rows are compared. Marks and key stay in the journal.

A mark is made from all cells of the row as the source has it, whatever the project calls them: so a project that asks for other variables
or another eligibility is compared as well.
"""

import secrets
import sqlite3
from dataclasses import dataclass

import numpy as np

SCHEMA = """
CREATE TABLE IF NOT EXISTS mark_key (only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS frozen (rows TEXT PRIMARY KEY, marks BLOB NOT NULL) WITHOUT ROWID;
"""
MARK = np.dtype("<u8")


@dataclass(frozen=True, kw_only=True)
class Near:
    """Rows that an answer was given about, and by how many rows they differ from the present ones; the batches that used them."""

    differ: int
    batches: list[tuple[int, int]]


def key(db: sqlite3.Connection) -> bytes:
    """This site's, made once; without it nobody can tell from a mark whether a given row was in the data."""
    db.execute("INSERT OR IGNORE INTO mark_key VALUES (1, ?)", (secrets.token_bytes(32),))
    (found,) = db.execute("SELECT key FROM mark_key").fetchone()
    return bytes(found)


def remember(db: sqlite3.Connection, rows: str, marks: bytes) -> None:
    """`marks`: ascending, 8 bytes a row; `rows` is their digest."""
    db.execute("INSERT OR IGNORE INTO frozen VALUES (?, ?)", (rows, marks))


def differ(one: bytes, other: bytes) -> int:
    """By how many rows two sets of marks do."""
    if one == other:
        return 0
    return int(np.setxor1d(np.frombuffer(one, dtype=MARK), np.frombuffer(other, dtype=MARK), assume_unique=True).size)


def near(db: sqlite3.Connection, rows: str, marks: bytes, fewer: int) -> list[Near]:
    """Other rows that were answered about and differ from these by fewer than `fewer`, the nearest first."""
    found = []
    answered = db.execute(
        "SELECT rows, marks FROM frozen WHERE rows <> ? AND abs(length(marks) - ?) < ? "
        "AND EXISTS (SELECT 1 FROM answer WHERE answer.rows = frozen.rows)",
        (rows, len(marks), fewer * MARK.itemsize),
    )
    for other, theirs in answered.fetchall():
        count = differ(marks, theirs)
        if count < fewer:
            used = db.execute("SELECT DISTINCT project, batch FROM part WHERE rows = ? ORDER BY project, batch", (other,)).fetchall()
            found.append(Near(differ=count, batches=used))
    return sorted(found, key=lambda one: one.differ)
