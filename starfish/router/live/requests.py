"""What a live request's body must be; a step's above all."""

import base64
import binascii
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from starfish.protocol.problems import Invalid, TooLarge
from starfish.protocol.run_state import RunStatus
from starfish.router.actions.artifacts import Incoming
from starfish.router.actions.steps import Reference, Step, ends_a_round
from starfish.router.actions.telemetry import LINES_BYTES
from starfish.router.models import Artifact
from starfish.router.strict_json import BadJSON, loads

INLINE_BYTES = 2**20
BODY_BYTES = 2 * INLINE_BYTES
BODY_TOO_LARGE = "A step's artifact has at most 1 MiB; larger ones are uploaded, and referred to by their sha256."

Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Status = Annotated[int, Field(ge=0, le=8)]
Kind = Literal["mid_artifacts", "artifacts", "logs"]


class Strict(BaseModel):
    """A body of which each member is known, and of its type as it stands."""

    model_config = ConfigDict(extra="forbid", strict=True)


M = TypeVar("M", bound=Strict)


def read(kind: type[M], body: bytes) -> tuple[M, Any]:
    """The request, and the JSON that it came as. Raises Invalid."""
    try:
        raw = loads(body)
        return kind.model_validate(raw), raw
    except BadJSON as error:
        raise Invalid(str(error)) from error
    except ValidationError as error:
        raise Invalid("; ".join(_sentence(dict(one)) for one in error.errors()[:5])) from error


class InlineArtifact(Strict):
    """Up to 1 MiB, in Base64."""

    kind: Kind
    name: Annotated[str, Field(max_length=150)]
    data: str


class StoredArtifact(Strict):
    """One of this round's that is stored already."""

    kind: Kind
    name: Annotated[str, Field(max_length=150)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class StepRequest(Strict):
    """From where to where, in which round; `all`: the coordinator's barriers, `without`: whom they do not wait for in this round.

    `begin`: the round in which the chain ends begins by itself as soon as all are prepared; a failure or a restart takes that back.
    `lines`: what the site tells of its run, as `POST runs/{id}/lines/` takes it.
    """

    source: Annotated[Status, Field(alias="from")]
    to: Annotated[list[Status], Field(min_length=1, max_length=8)]
    batch: Number
    task_seq: Number
    round_seq: Number
    everyone: Annotated[bool, Field(alias="all")] = False
    without: Annotated[list[Annotated[int, Field(ge=0, le=2**63 - 1)]], Field(max_length=10_000)] = []
    end_task: bool = False
    begin: bool = False
    artifact: InlineArtifact | StoredArtifact | None = None
    lines: Annotated[str, Field(max_length=LINES_BYTES)] = ""


def read_step(body: bytes) -> tuple[Step, Any]:
    """The step, and the JSON that it came as. Raises Invalid, TooLarge."""
    if len(body) > BODY_BYTES:
        raise TooLarge(BODY_TOO_LARGE)
    asked, raw = read(StepRequest, body)
    targets = [RunStatus(number) for number in asked.to]
    if asked.end_task and not (asked.everyone and ends_a_round(targets)):
        raise Invalid("end_task belongs to a coordinator's step (all) that goes to Standby (2) or Success (8).")
    if asked.begin and not (asked.everyone and targets[-1] in (RunStatus.STANDBY, RunStatus.PREPARING)):
        raise Invalid("begin belongs to a coordinator's step (all) that ends in Standby (2) or Preparing (3).")
    if asked.without and not asked.everyone:
        raise Invalid("Runs are left out by a coordinator's step (all) only.")
    step = Step(
        source=RunStatus(asked.source),
        targets=targets,
        batch=asked.batch,
        task_seq=asked.task_seq,
        round_seq=asked.round_seq,
        everyone=asked.everyone,
        without=asked.without,
        end_task=asked.end_task,
        begin=asked.begin,
        artifact=_artifact(asked.artifact),
        lines=asked.lines,
    )
    return step, raw


def _artifact(asked: InlineArtifact | StoredArtifact | None) -> Incoming | Reference | None:
    if asked is None:
        return None
    kind = Artifact.Kind(asked.kind)
    if isinstance(asked, StoredArtifact):
        return Reference(kind=kind, name=asked.name, sha256=asked.sha256)
    try:
        data = base64.b64decode(asked.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("artifact.data is not Base64.") from error
    if len(data) > INLINE_BYTES:
        raise TooLarge(BODY_TOO_LARGE)
    return Incoming(kind=kind, name=asked.name, head=data, chunks=[data])


def _sentence(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("InlineArtifact", "StoredArtifact"))
    return f"{place or 'the body'}: {error['msg']}"
