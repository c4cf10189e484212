"""The runs that a site works on, as bytes with an ETag: what waiting compares, and what a step answers with."""

import hashlib
import json
from dataclasses import dataclass

from starfish.protocol.run_state import RunStatus
from starfish.router import access, wire
from starfish.router.access import Caller

ENDED = [RunStatus.FAILED, RunStatus.SUCCESS]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A JSON list. Equal lists have equal ETags, in any process and after any restart."""

    body: bytes
    etag: str


def active_runs(caller: Caller, *, minimal: bool) -> Listing:
    """All runs that have not ended and that the caller may see; `minimal`: without their files."""
    runs = access.visible_runs(caller).exclude(status__in=ENDED)
    shown = wire.minimal_runs(runs) if minimal else wire.runs(runs)
    body = json.dumps(shown, separators=(",", ":")).encode()
    return Listing(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')
