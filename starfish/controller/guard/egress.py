"""The one function that decides what leaves the site; every departure is in the journal before it is sent."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import Policy

What = Literal["update", "model", "logs", "failure"]


@dataclass(frozen=True, kw_only=True)
class Departure:
    """Bytes that may leave, their name on the wire, and their digest."""

    what: What
    name: str
    data: bytes
    sha256: str


def release(journal: Journal, policy: Policy, batch: BatchKey, what: What, name: str, data: bytes) -> Departure:
    """Let `data` go. Under `open` everything that a task, a log line or a failure notice says in public may leave.

    Raises HomeError under any other policy: what nobody has allowed stays.
    """
    if policy.preset != "open":
        raise HomeError(f"The policy '{policy.preset}' lets no {what} leave.")
    departure = Departure(what=what, name=name, data=data, sha256=hashlib.sha256(data).hexdigest())
    journal.departed(batch, what, name, len(data), departure.sha256)
    return departure


def failure_notice(code: str, message: str, variable: str | None, task_seq: int) -> bytes:
    """The public part of a failure, as the coordinator reads it."""
    return json.dumps({"code": code, "message": message, "variable": variable, "task_seq": task_seq}).encode()
