"""What a Routing Server holds, value by value: each is of one of the kinds that SECURITY.md lists, or it is none."""

import base64
import json
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from starfish.protocol.run_state import RunStatus
from tests.support.servers import ROOT

DJANGOS_OWN = ("django_migrations", "django_content_type", "auth_permission", "sqlite_sequence")
"""The same in every database of this version."""
ENVELOPE, AGE = b"starfish-envelope/1\n", b"age-encryption.org/v1\n"
WORDS = {
    "connected", "disconnected", "open", "asked", "approved", "refused", "withdrawn", "expired", "by-name", "invitation",
    "coordinator", "participant", "co", "pa", *(status.word.lower() for status in RunStatus),
}  # fmt: skip
NAMES_OF_FILES = {"mid_artifacts", "artifacts", "logs", "mid-artifacts", "failure.json"}
CARD_KEYS = {"created", "name", "previous", "recipient", "signing", "uid", "version"}
PATTERNS = {
    "ids": r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{2}/[0-9a-f]{30}|[0-9a-f-]{36}\.\d+|[0-9a-f]{64}\.\d+",
    "digests": r"[0-9a-f]{64}|pbkdf2_sha256\$\d+\$\w+\$[A-Za-z0-9+/=]+|![A-Za-z0-9]{40}|hmac-sha256:[0-9a-f]{64}",
    "times": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?",
    "actions": r"[a-z_-]+(\.[a-z_-]+)+",
    "numbers": r"NOUN [0-9a-f]+(, NOUN [0-9a-f]+)*".replace("NOUN", "(account|site|project|batch|run|group|invitation|version|card)"),
}


def listed_kinds() -> set[str]:
    """The kinds of SECURITY.md's list."""
    text = (ROOT / "SECURITY.md").read_text()
    table = text[text.index("<!-- seen: read") : text.index("<!-- seen: end")]
    return set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) - {"kind"}


def values(database: Path) -> Iterator[tuple[str, Any]]:
    """Every value of every table, with its table and column."""
    with closing(sqlite3.connect(database)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table not in DJANGOS_OWN:
                rows = db.execute(f'SELECT * FROM "{table}"')
                columns = [column[0] for column in rows.description]
                for row in rows:
                    yield from ((f"{table}.{column}", value) for column, value in zip(columns, row, strict=True))


def kind_of(value: Any, names: Collection[str]) -> str | None:
    """The kind of a value, as SECURITY.md calls it; None for one that is of none. `names`: of sites, projects, tasks and accounts."""
    if value is None or value == "" or isinstance(value, bool | int):
        return "numbers"
    if isinstance(value, bytes):
        return "envelopes" if value.startswith((ENVELOPE, AGE)) else None
    if isinstance(value, float):
        return None
    if isinstance(value, str):
        return _kind_of_text(value, names)
    parts = [part for key, part in value.items() if re.fullmatch(r"[a-z_]+", key)] if isinstance(value, dict) else value
    return "answers" if len(parts) == len(value) and all(kind_of(part, names) for part in parts) else None


def _kind_of_text(text: str, names: Collection[str]) -> str | None:
    if text.removeprefix("site named ") in names or text in NAMES_OF_FILES or re.fullmatch(r"site-\d+-[0-9a-f]{8}", text):
        return "names"
    if text.lower() in WORDS:
        return "states"
    for kind, pattern in PATTERNS.items():
        if re.fullmatch(pattern, text):
            return kind
    if text.startswith("starfish/card/1\n"):
        return "cards" if set(json.loads(text.split("\n")[1])) == CARD_KEYS else None
    if all(_is_envelope(line) for line in text.split("\n")):
        return "envelopes"
    return _kind_of_json(text, names)


def _is_envelope(line: str) -> bool:
    try:
        return base64.b64decode(line, validate=True).startswith(ENVELOPE)
    except ValueError:
        return False


def _kind_of_json(text: str, names: Collection[str]) -> str | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    if isinstance(parsed, dict) and set(parsed) <= {"card", "mac", "approved"}:
        return "requests" if all(kind_of(part, names) for part in parsed.values()) else None
    return kind_of(parsed, names) if isinstance(parsed, dict | list) else None
