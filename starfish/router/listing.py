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
        shown = wire.minimal_runs(hot.active_runs(None if caller.administrator else caller.site_ids))
        _add_files(shown)
    else:
        shown = wire.runs(access.visible_runs(caller).exclude(status__in=ENDED))
    body = json.dumps(shown, separators=(",", ":")).encode()
    return Listing(runs=shown, body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _add_files(runs: Sequence[JSON]) -> None:
    """What is waited for, if it is small: for the coordinator, whose own run is in its list, the updates; for the others the model."""
    coordinated = {(run["project"], run["batch"]) for run in runs if run["role"] == COORDINATOR}
    sent: dict[tuple[int, int], list[JSON]] = defaultdict(list)
    for run in runs:
        batch = run["project"], run["batch"]
        if batch not in coordinated:
            _add_model(run)
        elif run["role"] != COORDINATOR and run["status"] == RunStatus.PENDING_AGGREGATING.word:
            sent[batch].append(run)
    for some in sent.values():
        _add_updates(some)


def _add_model(run: JSON) -> None:
    position = previous_position(run["tasks"], run["cur_seq"]) if run["status"] == RunStatus.STANDBY.word else None
    if position is None:
        return
    stored = hot.global_model(run["project"], run["batch"], *position, name=MODEL, at_most=MODEL_BYTES)
    if stored and (file := _inline(*position, MODEL, *stored)):
        run["model"] = file


def _add_updates(runs: Sequence[JSON]) -> None:
    """To runs of one batch that have sent theirs."""
    position = present_position(runs[0]["tasks"], runs[0]["cur_seq"])
    found = hot.updates([run["id"] for run in runs], *position, name=UPDATE, at_most=UPDATE_BYTES)
    for run in runs:
        if run["id"] in found and (file := _inline(*position, UPDATE, *found[run["id"]])):
            run["update"] = file


def _inline(seq: int, turn: int, name: str, key: str, sha256: str) -> JSON | None:
    """None where it is being replaced."""
    try:
        data = storage.read(key)
    except FileNotFoundError:
        return None
    return {"task_seq": seq, "round_seq": turn, "name": name, "sha256": sha256, "data": base64.b64encode(data).decode()}
