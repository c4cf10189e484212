"""The runs that a site works on, as bytes with an ETag: what waiting compares, and what a step answers with."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from starfish.protocol.run_state import RunStatus
from starfish.router import access, hot, storage, wire
from starfish.router.access import Caller
from starfish.router.models import ProjectParticipant
from starfish.router.models.batch import present_position, previous_position
from starfish.router.wire import JSON

MODEL, UPDATE = "artifacts", "mid-artifacts"
"""As every controller names its global model and its updates."""
COORDINATOR = ProjectParticipant.Role.COORDINATOR.label
MODEL_BYTES, UPDATE_BYTES = 64 * 1024, 8 * 1024
ENDED = [RunStatus.FAILED, RunStatus.SUCCESS]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A JSON list. Equal lists have equal ETags, in any process and after any restart."""

    runs: Sequence[JSON]
    body: bytes
    etag: str


def active_runs(caller: Caller, *, minimal: bool) -> Listing:
    """All runs that have not ended and that the caller may see.

    `minimal`: without their files; but a participant's run that is to begin a round has the global model, and its coordinator's list
    has the updates that were sent, as far as they are small.
    """
    if minimal:
        shown = [_with_model(run) for run in wire.minimal_runs(hot.active_runs(None if caller.administrator else caller.site_ids))]
        _add_updates(shown)
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


def _add_updates(runs: Sequence[JSON]) -> None:
    """To the participants' runs that have sent theirs, where the coordinator's own is in the list: it is who adds them up."""
    coordinated = {(run["project"], run["batch"]) for run in runs if run["role"] == COORDINATOR}
    sent: dict[tuple[int, int], list[JSON]] = defaultdict(list)
    for run in runs:
        batch = run["project"], run["batch"]
        if batch in coordinated and run["role"] != COORDINATOR and run["status"] == RunStatus.PENDING_AGGREGATING.word:
            sent[batch].append(run)
    for some in sent.values():
        seq, turn = present_position(some[0]["tasks"], some[0]["cur_seq"])
        found = hot.updates([run["id"] for run in some], seq, turn, name=UPDATE, at_most=UPDATE_BYTES)
        for run in some:
            if run["id"] in found and (file := _inline(seq, turn, UPDATE, *found[run["id"]])):
                run["update"] = file


def _inline(seq: int, turn: int, name: str, key: str, sha256: str) -> JSON | None:
    """None where it is being replaced."""
    try:
        data = storage.read(key)
    except FileNotFoundError:
        return None
    return {"task_seq": seq, "round_seq": turn, "name": name, "sha256": sha256, "data": base64.b64encode(data).decode()}


def _model(run: JSON, seq: int, turn: int) -> JSON | None:
    """None where there is none, or a large one."""
    stored = hot.global_model(run["project"], run["batch"], seq, turn, name=MODEL, at_most=MODEL_BYTES)
    return _inline(seq, turn, MODEL, *stored) if stored else None
