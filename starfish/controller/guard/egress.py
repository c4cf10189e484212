"""The one function that decides what leaves the site; every departure is in the journal before it is sent."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.errors import HomeError
from starfish.controller.files import sha256_of
from starfish.controller.guard.policy import Policy

What = Literal["update", "model", "lines", "failure"]


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What may leave: its name on the wire, its size in bytes, and the SHA-256 of just these bytes."""

    what: What
    name: str
    size: int
    sha256: str


def release(
    journal: Journal, policy: Policy, batch: BatchKey, what: What, name: str, content: bytes | Path, *, sha256: str | None = None
) -> Departure:
    """Let `content` go. Under `open` everything that a task, a log line or a failure notice says in public may leave.

    `sha256`: a file's, where whoever wrote it has taken it; the Routing Server refuses bytes that are not those of the journal.
    Raises HomeError under any other policy: what nobody has allowed stays.
    """
    if policy.preset != "open":
        raise HomeError(f"The policy '{policy.preset}' lets no {what} leave.")
    if isinstance(content, bytes):
        size, digest = len(content), hashlib.sha256(content).hexdigest()
    else:
        size, digest = content.stat().st_size, sha256 or sha256_of(content)
    journal.departed(batch, what, name, size, digest)
    return Departure(what=what, name=name, size=size, sha256=digest)


def failure_notice(code: str, message: str, variable: str | None, task_seq: int) -> bytes:
    """The public part of a failure, as the coordinator reads it."""
    return json.dumps({"code": code, "message": message, "variable": variable, "task_seq": task_seq}).encode()
