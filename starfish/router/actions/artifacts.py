"""Files of a run: the bytes first, durably and under a key of their own; then, with the batch locked, the row that makes them count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from re import fullmatch

from django.db import transaction
from django.utils import timezone

from starfish.protocol.problems import Conflict, Forbidden, Invalid, NotFound, Problem
from starfish.protocol.run_state import RunStatus
from starfish.router import hot, storage
from starfish.router.access import Caller, require_acting, run_by_id
from starfish.router.actions.moves import Locked, lock
from starfish.router.actions.sealed import refuse_open_bytes
from starfish.router.hub import announce
from starfish.router.models import Artifact, Run
from starfish.router.storage import Stored

Kind = Artifact.Kind
LARGE = 1 << 20
SAFE_NAME = r"[A-Za-z0-9_][A-Za-z0-9._ +=@,()-]{0,149}"


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A file on its way in."""

    kind: Kind
    name: str
    head: bytes
    """Its first bytes, at least as many as tell an envelope."""
    chunks: Iterable[bytes]


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A file whose bytes are stored and whose row is still to come."""

    kind: Kind
    name: str
    stored: Stored


def upload(caller: Caller, run_id: int, task_seq: int, round_seq: int, files: Sequence[Incoming]) -> None:
    """All of them or none. Raises NotFound, Forbidden, Invalid, Conflict."""
    run = run_by_id(caller, run_id)
    require_acting(caller, run.site_id)
    for file in files:  # what can be refused before a byte is written
        check(run, file.kind, file.name)
        refuse_open(run, file)
    saved: list[Saved] = []
    try:
        for file in files:
            saved.append(save(file))
        with transaction.atomic():
            it = lock(caller, run_id)
            for done in saved:
                keep(it, done, task_seq, round_seq)
    except (Problem, OSError):  # nothing refers to these; after any other failure somebody might
        storage.delete(done.stored.key for done in saved)
        raise


def check(run: Run, kind: Kind, name: str) -> None:
    """Whether such a file can be this run's at all. Raises Forbidden, Invalid."""
    if not fullmatch(SAFE_NAME, name):
        raise Invalid("A file's name has up to 150 letters, digits and . _ + = @ , ( ) - or spaces, and begins with a letter or digit")
    if kind == Kind.MODEL and not run.coordinates:
        raise Forbidden("Only the coordinator's run has artifacts: they are the global model.")


def refuse_open(run: Run, file: Incoming) -> None:
    """Raises Invalid where its project is sealed and the file is not."""
    if run.batch.sealed:
        refuse_open_bytes(file.head)


def save(file: Incoming) -> Saved:
    return Saved(kind=file.kind, name=file.name, stored=storage.save(file.chunks))


def keep(it: Locked, file: Saved, task_seq: int, round_seq: int, attempt: int | None = None) -> Artifact:
    """The row; what it replaces goes once that is certain. The same bytes again change nothing. Raises Invalid, Conflict.

    `attempt`: other bytes need a higher one than those that are stored. Without it the later replaces the earlier.
    """
    known, stored = known_as(it, file.kind, task_seq, round_seq, file.name), file.stored
    if known and known.sha256 == stored.sha256:
        transaction.on_commit(partial(storage.delete, [stored.key]))
        return known
    refuse_late(it, file.kind, task_seq, round_seq)
    if known:
        refuse_other_bytes(known, attempt)
        transaction.on_commit(partial(storage.delete, [known.key]))
    row = known or Artifact(run=it.run, kind=file.kind, task_seq=task_seq, round_seq=round_seq, name=file.name)
    row.attempt = attempt or (known.attempt + 1 if known else 1)
    row.size, row.sha256, row.key, row.created_at = stored.size, stored.sha256, stored.key, timezone.now()
    if known:
        row.save()
    else:
        hot.insert([row])
    if file.kind == Kind.MODEL and stored.size > LARGE:
        transaction.on_commit(partial(storage.not_read_again, _added_up(it, task_seq, round_seq)))
    readers = it.runs.values() if file.kind == Kind.MODEL else (it.run, it.coordinator)
    announce(run.site_id for run in readers)
    return row


def _added_up(it: Locked, task_seq: int, round_seq: int) -> list[str]:
    """Keys of what went into this round's global model: the updates, and the model before."""
    of_batch = Artifact.objects.filter(run__batch=it.batch, task_seq=task_seq)
    used = of_batch.filter(kind=Kind.UPDATE, round_seq=round_seq) | of_batch.filter(kind=Kind.MODEL, round_seq=round_seq - 1)
    return list(used.values_list("key", flat=True))


def known_as(it: Locked, kind: Kind, task_seq: int, round_seq: int, name: str) -> Artifact | None:
    """What is stored under this name."""
    return hot.stored_file(it.run.pk, kind, task_seq, round_seq, name, own=True)


def refuse_other_bytes(known: Artifact, attempt: int | None) -> None:
    """Raises Conflict where this attempt may not replace what is stored."""
    if attempt is not None and attempt <= known.attempt:
        raise Conflict(
            f"Other bytes are stored under this name as attempt {known.attempt} (SHA-256 {known.sha256}); "
            f"to replace them, send these as attempt {known.attempt + 1}.",
            attempt=known.attempt,
        )


def refer(it: Locked, kind: Kind, name: str, sha256: str) -> None:
    """That this round's file of that name is stored already, with these bytes. Raises NotFound."""
    task, turn = it.run.position
    if not Artifact.objects.filter(run=it.run, kind=kind, task_seq=task, round_seq=turn, name=name, sha256=sha256).exists():
        raise NotFound(f"No {kind} named {name} with this digest is stored for task {task}, round {turn}; upload it first.")


def refuse_late(it: Locked, kind: Kind, task_seq: int, round_seq: int) -> None:
    """Raises Invalid, Conflict."""
    task, turn = it.run.position
    if task_seq > max(1, len(it.batch.tasks)):
        raise Invalid(f"The batch has no task {task_seq}")
    if (task_seq, round_seq) != (task, turn):
        raise it.conflict(f'The run is "{it.run.state.word}" in task {task}, round {turn}; files of another round are not taken.')
    if it.run.state is RunStatus.SUCCESS:
        raise it.conflict('The run is "Success"; its files stay as they are.')
    if kind == Kind.UPDATE and any(run.state in (RunStatus.AGGREGATING, RunStatus.SUCCESS) for run in it.runs.values()):
        raise it.conflict(f'The run is "{it.run.state.word}" and the batch is aggregating; updates of this round stay as they are.')
