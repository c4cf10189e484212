"""What a batch sends and gets: through the one door of the policy, in the envelopes of the project, as files of the Routing Server."""

import hashlib
import json
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from starfish.controller.daemon.batch import Batch, RunFailed, previous_position
from starfish.controller.files import not_read_again
from starfish.controller.guard import egress
from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.wrapping import Outgoing, Told
from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Client, Conflict, NotFound
from starfish.sdk.client import Kind, Stepped
from starfish.sdk.streaming import ArtifactStream

INLINE = 1 << 20
LINES_APART_S = 0.25
"""Lines of quick rounds go together: each telling costs an entry in the audit, an envelope, and a row at the Routing Server."""
NOTHING = Told(plain="", wire="")
FAILURE, STOPPED = "failure.json", "It was stopped."
Position = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class File:
    """What goes along with a step. `sites`: those whose updates are in a model; None where it pools nothing."""

    what: Literal["update", "model"]
    path: Path
    sites: int | None = None

    @property
    def kind(self) -> Kind:
        return "mid_artifacts" if self.what == "update" else "artifacts"

    @property
    def name(self) -> str:
        """As Part A's controllers look for it."""
        return "mid-artifacts" if self.what == "update" else "artifacts"


def step(
    batch: Batch,
    own: Run,
    chain: list[S],
    file: File | None = None,
    *,
    everyone: bool = False,
    end_task: bool = False,
    begin: bool = False,
) -> Stepped:
    """A step, perhaps with a file (inline where it is small, else stored before) and, a few times a second, with the lines not told yet."""
    artifact, stored = None, None
    if file is not None:
        sent = _sealed(batch, own, file)
        if sent.size <= INLINE:
            artifact = (file.kind, file.name, sent.path.read_bytes())
        else:
            _put(batch, own, file, sent)
            stored = (file.kind, file.name, sent.sha256)
            if file.what == "update":
                not_read_again(file.path)
    soon = time.monotonic() - batch.told_at < LINES_APART_S
    told = NOTHING if soon else _lines(batch, own)
    stepped = batch.client.step(
        own, chain, everyone=everyone, end_task=end_task, begin=begin, artifact=artifact, stored=stored, lines=told.wire
    )
    _heard(batch, told)
    return stepped


def send_lines(batch: Batch, own: Run) -> None:
    """Those that no step takes along any more."""
    while (told := _lines(batch, own)).plain:
        batch.client.add_lines(own.id, told.wire, key=hashlib.sha256(told.wire.encode()).hexdigest())
        _heard(batch, told)


def tell_failure(batch: Batch, own: Run, reason: RunFailed) -> None:
    """The public part, to the coordinator, where it can be told: nothing is, of a batch whose terms were found false.

    Of a run that has left the round meanwhile nothing more is taken, and nothing is missing.
    """
    wrapping = batch.wrapping or reason.wrapping
    if wrapping is None:
        return
    notice = egress.failure_notice(reason.code, reason.public, reason.variable, own.cur_seq)
    egress.release(batch.journal, batch.policy, batch.key, "failure", FAILURE, notice)
    try:
        batch.client.upload(own.id, *own.position, "logs", FAILURE, wrapping.notice(own.position, notice))
    except Conflict:
        batch.log("info", f"{FAILURE} came too late for round {own.round_seq}")


def fetch_model(batch: Batch, own: Run, position: Position) -> None:
    """A round's global model, and before it those that it must follow from.

    Raises RunFailed where it is gone, for waiting would not bring it, or is not what it should be.
    """
    missing = [position]
    while (parent := previous_position(own, missing[-1])) and not batch.opened.knows(batch.folder.model(*parent)):
        missing.append(parent)
    for place in reversed(missing):
        parent = previous_position(own, place)
        if parent is not None and parent[0] != place[0]:
            must_have_ended(batch, parent)
        _fetch_model(batch, own, place, parent)


def _fetch_model(batch: Batch, own: Run, at: Position, parent: Position | None) -> None:
    to = batch.folder.model(*at)
    inline = own.model
    try:
        if inline is not None and inline.position == at:
            came: _Remote | bytes = inline.data
        else:
            came = _Remote(client=batch.client, run=own.id, kind="artifacts", at=at, name="artifacts")
        batch.opened.incoming("model", at, None, came, to, parent=parent)
    except NotFound as error:
        raise RunFailed(f"The Routing Server has no global model of task {at[0]}, round {at[1]}.", code="no-global-model") from error
    except Untrusted as error:
        raise RunFailed(str(error), code=error.code) from error


def fetch_update(batch: Batch, run: Run, at: Position) -> None:
    """Another site's. Raises NotFound, RunFailed."""
    to = batch.folder.update(*at, run.site_uid)
    try:
        if run.update is not None and run.update.position == at:
            came: _Remote | bytes = run.update.data
        else:
            came = _Remote(client=batch.client, run=run.id, kind="mid_artifacts", at=at, name="mid-artifacts")
        batch.opened.incoming("update", at, run.site_uid, came, to, parent=previous_position(run, at))
    except Untrusted as error:
        raise RunFailed(str(error), code=error.code) from error


def must_have_ended(batch: Batch, last: Position) -> None:
    """Whether a task did end with this round, as its last global model says. Raises RunFailed: the Routing Server may have cut it short."""
    if not batch.opened.ended(last):
        raise RunFailed(
            f"The Routing Server says that task {last[0]} ended with round {last[1]}, and the global model of that round does not.",
            code="cut-short",
        )


def must_be_due(batch: Batch, own: Run) -> None:
    """Whether a task may begin: the one before it has ended, by its own last global model. Raises RunFailed."""
    last = previous_position(own)
    if last is not None and last[0] != own.cur_seq:
        must_have_ended(batch, last)


def reason_of(batch: Batch, run: Run) -> str | None:
    """What a failed site said in public."""
    if batch.wrapping is None:
        return None
    with tempfile.TemporaryDirectory(dir=batch.folder.path) as folder:
        try:
            files = batch.client.download(run.id, "logs", *run.position, Path(folder))
        except NotFound:
            return None
        for file in files:
            if file.name.endswith(FAILURE):
                try:
                    return str(json.loads(batch.wrapping.read_notice(run.position, run.site_uid, file.read_bytes()))["message"])
                except Untrusted as error:
                    return f"its reason is refused: {error}"
                except (ValueError, KeyError, TypeError):
                    return "its notice can't be read"
    return None


def names(batch: Batch) -> dict[str, str]:
    """The members' names by uid, for the coordinator's people."""
    return {member.site.uid: member.site.name for member in batch.client.participants(batch.key[0])}


def _sealed(batch: Batch, own: Run, file: File) -> Outgoing:
    """The file as it leaves, once the policy lets it."""
    left = egress.release(
        batch.journal,
        batch.policy,
        batch.key,
        file.what,
        file.name,
        file.path,
        sha256=batch.digests.get(file.path),
        position=own.position,
        sites=file.sites,
    )
    return batch.opened.outgoing(file.what, own.position, file.path, left.sha256, parent=previous_position(own))


def _put(batch: Batch, own: Run, file: File, sent: Outgoing) -> None:
    """What an attempt that failed has left there under this name is replaced. Raises Conflict where the run has moved on."""
    put = partial(batch.client.put_artifact, own.id, *own.position, file.kind, file.name, sent.path, sha256=sent.sha256)
    try:
        put()
    except Conflict as error:
        if "attempt" not in error.extra:
            raise
        put(attempt=error.extra["attempt"] + 1)


def _lines(batch: Batch, own: Run) -> Told:
    lines = batch.unsent()
    if not lines or batch.wrapping is None:
        return NOTHING
    told = batch.wrapping.tell(own.position, lines)
    egress.release(batch.journal, batch.policy, batch.key, "lines", "lines", told.plain.encode())
    return told


def _heard(batch: Batch, told: Told) -> None:
    if told.plain:
        batch.sent(told.plain)
        batch.told_at = time.monotonic()


@dataclass(frozen=True, kw_only=True)
class _Remote:
    """A file of a round, as the Routing Server has it. Both methods raise NotFound."""

    client: Client
    run: int
    kind: Kind
    at: Position
    name: str

    def save(self, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        self.client.get_artifact(self.run, *self.at, self.kind, self.name, to)

    def stream(self) -> ArtifactStream:
        return self.client.stream_artifact(self.run, *self.at, self.kind, self.name)
