"""The site's audit: what left, what was withheld, who approved what. Each entry carries the hash of the one before.

An entry that is altered, taken out or moved is found and named. Whoever can write the file can also write it anew from some entry on,
or cut its end off: that shows only against a head that was noted elsewhere.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (nr INTEGER PRIMARY KEY, before TEXT NOT NULL, entry TEXT NOT NULL, hash TEXT NOT NULL, content BLOB);
"""
ORIGIN = "0" * 64
"""What stands before the first entry."""
MOST_FAULTS = 100
Row = tuple[int, str, str, str, bytes | None]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry. `content` is what left, in full, where it is small."""

    nr: int
    at: str
    kind: str
    project: int | None
    batch: int | None
    detail: Mapping[str, Any]
    hash: str
    content: bytes | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How many entries there are, the head (number and hash of the last), and a sentence for each fault."""

    entries: int
    head: str
    faults: list[str]


def append(
    db: sqlite3.Connection, kind: str, batch: tuple[int, int] | None, detail: Mapping[str, Any], content: bytes | None = None
) -> None:
    """In the caller's transaction: the entry is there if, and only if, what it tells of is. `detail["sha256"]` is the content's."""
    last = db.execute("SELECT nr, hash FROM audit ORDER BY nr DESC LIMIT 1").fetchone()
    nr, before = (last[0] + 1, last[1]) if last else (1, ORIGIN)
    project, number = batch or (None, None)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = {"nr": nr, "at": at, "kind": kind, "project": project, "batch": number, "kept": content is not None, "detail": dict(detail)}
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (nr, before, text, _hash(before, text), content))


def rows(db: sqlite3.Connection, *, contents: bool = True) -> Iterator[Row]:
    """In the order of their numbers; one after the other, for there may be more than memory holds."""
    yield from db.execute(f"SELECT nr, before, entry, hash, {'content' if contents else 'NULL'} FROM audit ORDER BY nr")


def entry(row: Row) -> Entry:
    nr, _, text, hash_, content = row
    raw = json.loads(text)
    return Entry(
        nr=nr,
        at=raw["at"],
        kind=raw["kind"],
        project=raw["project"],
        batch=raw["batch"],
        detail=raw["detail"],
        hash=hash_,
        content=content,
    )


def verify(found: Iterable[Row], noted: str | None = None) -> Verdict:
    """Walk the whole chain. `noted` is a head as it was printed once; what it stood for must still be there."""
    faults: list[str] = []
    last, before, seen = 0, ORIGIN, noted == _head(0, ORIGIN)
    for nr, stated, text, hash_, content in found:
        seen = seen or noted == _head(nr, hash_)
        if nr != last + 1:
            faults.append(_gap(last + 1, nr - 1))
        elif stated != before:
            faults.append(f"Entry {nr} does not follow entry {last}: one of the two was put there later.")
        if fault := _fault(nr, stated, text, hash_, content):
            faults.append(fault)
        last, before = nr, hash_
    if noted is not None and not seen:
        faults.append(f"The head {noted} is not in this audit: entries were cut off at the end, or written anew.")
    return Verdict(entries=last, head=_head(last, before), faults=faults[:MOST_FAULTS])


def _fault(nr: int, before: str, text: str, hash_: str, content: bytes | None) -> str | None:
    """What is wrong with one entry by itself."""
    if _hash(before, text) != hash_:
        return f"Entry {nr} was altered."
    raw = json.loads(text)
    if raw["nr"] != nr:
        return f"In the place of entry {nr} stands entry {raw['nr']}: entries were moved or taken out."
    if raw["kept"] != (content is not None):
        return f"The content of entry {nr} was taken out or put in."
    if content is not None and hashlib.sha256(content).hexdigest() != raw["detail"]["sha256"]:
        return f"The content of entry {nr} was altered."
    return None


def _gap(first: int, last: int) -> str:
    return f"Entry {first} is missing." if first == last else f"Entries {first} to {last} are missing."


def _hash(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _head(nr: int, hash_: str) -> str:
    return f"{nr}:{hash_}"
