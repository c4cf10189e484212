"""The run's state machine: one table, from which the router, the sites and the documents take it.

Two rules. `own_move` moves one run, as its own site may. `batch_moves` moves a batch, as its coordinator may: every run that
is not left out must be ready, and all move together. Both are pure: they say what moves, or raise and change nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum


class RunStatus(IntEnum):
    """Where a run is; the numbers are the wire's."""

    FAILED = 0
    PENDING_FAILED = 1
    STANDBY = 2
    PREPARING = 3
    RUNNING = 4
    PENDING_SUCCESS = 5
    PENDING_AGGREGATING = 6
    AGGREGATING = 7
    SUCCESS = 8

    @property
    def word(self) -> str:
        """As JSON shows it: "Pending Success"."""
        return self.name.replace("_", " ").title()

    @classmethod
    def from_word(cls, word: str) -> "RunStatus":
        """Raises KeyError."""
        return cls[word.replace(" ", "_").upper()]

    @property
    def live(self) -> bool:
        return self not in (RunStatus.FAILED, RunStatus.SUCCESS)


class Event(Enum):
    """What can happen to a run."""

    PREPARE = "prepare"
    TRAIN = "train"
    FINISH = "finish"
    SEND = "send"
    AGGREGATE = "aggregate"
    ADVANCE = "advance"
    SUCCEED = "succeed"
    STOP = "stop"
    FAIL = "fail"
    RESTART = "restart"


class Scope(Enum):
    """Whose move it is."""

    SITE = "each site, its own run"
    BATCH = "the coordinator, the whole batch at a barrier"
    EITHER = "each site its own run, the coordinator the whole batch"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One row of the table. `passed`: at the barrier, a run further on in this round is neither waited for nor moved."""

    sources: frozenset[RunStatus]
    target: RunStatus
    scope: Scope
    passed: frozenset[RunStatus] = frozenset()


_S = RunStatus
_LIVE = frozenset(status for status in RunStatus if status.live)
_FAILING = frozenset({_S.FAILED, _S.PENDING_FAILED})
_AFTER_PREPARING = frozenset({_S.RUNNING, _S.PENDING_SUCCESS, _S.PENDING_AGGREGATING, _S.AGGREGATING})

TABLE: Mapping[Event, Move] = {
    Event.PREPARE: Move(sources=frozenset({_S.STANDBY}), target=_S.PREPARING, scope=Scope.SITE),
    Event.TRAIN: Move(sources=frozenset({_S.PREPARING}), target=_S.RUNNING, scope=Scope.BATCH, passed=_AFTER_PREPARING),
    Event.FINISH: Move(sources=frozenset({_S.RUNNING}), target=_S.PENDING_SUCCESS, scope=Scope.SITE),
    Event.SEND: Move(sources=frozenset({_S.PENDING_SUCCESS}), target=_S.PENDING_AGGREGATING, scope=Scope.SITE),
    Event.AGGREGATE: Move(
        sources=frozenset({_S.PENDING_AGGREGATING}), target=_S.AGGREGATING, scope=Scope.BATCH, passed=frozenset({_S.AGGREGATING})
    ),
    Event.ADVANCE: Move(sources=frozenset({_S.AGGREGATING}), target=_S.STANDBY, scope=Scope.BATCH),
    Event.SUCCEED: Move(sources=frozenset({_S.AGGREGATING}), target=_S.SUCCESS, scope=Scope.BATCH),
    Event.STOP: Move(sources=_LIVE - _FAILING, target=_S.PENDING_FAILED, scope=Scope.EITHER),
    Event.FAIL: Move(sources=_LIVE, target=_S.FAILED, scope=Scope.EITHER),
    Event.RESTART: Move(sources=_FAILING, target=_S.STANDBY, scope=Scope.EITHER),
}

REQUESTS: Mapping[RunStatus, Event] = {move.target: event for event, move in TABLE.items() if event is not Event.RESTART}
"""What a request that names a target status asks for; a restart is asked for by name only."""


class IllegalMove(Exception):
    """The machine does not allow this move now; `state` is where the run is that was to be moved."""

    def __init__(self, detail: str, *, state: RunStatus) -> None:
        super().__init__(detail)
        self.detail = detail
        self.state = state


def own_move(event: Event, status: RunStatus) -> RunStatus:
    """Where one run goes by its own site's move; `status` itself when it is there already. Raises IllegalMove."""
    move = TABLE[event]
    if status is move.target:
        return status
    if move.scope is Scope.BATCH:
        raise IllegalMove(
            f'The run is "{status.word}"; only the coordinator moves it to "{move.target.word}", with the whole batch (update_all).',
            state=status,
        )
    if status not in move.sources:
        allowed = ", ".join(f'"{source.word}"' for source in sorted(move.sources))
        raise IllegalMove(f'The run is "{status.word}"; it goes to "{move.target.word}" from {allowed} only.', state=status)
    return move.target


def batch_moves(
    event: Event, runs: Mapping[int, RunStatus], *, coordinator: int, left_out: Collection[int] = ()
) -> Mapping[int, RunStatus]:
    """The new status of each run that moves, by run id; empty when the move already holds. Raises IllegalMove."""
    move, own = TABLE[event], runs[coordinator]
    if move.scope is Scope.SITE and own is move.target:
        return {}
    if move.scope is Scope.SITE:
        raise IllegalMove(
            f'The run is "{own.word}"; each site moves its own run to "{move.target.word}", without update_all.',
            state=own,
        )
    if move.scope is Scope.EITHER:
        return _sweep(move, runs, own)
    if not move.passed and own is move.target:
        return {}
    counted = {run: status for run, status in runs.items() if run not in left_out}
    blocking = {run: status for run, status in counted.items() if status not in move.sources | move.passed}
    if blocking:
        raise IllegalMove(f'The run is "{own.word}"; {_waits(move, blocking)}', state=own)
    moving = {run for run, status in counted.items() if status in move.sources}
    if not move.passed:  # the round ends: whoever was left out of it, and lives, comes along
        moving |= {run for run in left_out if runs[run] in _LIVE - _FAILING}
    return {run: move.target for run in sorted(moving) if runs[run] is not move.target}


def _sweep(move: Move, runs: Mapping[int, RunStatus], own: RunStatus) -> Mapping[int, RunStatus]:
    """Stop, fail and restart take whoever they apply to; they wait for nobody."""
    moving = {run: move.target for run, status in sorted(runs.items()) if status in move.sources and status is not move.target}
    if not moving and move.target not in runs.values():
        raise IllegalMove(f'The run is "{own.word}"; no run of the batch can go to "{move.target.word}".', state=own)
    return moving


def _waits(move: Move, blocking: Mapping[int, RunStatus]) -> str:
    ready = " or ".join(f'"{status.word}"' for status in sorted(move.sources | move.passed))
    who = ", ".join(f'run {run} is "{status.word}"' for run, status in sorted(blocking.items()))
    return f'all runs go to "{move.target.word}" together, once each is {ready}: {who}.'
