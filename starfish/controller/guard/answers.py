"""How many questions were answered about which rows: counted over batches and projects, because rows can be told from many sums."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Policy

SCHEMA = """
CREATE TABLE IF NOT EXISTS part (
    project INTEGER NOT NULL, batch INTEGER NOT NULL, task INTEGER NOT NULL, dataset TEXT NOT NULL, rows TEXT NOT NULL,
    variables TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (project, batch, task)
);
CREATE TABLE IF NOT EXISTS answer (
    rows TEXT NOT NULL, variables TEXT NOT NULL, sha256 TEXT NOT NULL, dataset TEXT NOT NULL, PRIMARY KEY (rows, variables, sha256)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answer_of_dataset ON answer (dataset);
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one task of a batch reads here: the dataset, the rows' fingerprint, the variables, and how many rows it uses."""

    dataset: str
    rows: str
    variables: str
    used: int


def prepared(
    db: sqlite3.Connection, batch: tuple[int, int], dataset: str, rows: Mapping[int, str], tasks: Sequence[Mapping[str, Any]]
) -> None:
    """Note what the tasks of a batch read; `tasks` as the worker's `prepare` has counted them, `rows` by the tasks' seq."""
    forget(db, batch)
    for task in tasks:
        made = part_of(dataset, rows[task["seq"]], task)
        db.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?)", (*batch, task["seq"], dataset, made.rows, made.variables, made.used))


def part_of(dataset: str, rows: str, task: Mapping[str, Any]) -> Part:
    """As the worker has counted it."""
    return Part(dataset=dataset, rows=rows, variables=json.dumps(sorted(task["variables"])), used=task["used"])


def forget(db: sqlite3.Connection, batch: tuple[int, int]) -> None:
    """The batch is prepared anew: what its tasks read is not known until then."""
    db.execute("DELETE FROM part WHERE project = ? AND batch = ?", batch)


def noted(db: sqlite3.Connection, batch: tuple[int, int]) -> bool:
    """Whether it is known what the batch's tasks read."""
    return db.execute("SELECT 1 FROM part WHERE project = ? AND batch = ? LIMIT 1", batch).fetchone() is not None


def part(db: sqlite3.Connection, batch: tuple[int, int], task: int) -> Part | None:
    """None where the batch was not prepared."""
    found = db.execute(
        "SELECT dataset, rows, variables, used FROM part WHERE project = ? AND batch = ? AND task = ?", (*batch, task)
    ).fetchone()
    return Part(dataset=found[0], rows=found[1], variables=found[2], used=found[3]) if found else None


def given(db: sqlite3.Connection, of: Part) -> tuple[int, int]:
    """Different answers so far: about the same rows and variables, and about the dataset."""
    (same,) = db.execute("SELECT count(*) FROM answer WHERE rows = ? AND variables = ?", (of.rows, of.variables)).fetchone()
    (dataset,) = db.execute("SELECT count(*) FROM answer WHERE dataset = ?", (of.dataset,)).fetchone()
    return same, dataset


def may_answer(db: sqlite3.Connection, policy: Policy, of: Part) -> None:
    """Raises Withheld where one more answer would be too many."""
    if policy.max_queries is None and policy.max_rounds is None:
        return
    same, dataset = given(db, of)
    if policy.max_queries is not None and same >= policy.max_queries:
        raise Withheld(
            f"This site has given {same} answers about these rows and variables, and its policy allows {policy.max_queries}.",
            rule="max_queries",
        )
    if policy.max_rounds is not None and dataset >= policy.max_rounds:
        raise Withheld(
            f"This site has given {dataset} answers about these data, and its policy allows {policy.max_rounds}.",
            rule="max_rounds",
            private=f"The dataset '{of.dataset}' has given {dataset} answers, and the policy allows {policy.max_rounds} (max_rounds).",
        )


def answered(db: sqlite3.Connection, policy: Policy, of: Part, sha256: str) -> None:
    """Count an answer that leaves now. The same bytes again tell nothing new, and count once. Raises Withheld."""
    same = (of.rows, of.variables, sha256)
    if db.execute("SELECT 1 FROM answer WHERE rows = ? AND variables = ? AND sha256 = ?", same).fetchone() is None:
        may_answer(db, policy, of)
        db.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", (*same, of.dataset))
