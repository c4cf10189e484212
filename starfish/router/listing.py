"""The runs that a site works on, as bytes with an ETag: what waiting compares, and what a step answers with."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from starfish.protocol.run_state import RunStatus
from starfish.router import access, storage, wire
from starfish.router.access import Caller
from starfish.router.models import Artifact, Run
from starfish.router.wire import JSON

MODEL = "artifacts"
"""As every controller names its global model."""
MODEL_BYTES = 64 * 1024
ENDED = [RunStatus.FAILED, RunStatus.SUCCESS]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A JSON list. Equal lists have equal ETags, in any process and after any restart."""

    body: bytes
    etag: str


def active_runs(caller: Caller, *, minimal: bool) -> Listing:
    """All runs that have not ended and that the caller may see.

    `minimal`: without their files, but a participant's run that is to begin a round has the global model, if that is small.
    """
    runs = access.visible_runs(caller).exclude(status__in=ENDED)
    shown = _minimal(list(runs)) if minimal else wire.runs(runs)
    body = json.dumps(shown, separators=(",", ":")).encode()
    return Listing(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _minimal(runs: Sequence[Run]) -> list[JSON]:
    shown = wire.minimal_runs(runs)
    for run, it in zip(runs, shown, strict=True):
        if run.state is RunStatus.STANDBY and not run.coordinates and (model := _model(run)):
            it["model"] = model
    return shown


def _model(run: Run) -> JSON | None:
    """None where there is none, or a large one, or where it is being replaced."""
    if run.batch.previous is None:
        return None
    seq, turn = run.batch.previous
    stored = Artifact.objects.filter(
        run__batch=run.batch_id, kind=Artifact.Kind.MODEL, task_seq=seq, round_seq=turn, name=MODEL, size__lte=MODEL_BYTES
    ).first()
    if stored is None:
        return None
    try:
        with storage.open_file(stored.key) as file:
            data = file.read()
    except FileNotFoundError:
        return None
    return {"task_seq": seq, "round_seq": turn, "name": MODEL, "sha256": stored.sha256, "data": base64.b64encode(data).decode()}
