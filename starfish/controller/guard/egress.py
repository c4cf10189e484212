"""The one function that decides what leaves the site. What goes is in the audit before it is sent, and what is held back is, too."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.guard import answers, audit, holds
from starfish.controller.guard.contents import Contents, describe
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Policy

What = Literal["update", "model", "lines", "failure", "progress"]
NOTICE = {"code", "message", "variable", "task_seq"}
REPORT = {"step", "fraction", "metrics", "message"}


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What may leave: its name on the wire, its size in bytes, and the SHA-256 of just these bytes, before they are sealed."""

    what: What
    name: str
    size: int
    sha256: str


def release(
    journal: Journal,
    policy: Policy,
    batch: BatchKey,
    what: What,
    name: str,
    content: bytes | Path,
    *,
    sha256: str | None = None,
    position: tuple[int, int] | None = None,
    sites: int | None = None,
) -> Departure:
    """Let `content`, as it is before it is sealed, go as far as the policy allows. Raises Withheld.

    `sha256`: a large file's, where whoever wrote it has taken it. `position`: task and round of an update or a model.
    `sites`: those whose updates are in a model.
    """
    made = describe(content, sha256)
    detail = _detail(policy, what, name, made, content, position)
    try:
        with journal.write() as db:
            _judge(db, policy, batch, what, content, made, position, sites)
            audit.append(db, "departure", batch, detail, made.kept)
    except Withheld as error:
        with journal.write() as db:
            audit.append(db, "withheld", batch, detail | {"rule": error.rule, "reason": error.private})
        raise
    return Departure(what=what, name=name, size=made.size, sha256=made.sha256)


def failure_notice(code: str, message: str, variable: str | None, task_seq: int) -> bytes:
    """The public part of a failure, as the coordinator reads it."""
    return json.dumps({"code": code, "message": message, "variable": variable, "task_seq": task_seq}).encode()


def _judge(
    db: sqlite3.Connection,
    policy: Policy,
    batch: BatchKey,
    what: What,
    content: bytes | Path,
    made: Contents,
    position: tuple[int, int] | None,
    sites: int | None,
) -> None:
    """Raises Withheld. Lines are public by the way they are made; a notice and a report of progress have the public keys alone."""
    if what == "update":
        _update(db, policy, batch, made, position)
    elif what == "model":
        if sites is not None and sites < policy.min_sites:
            raise Withheld(
                f"A pooled result must be of {policy.min_sites} sites at least, by this site's policy, and this one is of {sites}.",
                rule="min_sites",
            )
        _payload_alone(policy, what, made)
    elif what == "failure":
        _keys_alone(what, content, NOTICE)
    elif what == "progress" and _keys_alone(what, content, REPORT).get("metrics") and policy.oracle:
        raise Withheld("This site's policy lets no metrics leave while it works: each would be one more answer.", rule="oracle")


def _update(db: sqlite3.Connection, policy: Policy, batch: BatchKey, made: Contents, position: tuple[int, int] | None) -> None:
    """Whole and known, of a batch that waits for nobody, of enough rows, and not one answer too many."""
    _payload_alone(policy, "update", made)
    if holds.waits(db, batch):
        raise Withheld("The batch waits for a person's approval at this site.", rule="approve")
    of = answers.part(db, batch, position[0]) if position else None
    if of is None:
        if policy.holds_back:
            raise Withheld("This site has no record of the rows that the update was made of.", rule="min_rows")
        return
    if 0 < of.used < policy.min_rows:  # of no rows at all is what was made of none, as Echo is
        raise Withheld(
            f"Fewer rows than this site's policy asks for ({policy.min_rows}).",
            rule="min_rows",
            private=f"The update is of {of.used} rows, and the policy asks for {policy.min_rows} (min_rows).",
        )
    answers.answered(db, policy, of, made.sha256)


def _payload_alone(policy: Policy, what: What, made: Contents) -> None:
    if policy.holds_back and made.numbers is None:
        raise Withheld(f"The {what} is no Starfish payload, so nobody can say what is in it.", rule="payload")


def _keys_alone(what: What, content: bytes | Path, keys: set[str]) -> Mapping[str, Any]:
    try:
        raw = json.loads(content.read_bytes() if isinstance(content, Path) else content)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not raw.keys() <= keys:
        raise Withheld(f"What should tell of a {what} holds more than its public part.", rule="public part")
    return raw


def _detail(
    policy: Policy, what: What, name: str, made: Contents, content: bytes | Path, position: tuple[int, int] | None
) -> dict[str, Any]:
    """What the audit says of it."""
    detail: dict[str, Any] = {"what": what, "name": name, "size": made.size, "sha256": made.sha256, "policy": policy.digest}
    if position:
        detail |= {"task": position[0], "round": position[1]}
    if made.numbers is not None:
        detail |= {"numbers": made.numbers, "arrays": made.arrays}
    if made.kept is None:
        detail["file"] = str(content) if isinstance(content, Path) else None
    return detail
