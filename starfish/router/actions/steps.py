"""`POST runs/{id}/step/`: an artifact and a chain of moves, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from starfish.protocol.problems import Forbidden, Invalid
from starfish.protocol.run_state import REQUESTS, TABLE, Event, RunStatus, Scope
from starfish.router import storage, wire
from starfish.router.access import Caller, run_by_id
from starfish.router.actions import artifacts, telemetry
from starfish.router.actions.idempotency import Answer, Ticket, once
from starfish.router.actions.moves import Locked, begin_when_prepared, lock, move, write
from starfish.router.listing import Listing, active_runs
from starfish.router.models import Artifact, Run
from starfish.router.wire import JSON


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An artifact that was stored before."""

    kind: Artifact.Kind
    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """From where to where, in which round; `everyone`: the coordinator's barriers, of which `without` leaves runs out.

    `begin`: the round in which the chain ends begins by itself, once all are prepared.
    """

    source: RunStatus
    targets: Sequence[RunStatus]
    batch: int
    task_seq: int
    round_seq: int
    everyone: bool
    without: Sequence[int]
    end_task: bool
    begin: bool
    artifact: artifacts.Incoming | Reference | None
    lines: str = ""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The answer to a step: the run, and all that its site works on, as a wait of the site's would tell it."""

    run: JSON
    listing: Listing


def take(caller: Caller, run_id: int, step: Step, ticket: Ticket | None, *, minimal: bool, saved: artifacts.Saved | None = None) -> Taken:
    """`minimal`: without the runs' files; `saved`: the step's file, where its bytes are on the disk already.

    Raises NotFound, Forbidden, Invalid, Conflict, KeyReused.
    """
    artifact = saved or (artifacts.save(step.artifact) if isinstance(step.artifact, artifacts.Incoming) else step.artifact)
    made: list[tuple[Answer, Listing]] = []

    def move_on() -> Answer:
        with transaction.atomic(savepoint=ticket is None):  # with a ticket it is in the transaction of its record
            run = _take(caller, run_id, step, artifact)
            listing = active_runs(caller.acting_for(run.site_id), minimal=minimal)
            shown = next((one for one in listing.runs if one["id"] == run.pk), None)
            made.append((Answer(status=200, body=shown or (wire.minimal_run(run) if minimal else wire.run(run))), listing))
            return made[-1][0]

    try:
        answer = once(ticket, move_on)
    except Exception:
        _clear(artifact)
        raise
    if made and made[-1][0] is answer:
        return Taken(run=answer.body, listing=made[-1][1])
    # This was taken before, and what was done now was taken back: the answer is that of then, the listing is of now.
    _clear(artifact)
    return Taken(run=answer.body, listing=active_runs(caller.acting_for(run_by_id(caller, run_id).site_id), minimal=minimal))


def _clear(artifact: artifacts.Saved | Reference | None) -> None:
    """Bytes that were stored for a step that did not take place. Whether it did is asked: a commit's answer can be lost."""
    if isinstance(artifact, artifacts.Saved) and not Artifact.objects.filter(key=artifact.stored.key).exists():
        storage.delete([artifact.stored.key])


def _take(caller: Caller, run_id: int, step: Step, artifact: artifacts.Saved | Reference | None) -> Run:
    """Inside a transaction."""
    it = lock(caller, run_id)
    if step.everyone and not it.run.coordinates:
        raise Forbidden("Only the coordinator's run takes a step for all.")
    _expect(it, step)
    if isinstance(step.artifact, artifacts.Incoming):
        artifacts.refuse_open(it.run, step.artifact)
    if isinstance(artifact, artifacts.Saved):
        artifacts.check(it.run, artifact.kind, artifact.name)
        artifacts.keep(it, artifact, step.task_seq, step.round_seq)
    elif isinstance(artifact, Reference):
        artifacts.refer(it, artifact.kind, artifact.name, artifact.sha256)
    if step.lines:
        telemetry.add_lines(it.run, step.lines)
    _leave_out(it, step.without)
    for target in step.targets:
        event = REQUESTS[target]
        scope = TABLE[event].scope
        move(it, event, whole=step.everyone and scope is not Scope.SITE, end_task=step.end_task)
    if step.begin:
        begin_when_prepared(it)
    write(it)
    return it.run


def _expect(it: Locked, step: Step) -> None:
    """A delayed duplicate, or one for another round, moves nothing."""
    here = (it.run.state, it.batch.number, *it.batch.position)
    if here != (step.source, step.batch, step.task_seq, step.round_seq):
        raise it.conflict(
            f'The run is "{it.run.state.word}" in batch {it.batch.number}, task {here[2]}, round {here[3]}; '
            f'the step was for "{step.source.word}" in batch {step.batch}, task {step.task_seq}, round {step.round_seq}.'
        )


def _leave_out(it: Locked, without: Sequence[int]) -> None:
    foreign = [run_id for run_id in without if run_id not in it.runs or run_id == it.run.pk]
    if foreign:
        raise Invalid(f"Only other runs of this batch can be left out, not {', '.join(map(str, foreign))}.")
    here = list(it.batch.position)
    for run_id in without:
        run = it.runs[run_id]
        if here not in run.left_out:
            run.left_out = [*run.left_out, here]
            Run.objects.filter(pk=run_id).update(left_out=run.left_out)


def ends_a_round(targets: Sequence[RunStatus]) -> bool:
    """Whether `end_task` has something to say."""
    return any(REQUESTS[target] in (Event.ADVANCE, Event.SUCCEED) for target in targets)
