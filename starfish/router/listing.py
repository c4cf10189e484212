"""The runs that a site works on, as bytes with an ETag: what waiting compares, and what a step answers with."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from starfish.protocol.run_state import RunStatus
from starfish.router import access, hot, storage, wire
from starfish.router.access import Caller
from starfish.router.models import ProjectParticipant
from starfish.router.models.batch import previous_position
from starfish.router.wire import JSON

MODEL = "artifacts"
"""As every controller names its global model."""
COORDINATOR = ProjectParticipant.Role.COORDINATOR.label
MODEL_BYTES = 64 * 1024
ENDED = [RunStatus.FAILED, RunStatus.SUCCESS]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A JSON list. Equal lists have equal ETags, in any process and after any restart."""

    runs: Sequence[JSON]
    body: bytes
    etag: str


def active_runs(caller: Caller, *, minimal: bool) -> Listing:
    """All runs that have not ended and that the caller may see.

    `minimal`: without their files, but a participant's run that is to begin a round has the global model, if that is small.
    """
    if minimal:
        shown = [_with_model(run) for run in wire.minimal_runs(hot.active_runs(None if caller.administrator else caller.site_ids))]
    else:
        shown = wire.runs(access.visible_runs(caller).exclude(status__in=ENDED))
    body = json.dumps(shown, separators=(",", ":")).encode()
    return Listing(runs=shown, body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _with_model(run: JSON) -> JSON:
    if run["status"] != RunStatus.STANDBY.word or run["role"] == COORDINATOR:
        return run
    previous = previous_position(run["tasks"], run["cur_seq"])
    model = previous and _model(run, *previous)
    return {**run, "model": model} if model else run


def _model(run: JSON, seq: int, turn: int) -> JSON | None:
    """None where there is none, or a large one, or where it is being replaced."""
    stored = hot.global_model(run["project"], run["batch"], seq, turn, name=MODEL, at_most=MODEL_BYTES)
    if stored is None:
        return None
    key, sha256 = stored
    try:
        with storage.open_file(key) as file:
            data = file.read()
    except FileNotFoundError:
        return None
    return {"task_seq": seq, "round_seq": turn, "name": MODEL, "sha256": sha256, "data": base64.b64encode(data).decode()}
