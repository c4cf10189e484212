"""Runs move: the batch is locked, the one table says what happens, and each change is compared, set and recorded."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from starfish.protocol.problems import Conflict, Invalid, NotFound
from starfish.protocol.run_state import REQUESTS, Event, IllegalMove, RunStatus, batch_moves, own_move
from starfish.router import hot
from starfish.router.access import RUN_NOT_FOUND, Caller, require_acting, run_by_id, sees_run
from starfish.router.actions.projects import lock_project
from starfish.router.hub import announce
from starfish.router.models import Batch, Project, Run, RunTransition


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A batch that nobody else can write to until the transaction ends, and the run of it that was addressed."""

    caller: Caller
    batch: Batch
    runs: Mapping[int, Run]
    run: Run
    stored: Mapping[int, RunStatus]
    """Each run's status as the database has it, while moves are made in memory: `write` compares and sets."""
    begins: bool
    """The batch's, as the database has it."""
    history: list[RunTransition] = field(default_factory=list)
    counted: list[Event] = field(default_factory=list)
    """Events that changed the batch's counters."""

    @property
    def coordinator(self) -> Run:
        return next(run for run in self.runs.values() if run.coordinates)

    def conflict(self, detail: str) -> Conflict:
        """A refusal that names where the run is."""
        task, turn = self.run.position
        return Conflict(detail, state=self.run.state.word, batch=self.batch.number, task_seq=task, round_seq=turn)


def lock(caller: Caller, run_id: int) -> Locked:
    """Inside a transaction. Raises NotFound, Forbidden."""
    batch, found = hot.locked_batch(run_id)
    if batch is None:
        raise NotFound(RUN_NOT_FOUND)
    runs = {run.pk: run for run in found}
    it = Locked(caller=caller, batch=batch, runs=runs, run=runs[run_id], stored={run.pk: run.state for run in found}, begins=batch.begins)
    if not sees_run(caller, site=it.run.site_id, coordinator=it.coordinator.site_id):
        raise NotFound(RUN_NOT_FOUND)
    require_acting(caller, it.run.site_id)
    return it


def set_status(caller: Caller, run_id: int, status: RunStatus, *, update_all: bool, increase_round: bool) -> None:
    """`PUT runs/{id}/status/`. Raises NotFound, Forbidden, Conflict."""
    event = REQUESTS[status]
    with transaction.atomic():
        it = lock(caller, run_id)
        whole = update_all and it.run.coordinates
        if event is Event.ADVANCE and whole and not increase_round and it.run.state is not RunStatus.STANDBY:
            raise it.conflict(f'The run is "{it.run.state.word}"; the next round is asked for with increase_round and update_all.')
        move(it, event, whole=whole)
        write(it)


def act(caller: Caller, run_id: int, *, restart: bool, whole: bool, project_id: int | None, number: int | None) -> None:
    """`PUT runs-action/update/`: stop or restart; `whole` narrows where it is false, and never widens. Raises as `set_status`, Invalid."""
    with transaction.atomic():
        seen = run_by_id(caller, run_id)
        require_acting(caller, seen.site_id)
        if project_id not in (None, seen.batch.project_id) or number not in (None, seen.batch.number):
            raise Invalid(f"Run {run_id} is in project {seen.batch.project_id}, batch {seen.batch.number}")
        project = lock_project(seen.batch.project_id)
        it = lock(caller, run_id)
        if restart:
            _refuse_late_restart(it, project)
        move(it, Event.RESTART if restart else Event.STOP, whole=whole and it.run.coordinates)
        write(it)


def move(it: Locked, event: Event, *, whole: bool, end_task: bool = False) -> None:
    """One event, for the addressed run or its whole batch, in memory; `write` follows. Raises Conflict."""
    states = {run.pk: run.state for run in it.runs.values()}
    left_out = [run.pk for run in it.runs.values() if list(it.batch.position) in run.left_out]
    try:
        if whole:
            moves = batch_moves(event, states, coordinator=it.coordinator.pk, left_out=left_out)
        else:
            target = own_move(event, it.run.state)
            moves = {} if target is it.run.state else {it.run.pk: target}
    except IllegalMove as error:
        raise it.conflict(error.detail) from error
    if moves and event is Event.ADVANCE and _is_last_round(it.batch, end_task=end_task):
        raise it.conflict(f'The run is "{it.run.state.word}"; this was the last round of the last task: move to "Success" (8).')
    _note(it, moves)
    if moves and event is Event.ADVANCE:
        _next_round(it, end_task=end_task)
    if moves and event in (Event.TRAIN, Event.STOP, Event.FAIL, Event.RESTART):
        it.batch.begins = False  # after a failure the coordinator has something to put aside first
    if moves and event is Event.PREPARE and it.batch.begins:
        begin_when_prepared(it)
    if moves and event is Event.SUCCEED and end_task:
        it.batch.config["total_round"] = it.batch.config["current_round"]
        it.counted.append(event)


def begin_when_prepared(it: Locked) -> None:
    """The present round begins by itself, now or with the move of whoever is prepared last; in memory, `write` follows."""
    it.batch.begins = True
    waited_for = [run for run in it.runs.values() if list(it.batch.position) not in run.left_out]
    if all(run.state is RunStatus.PREPARING for run in waited_for):
        move(it, Event.TRAIN, whole=True)


def write(it: Locked) -> None:
    """What was moved: compared and set, with its history. Raises Conflict where somebody else has won."""
    now = timezone.now()
    alike: defaultdict[tuple[RunStatus, RunStatus, int | None, int | None], list[int]] = defaultdict(list)
    for run_id in {transition.run_id for transition in it.history}:
        run = it.runs[run_id]
        run.updated_at = now
        alike[it.stored[run_id], run.state, run.failed_task, run.failed_round].append(run_id)
    for (source, target, failed_task, failed_round), run_ids in alike.items():
        if hot.move_runs(run_ids, source, target, (failed_task, failed_round), now) != len(run_ids):
            raise it.conflict("A run was moved at the same moment; look again.")
    hot.insert(it.history)
    if it.counted or it.batch.begins != it.begins:
        it.batch.save(update_fields=["tasks", "cur_seq", "begins", "updated_at"])
    if it.counted:
        announce(run.site_id for run in it.runs.values())
    elif it.history:
        announce([it.coordinator.site_id, *(transition.run.site_id for transition in it.history)])


def _refuse_late_restart(it: Locked, project: Project) -> None:
    if it.batch.number != project.batch:
        raise it.conflict(f'The run is "{it.run.state.word}"; a newer batch exists, so this one stays as it ended.')
    if any(run.participant_id is None for run in it.runs.values()):
        raise it.conflict(f'The run is "{it.run.state.word}"; a site of this batch has left the project since: open the next batch.')
    if it.batch.sealed and project.letters.filter(created_at__gt=it.batch.created_at).exists():
        raise it.conflict(f'The run is "{it.run.state.word}"; a newer manifest was published since it began: open the next batch.')
    if it.coordinator.state is RunStatus.SUCCESS:
        raise it.conflict(f'The run is "{it.run.state.word}"; the batch has ended in Success, so nothing is left to restart.')


def _note(it: Locked, moves: Mapping[int, RunStatus]) -> None:
    now, (task, turn) = timezone.now(), it.batch.position
    for run_id, target in moves.items():
        run, source = it.runs[run_id], it.runs[run_id].state
        run.status = target
        if target is RunStatus.STANDBY:
            run.failed_task = run.failed_round = None
        elif target in (RunStatus.PENDING_FAILED, RunStatus.FAILED) and run.failed_task is None:
            run.failed_task, run.failed_round = task, turn
        it.history.append(
            RunTransition(run=run, source=source, target=target, task_seq=task, round_seq=turn, account=it.caller.user, at=now)
        )


def _is_last_round(batch: Batch, *, end_task: bool) -> bool:
    ends = end_task or batch.config["current_round"] >= batch.config["total_round"]
    return ends and batch.cur_seq >= len(batch.tasks)


def _next_round(it: Locked, *, end_task: bool) -> None:
    """Counters of the whole batch. A task that ends early has had all its rounds: old clients find its last model so."""
    batch, config = it.batch, it.batch.config
    if end_task:
        config["total_round"] = config["current_round"]
    if config["current_round"] < config["total_round"]:
        config["current_round"] += 1
    else:
        batch.cur_seq += 1
    it.counted.append(Event.ADVANCE)
