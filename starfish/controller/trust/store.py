"""trust.sqlite3 of a home: what this site has once accepted, so that nobody can take it back by showing something older.

It holds secrets (of open invitations, of groups) and is for its owner alone, as the keys are.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from starfish.controller.trust.errors import Untrusted
from starfish.sealing.keys import Card
from starfish.sealing.manifest import Manifest, Order, View

SCHEMA = """
CREATE TABLE IF NOT EXISTS project (
    uid TEXT PRIMARY KEY, router_id INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, coordinates INTEGER NOT NULL,
    coordinator TEXT NOT NULL, automatic INTEGER NOT NULL DEFAULT 0, invitation TEXT, joined INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS manifest (
    project TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL, view TEXT NOT NULL, PRIMARY KEY (project, version)
);
CREATE TABLE IF NOT EXISTS letter (
    project TEXT NOT NULL, version INTEGER NOT NULL, uid TEXT NOT NULL, letter BLOB NOT NULL, PRIMARY KEY (project, version, uid)
);
CREATE TABLE IF NOT EXISTS member (project TEXT NOT NULL, uid TEXT NOT NULL, card TEXT NOT NULL, PRIMARY KEY (project, uid));
CREATE TABLE IF NOT EXISTS roster (
    project TEXT NOT NULL, version INTEGER NOT NULL, uid TEXT NOT NULL, card TEXT NOT NULL, PRIMARY KEY (project, version, uid)
);
CREATE TABLE IF NOT EXISTS invitation (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, site TEXT NOT NULL, line TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open',
    joiner TEXT, answer TEXT
);
CREATE TABLE IF NOT EXISTS batch_order (
    project TEXT NOT NULL, batch INTEGER NOT NULL, text TEXT NOT NULL, run TEXT, PRIMARY KEY (project, batch)
);
CREATE TABLE IF NOT EXISTS opened (
    batch_order TEXT NOT NULL, sender TEXT NOT NULL, kind TEXT NOT NULL, task INTEGER NOT NULL, round INTEGER NOT NULL,
    attempt INTEGER NOT NULL, PRIMARY KEY (batch_order, sender, kind, task, round)
);
CREATE TABLE IF NOT EXISTS attempt (batch_order TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class SealedProject:
    """A project that this site is in, or has asked to be in, by invitation.

    `coordinator`: the newest card of its coordinator that this site trusts. `invitation`: the line by which it joins, until it has.
    `automatic`: whether whoever was invited and proves it is let in without being looked at.
    """

    uid: str
    router_id: int
    name: str
    coordinates: bool
    coordinator: Card
    automatic: bool
    invitation: str | None
    joined: bool


@dataclass(frozen=True, kw_only=True)
class Invited:
    """An invitation of this coordinator's. `state`: open, asked, approved, refused, withdrawn."""

    id: str
    project: str
    site: str
    line: str
    state: str
    joiner: Card | None
    answer: str | None


class TrustStore:
    """Safe to share between threads, and between the daemon and the command line. What is kept is on the disk on return."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=20, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;" + SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add_project(
        self,
        uid: str,
        router_id: int,
        name: str,
        *,
        coordinator: Card,
        coordinates: bool,
        automatic: bool = False,
        invitation: str | None = None,
    ) -> None:
        """One that is known keeps its coordinator's card; an invitation to it is a new one. Raises Untrusted."""
        with self._write() as db:
            taken = db.execute("SELECT name FROM project WHERE router_id = ? AND uid != ?", (router_id, uid)).fetchone()
            if taken:
                raise Untrusted(
                    f"The Routing Server has given the project '{name}' the number {router_id}, which is that of '{taken[0]}': "
                    "it was rolled back, or restored.",
                    code="number-taken",
                )
            db.execute(
                "INSERT INTO project (uid, router_id, name, coordinates, coordinator, automatic, invitation, joined) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET invitation = excluded.invitation, router_id = excluded.router_id",
                (uid, router_id, name, coordinates, coordinator.text, automatic, invitation, coordinates),
            )

    def project(self, router_id: int) -> SealedProject | None:
        return next(self._projects("WHERE router_id = ?", router_id), None)

    def project_by_uid(self, uid: str) -> SealedProject | None:
        return next(self._projects("WHERE uid = ?", uid), None)

    def projects(self) -> list[SealedProject]:
        return list(self._projects("ORDER BY router_id"))

    def mark_joined(self, uid: str) -> None:
        self._do("UPDATE project SET joined = 1, invitation = NULL WHERE uid = ?", (uid,))

    def trust(self, uid: str, coordinator: Card) -> None:
        """The newest card of a project's coordinator."""
        self._do("UPDATE project SET coordinator = ? WHERE uid = ?", (coordinator.text, uid))

    def forget_project(self, uid: str) -> None:
        """Of one that this site has left its manifests and orders stay: an older one is no more good for that."""
        self._do("UPDATE project SET joined = 0, invitation = NULL WHERE uid = ?", (uid,))

    def keep_manifest(self, manifest: Manifest, view: View) -> None:
        with self._write() as db:
            _insert_manifest(db, manifest, view)

    def publish(self, manifest: Manifest, view: View, members: Sequence[Card], letters: Mapping[str, bytes]) -> None:
        """A coordinator's own manifest, whom it is of, and the letters (by the members' uids) until they are known to have arrived."""
        with self._write() as db:
            _insert_manifest(db, manifest, view)
            place = manifest.project, manifest.version
            db.executemany("INSERT INTO roster VALUES (?, ?, ?, ?)", [(*place, card.uid, card.text) for card in members])
            db.executemany("INSERT INTO letter VALUES (?, ?, ?, ?)", [(*place, uid, letter) for uid, letter in letters.items()])

    def roster(self, uid: str, version: int) -> list[Card]:
        """The members of a version of a coordinator's own project, itself included."""
        return [Card.parse(text) for (text,) in self._rows("SELECT card FROM roster WHERE project = ? AND version = ?", uid, version)]

    def manifests(self, uid: str) -> list[tuple[Manifest, View]]:
        """The highest version first."""
        rows = self._rows("SELECT manifest, view FROM manifest WHERE project = ? ORDER BY version DESC", uid)
        return [(Manifest.parse(manifest), View.parse(view)) for manifest, view in rows]

    def newest(self, uid: str) -> tuple[Manifest, View] | None:
        rows = self._rows("SELECT manifest, view FROM manifest WHERE project = ? ORDER BY version DESC LIMIT 1", uid)
        return next(((Manifest.parse(manifest), View.parse(view)) for manifest, view in rows), None)

    def letters(self, uid: str) -> list[tuple[int, str, bytes]]:
        """Version, member's uid and letter of all that have not arrived yet, in order of version."""
        return self._rows("SELECT version, uid, letter FROM letter WHERE project = ? ORDER BY version, uid", uid)

    def letter_arrived(self, project: str, version: int, uid: str) -> None:
        self._do("DELETE FROM letter WHERE project = ? AND version = ? AND uid = ?", (project, version, uid))

    def keep_member(self, project: str, card: Card) -> None:
        self._do("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", (project, card.uid, card.text))

    def remove_member(self, project: str, uid: str) -> None:
        self._do("DELETE FROM member WHERE project = ? AND uid = ?", (project, uid))

    def members(self, project: str) -> list[Card]:
        """The other sites' newest cards, as the coordinator has accepted them."""
        return [Card.parse(text) for (text,) in self._rows("SELECT card FROM member WHERE project = ? ORDER BY uid", project)]

    def keep_invitation(self, id: str, project: str, site: str, line: str) -> None:
        self._do("INSERT INTO invitation (id, project, site, line) VALUES (?, ?, ?, ?)", (id, project, site, line))

    def invitations(self, project: str) -> list[Invited]:
        rows = self._rows("SELECT id, project, site, line, state, joiner, answer FROM invitation WHERE project = ? ORDER BY rowid", project)
        return [
            Invited(id=id, project=of, site=site, line=line, state=state, joiner=Card.parse(joiner) if joiner else None, answer=answer)
            for id, of, site, line, state, joiner, answer in rows
        ]

    def asked(self, id: str, joiner: Card) -> bool:
        """That a request was found good; false where another was before it."""
        with self._write() as db:
            db.execute("UPDATE invitation SET state = 'asked', joiner = ? WHERE id = ? AND state = 'open'", (joiner.text, id))
            row = db.execute("SELECT joiner FROM invitation WHERE id = ?", (id,)).fetchone()
        return row is not None and row[0] == joiner.text

    def let_in(self, id: str, project: str, joiner: Card, answer: str) -> None:
        """Who has asked is a member, and is to be told so: both or neither."""
        with self._write() as db:
            db.execute("UPDATE invitation SET state = 'approved', answer = ?, line = '' WHERE id = ? AND state = 'asked'", (answer, id))
            db.execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", (project, joiner.uid, joiner.text))

    def decided(self, id: str, state: str, answer: str | None) -> None:
        """approved, refused or withdrawn; an invitation over is over, and its line is forgotten."""
        self._do("UPDATE invitation SET state = ?, answer = ?, line = '' WHERE id = ? AND state IN ('open', 'asked')", (state, answer, id))

    def keep_order(self, order: Order, run: str | None = None) -> None:
        """`run`: which of this site's runs it is for; one that was restored or made anew is another."""
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO batch_order VALUES (?, ?, ?, NULL)", (order.project, order.batch, order.text))
            db.execute("UPDATE batch_order SET run = ? WHERE project = ? AND batch = ? AND run IS NULL", (run, order.project, order.batch))

    def replace_order(self, order: Order) -> None:
        """A coordinator's: in the place of one of that number that no batch was opened by."""
        with self._write() as db:
            db.execute("DELETE FROM batch_order WHERE project = ? AND batch = ? AND run IS NULL", (order.project, order.batch))
            db.execute("INSERT INTO batch_order VALUES (?, ?, ?, NULL)", (order.project, order.batch, order.text))

    def run_of(self, order: Order) -> str | None:
        rows = self._rows("SELECT run FROM batch_order WHERE project = ? AND batch = ?", order.project, order.batch)
        return rows[0][0] if rows else None

    def order(self, project: str, batch: int) -> Order | None:
        rows = self._rows("SELECT text FROM batch_order WHERE project = ? AND batch = ?", project, batch)
        return Order.parse(rows[0][0]) if rows else None

    def last_order(self, project: str) -> Order | None:
        """That of the highest number."""
        rows = self._rows("SELECT text FROM batch_order WHERE project = ? ORDER BY batch DESC LIMIT 1", project)
        return Order.parse(rows[0][0]) if rows else None

    def attempt(self, order: str) -> int:
        """The present attempt at a batch: 1, and one more for each restart from its beginning."""
        rows = self._rows("SELECT number FROM attempt WHERE batch_order = ?", order)
        return int(rows[0][0]) if rows else 1

    def begin_attempt(self, order: str) -> None:
        """Of this site's own. Of whom something was opened in the attempt before, nothing of that attempt is good any more."""
        with self._write() as db:
            db.execute("INSERT INTO attempt VALUES (?, 2) ON CONFLICT (batch_order) DO UPDATE SET number = number + 1", (order,))
            db.execute(
                "INSERT OR REPLACE INTO opened SELECT batch_order, sender, 'least', 0, 0, attempt + 1 FROM opened "
                "WHERE batch_order = ? AND kind = 'most'",
                (order,),
            )

    def opened(self, order: str, sender: str, kind: str, task: int, round: int) -> int:
        """The attempt that an envelope of that sender at that place must at least be of: the highest that was opened; 0 for any."""
        rows = self._rows(
            "SELECT max(attempt) FROM opened WHERE batch_order = ? AND sender = ? "
            "AND (kind = 'least' OR (kind = ? AND task = ? AND round = ?))",
            order, sender, kind, task, round,
        )  # fmt: skip
        return int(rows[0][0] or 0)

    def mark_opened(self, order: str, sender: str, kind: str, task: int, round: int, attempt: int) -> None:
        """Also the highest of that sender's at any place, as `most`."""
        if attempt > max(1, self.opened(order, sender, kind, task, round)):  # a first attempt is what nobody can go below
            self._do("INSERT OR REPLACE INTO opened VALUES (?, ?, ?, ?, ?, ?)", (order, sender, kind, task, round, attempt))
        rows = self._rows("SELECT attempt FROM opened WHERE batch_order = ? AND sender = ? AND kind = 'most'", order, sender)
        if not rows or attempt > rows[0][0]:
            self._do("INSERT OR REPLACE INTO opened VALUES (?, ?, 'most', 0, 0, ?)", (order, sender, attempt))

    def _projects(self, where: str, *values: object) -> Iterator[SealedProject]:
        columns = "uid, router_id, name, coordinates, coordinator, automatic, invitation, joined"
        rows = self._rows(f"SELECT {columns} FROM project {where}", *values)
        for uid, router_id, name, coordinates, card, automatic, invitation, joined in rows:
            yield SealedProject(
                uid=uid,
                router_id=router_id,
                name=name,
                coordinates=bool(coordinates),
                coordinator=Card.parse(card),
                automatic=bool(automatic),
                invitation=invitation,
                joined=bool(joined),
            )

    def _rows(self, query: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _do(self, query: str, values: tuple[object, ...]) -> None:
        with self._write() as db:
            db.execute(query, values)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _insert_manifest(db: sqlite3.Connection, manifest: Manifest, view: View) -> None:
    db.execute("INSERT OR IGNORE INTO manifest VALUES (?, ?, ?, ?)", (manifest.project, manifest.version, manifest.text, view.text))
