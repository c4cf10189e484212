"""What a site does next: a pure function of what the Routing Server says and of what is on the site's own disk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus as S


class Action(Enum):
    """One step. Each may be done twice."""

    VERIFY = "check who has ordered this batch, and on what terms"
    RESET = "forget what a failed attempt left behind"
    FETCH_MODEL = "fetch the last global model"
    PREPARE = "check the data and freeze the rows"
    REPORT_PREPARED = "say that this site is prepared"
    BEGIN_ROUND = "let all sites begin the round"
    TRAIN = "compute the update"
    SEND = "send the update"
    FETCH_UPDATES = "fetch the updates that have arrived"
    AGGREGATE = "add the updates and publish the global model"
    STOP_BATCH = "stop the batch, because a site has failed"
    FAIL = "say why this run has failed"
    FINISH = "fetch the last models and write the report"
    CLOSE = "end the worker; nothing is left to do"


@dataclass(frozen=True, kw_only=True)
class View:
    """What the Routing Server says: this site's run, and for a coordinator all runs of the batch."""

    own: Run
    batch: Sequence[Run]

    @property
    def broken(self) -> bool:
        """Whether a site has failed while others still work: for the coordinator to see."""
        failed = any(run.status in FAILING for run in self.batch)
        return self.own.coordinates and failed and any(run.status.live for run in self.batch)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is on this site's disk. `updates` are the uids whose updates of this round have arrived.

    `verified`: this process has checked who ordered the batch, and on what terms. Of a sealed batch, `told` is the run as it was right
    then, and `members` are the uids of those in the batch, as far as this site is to know them.
    `approved`: no person at this site has still to let the batch go on.
    `restarted`: the run is where it begins, and this site had been further: it missed a stop and the restart after it.
    """

    verified: bool
    takes_part: bool
    failed: bool
    restarted: bool
    prepared: bool
    approved: bool
    has_last_model: bool
    has_update: bool
    updates: Collection[str]
    told: Run | None = None
    members: Collection[str] | None = None


FAILING = (S.FAILED, S.PENDING_FAILED)
READY = (S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING)
SENT = (S.PENDING_AGGREGATING, S.AGGREGATING)


def decide(view: View, memory: Memory) -> Action | None:
    """The next step; None: wait for others."""
    status = view.own.status
    if status is S.SUCCESS:
        return Action.FINISH if memory.verified and not _strange(view, memory) else Action.VERIFY
    if status is S.PENDING_FAILED or (status is S.FAILED and not memory.failed):
        return Action.FAIL
    if view.broken:
        return Action.STOP_BATCH
    if status is S.FAILED:
        return Action.CLOSE
    if not memory.verified or _strange(view, memory):
        return Action.VERIFY
    if status is S.STANDBY:
        return _standby(memory)
    if view.own.coordinates and _may_begin(view):
        return Action.BEGIN_ROUND
    if status is S.PREPARING:
        return None
    if memory.takes_part and not memory.has_update and (view.own.coordinates or status not in SENT):
        return Action.TRAIN
    if view.own.coordinates and (action := _coordinate(view, memory)):
        return action
    return Action.SEND if status not in SENT else None


def _strange(view: View, memory: Memory) -> bool:
    """Whether the Routing Server tells another story since: of who is in a sealed batch, who coordinates it, what is to be done."""
    if memory.told is None or memory.members is None:
        return False
    own, told = view.own, memory.told
    if own.coordinates is not told.coordinates or [_name(task) for task in own.tasks] != [_name(task) for task in told.tasks]:
        return True
    rounds = ((now["config"], then["config"]) for now, then in zip(own.tasks, told.tasks, strict=True))
    further = any(not now["current_round"] <= now["total_round"] <= then["total_round"] for now, then in rounds)
    return further or any(run.site_uid not in memory.members for run in view.batch)


def _name(task: Mapping[str, Any]) -> tuple[Any, Any]:
    return task["seq"], task["model"]


def _standby(memory: Memory) -> Action | None:
    if memory.failed or memory.restarted:
        return Action.RESET
    if not memory.has_last_model:
        return Action.FETCH_MODEL
    if memory.takes_part and not memory.prepared:
        return Action.PREPARE
    return Action.REPORT_PREPARED if memory.approved else None


def _may_begin(view: View) -> bool:
    """Whether somebody waits to begin the round (a site that was restarted alone, too), and nobody is behind."""
    return all(run.status in READY for run in view.batch) and any(run.status is S.PREPARING for run in view.batch)


def _coordinate(view: View, memory: Memory) -> Action | None:
    """The coordinator's own update is here. Where it is the last one that was waited for, its moves go along with the aggregation's."""
    if missing_updates(view, memory):
        return Action.FETCH_UPDATES
    others = (run for run in view.batch if run.id != view.own.id)
    return Action.AGGREGATE if all(run.status in SENT for run in others) else None


def missing_updates(view: View, memory: Memory) -> list[Run]:
    """The other sites' runs that have sent an update which is not here yet."""
    others = (run for run in view.batch if run.id != view.own.id)
    return [run for run in others if run.status in SENT and run.site_uid not in memory.updates]
