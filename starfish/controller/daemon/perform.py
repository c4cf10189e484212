"""Doing what was decided. Every step may be done twice: files are written durably, moves are taken only from where the run is."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starfish.controller.daemon.batch import Batch, RunFailed, previous_position
from starfish.controller.daemon.decide import FAILING, Action, View, missing_updates
from starfish.controller.files import not_read_again
from starfish.controller.guard import egress
from starfish.controller.worker.process import WorkerRefused
from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Conflict, NotFound
from starfish.sdk.client import Kind, Stepped

INLINE = 1 << 20
UPDATE, MODEL, FAILURE = "mid-artifacts", "artifacts", "failure.json"
STOPPED = "It was stopped."


def perform(action: Action, batch: Batch, view: View) -> Stepped | None:
    """Do it; what the Routing Server answered, where the run was moved. Raises RouterUnreachable, Problem, RunFailed, WorkerEnded."""
    if not view.own.tasks and action in (Action.PREPARE, Action.REPORT_PREPARED):
        raise RunFailed(
            "The project has no tasks: there is nothing to compute. A new project, with tasks, takes its place.", code="no-tasks"
        )
    return STEPS[action](batch, view)


def _reset(batch: Batch, view: View) -> None:
    """A restart. In the first round of all the rows are prepared anew: what was wrong with them may have been mended."""
    batch.say("restarted")
    if previous_position(view.own) is None:
        batch.end_worker()
        for path in (batch.folder.rows, batch.folder.flow):
            path.unlink(missing_ok=True)
        for folder in ("updates", "models"):
            shutil.rmtree(batch.folder.path / folder, ignore_errors=True)
    batch.journal.mark_prepared(view.own.id, prepared=False)
    batch.journal.mark(view.own.id, failed=False)


def _fetch_model(batch: Batch, view: View) -> None:
    position = previous_position(view.own)
    assert position is not None
    inline = view.own.model
    if inline is not None and inline.position == position:
        batch.folder.write(batch.folder.model(*position), inline.data)
    else:
        _fetch_global(batch, view.own, position)


def _prepare(batch: Batch, view: View) -> None:
    binding = batch.home.binding(view.own.project)
    if binding is None or binding.source is None:
        raise RunFailed(
            "No dataset has been given for this project.",
            code="no-dataset",
            private="No dataset has been given for this project; 'starfish project join' with --dataset does.",
        )
    batch.call("prepare", site=batch.config.uid, source=binding.source, mapping=binding.mapping)


def _report_prepared(batch: Batch, view: View) -> Stepped:
    seq, turn = view.own.position
    batch.say(f"task {seq} ({view.own.task['model']}), round {turn}: prepared")
    stepped = _step(batch, view.own, [S.PREPARING])
    if previous_position(view.own) is None:
        batch.journal.mark_prepared(view.own.id, prepared=True)
    return stepped


def _begin_round(batch: Batch, view: View) -> Stepped:
    """Whoever begins now will send a new update: one that is here already is of an attempt that failed."""
    for run in view.batch:
        if run.status is S.PREPARING:
            batch.folder.update(*view.own.position, run.site_uid).unlink(missing_ok=True)
    return _step(batch, view.own, [S.RUNNING], everyone=True)


def _train(batch: Batch, view: View) -> None:
    seq, turn = view.own.position
    batch.folder.let_go(seq, turn, batch.config.uid)
    batch.call("train", site=batch.config.uid, task_seq=seq, round_seq=turn)


def _send(batch: Batch, view: View) -> Stepped:
    """The update, where there is one to send: a coordinator's own stays where it is added to the others, and without data it has none."""
    own, (seq, turn) = view.own, view.own.position
    chain = [S.PENDING_SUCCESS, S.PENDING_AGGREGATING] if own.status is S.RUNNING else [S.PENDING_AGGREGATING]
    batch.say(f"task {seq} ({own.task['model']}), round {turn}: sent")
    file = batch.folder.update(seq, turn, batch.config.uid)
    if own.coordinates or not file.exists():
        return _step(batch, own, chain)
    return _step(batch, own, chain, _File(kind="mid_artifacts", name=UPDATE, path=file, what="update"))


def _fetch_updates(batch: Batch, view: View) -> None:
    seq, turn = view.own.position
    for run in missing_updates(view, batch.memory(view.own)):
        if run.update is not None and run.update.position == (seq, turn):
            batch.folder.write(batch.folder.update(seq, turn, run.site_uid), run.update.data)
            continue
        try:
            _fetch(batch, run.id, "mid_artifacts", (seq, turn), batch.folder.update(seq, turn, run.site_uid))
        except NotFound as error:
            name = _names(batch).get(run.site_uid, run.site_uid)
            raise RunFailed(f"{name} sent no update for task {seq}, round {turn}.", code="no-update") from error


def _aggregate(batch: Batch, view: View) -> Stepped:
    """Add up, publish, and move on, in one step of the Routing Server's."""
    own, (seq, turn) = view.own, view.own.position
    try:
        result = batch.call("aggregate", task_seq=seq, round_seq=turn)
    except WorkerRefused as error:
        refusal = error.refusal
        if refusal.site is None:
            raise
        name = _names(batch).get(refusal.site, refusal.site)
        batch.folder.update(seq, turn, refusal.site).unlink(missing_ok=True)
        raise RunFailed(f"{name}: {refusal.public}", code=refusal.code) from error
    ends = bool(result["done"])
    over = own.last_task and (ends or own.last_round)
    path = [S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING]
    # The coordinator has what the next round begins with: it is prepared as soon as there is one.
    chain = path[path.index(own.status) + 1 :] + ([S.SUCCESS] if over else [S.STANDBY, S.PREPARING])
    batch.say(f"task {seq} ({own.task['model']}): {'ended' if ends or own.last_round else 'went on'} after round {turn}")
    model = _File(kind="artifacts", name=MODEL, path=Path(result["path"]), what="model")
    return _step(batch, own, chain, model, everyone=True, end_task=ends, begin=not over)


def _stop_batch(batch: Batch, view: View) -> Stepped:
    """Say which site failed and why; then stop everybody."""
    names = _names(batch)
    for run in view.batch:
        if run.status in FAILING and run.id != view.own.id:
            # Whoever fails goes to Failed at once: here somebody has stopped that site, and a notice of its is of an earlier attempt.
            reason = STOPPED if run.status is S.PENDING_FAILED else _reason(batch, run)
            batch.log("error", f"{names.get(run.site_uid, run.site_uid)} failed: {reason or 'it gave no reason'}")
    batch.end_worker()
    return _step(batch, view.own, [S.FAILED], everyone=True)  # from where it was seen: a restart meanwhile is not undone


def _fail(batch: Batch, view: View) -> Stepped | None:
    """The run was stopped, here or by its coordinator. A notice of an earlier attempt at this round is no longer the reason."""
    own = view.own
    batch.end_worker()
    batch.say("stopped")
    seq, turn = own.position
    notice = f"/{own.id}-{seq}-{turn}-{FAILURE}"
    if not batch.memory(own).failed and any(path.endswith(notice) for path in batch.client.run(own.id).logs):
        _upload(batch, own, FAILURE, egress.failure_notice("stopped", STOPPED, None, seq), "failure")
    return fail(batch, own, None)


def fail(batch: Batch, own: Run, reason: RunFailed | None) -> Stepped | None:
    """Tell why (the public part), then move to Failed; a coordinator takes the whole batch along."""
    if own.status is S.SUCCESS:
        reason = reason or RunFailed("no reason is known", code="unknown")
        batch.log("error", "The batch succeeded, but there is no report of it here.", f"There is no report here: {reason.private}")
        _close(batch, own)
        return None
    if reason:
        batch.say(f"failed: {reason.public}", "error", f"failed: {reason.private}")
        notice = egress.failure_notice(reason.code, reason.public, reason.variable, own.cur_seq)
        _upload(batch, own, FAILURE, notice, "failure")
    batch.journal.mark(own.id, failed=True)
    if own.status is S.FAILED:
        _send_lines(batch, own)
        return None
    return _step(batch, own, [S.FAILED], everyone=own.coordinates)


def _finish(batch: Batch, view: View) -> None:
    own = view.own
    for task in own.tasks:
        position = int(task["seq"]), int(task["config"]["current_round"])
        if not batch.folder.model(*position).exists():
            _fetch_global(batch, own, position)
    names = _names(batch) if own.coordinates else None
    batch.call("report", site=batch.config.uid, site_name=batch.config.name, site_names=names)
    batch.say("success")
    _send_lines(batch, own)
    _close(batch, own)


def _close(batch: Batch, own: Run) -> None:
    batch.end_worker()
    batch.journal.mark(own.id, finished=True)


STEPS: Mapping[Action, Callable[[Batch, View], Stepped | None]] = {
    Action.RESET: _reset,
    Action.FETCH_MODEL: _fetch_model,
    Action.PREPARE: _prepare,
    Action.REPORT_PREPARED: _report_prepared,
    Action.BEGIN_ROUND: _begin_round,
    Action.TRAIN: _train,
    Action.SEND: _send,
    Action.FETCH_UPDATES: _fetch_updates,
    Action.AGGREGATE: _aggregate,
    Action.STOP_BATCH: _stop_batch,
    Action.FAIL: _fail,
    Action.FINISH: _finish,
    Action.CLOSE: lambda batch, view: _close(batch, view.own),
}


@dataclass(frozen=True, kw_only=True)
class _File:
    """What goes along with a step."""

    kind: Kind
    name: str
    path: Path
    what: egress.What


def _step(
    batch: Batch,
    own: Run,
    chain: list[S],
    file: _File | None = None,
    *,
    everyone: bool = False,
    end_task: bool = False,
    begin: bool = False,
) -> Stepped:
    """A step, with the lines that were not told yet and perhaps a file: inline where it is small, else stored before."""
    artifact, stored = None, None
    if file is not None:
        left = egress.release(batch.journal, batch.policy, batch.key, file.what, file.name, file.path, sha256=batch.digests.get(file.path))
        if left.size <= INLINE:
            artifact = (file.kind, file.name, file.path.read_bytes())
        else:
            _put(batch, own, file, left.sha256)
            stored = (file.kind, file.name, left.sha256)
            if file.what == "update":
                not_read_again(file.path)
    lines = _lines(batch)
    stepped = batch.client.step(
        own, chain, everyone=everyone, end_task=end_task, begin=begin, artifact=artifact, stored=stored, lines=lines
    )
    batch.sent(lines)
    return stepped


def _put(batch: Batch, own: Run, file: _File, sha256: str) -> None:
    """What an attempt that failed has left there under this name is replaced. Raises Conflict where the run has moved on."""
    put = partial(batch.client.put_artifact, own.id, *own.position, file.kind, file.name, file.path, sha256=sha256)
    try:
        put()
    except Conflict as error:
        if "attempt" not in error.extra:
            raise
        put(attempt=error.extra["attempt"] + 1)


def _lines(batch: Batch) -> str:
    lines = batch.unsent()
    if lines:
        egress.release(batch.journal, batch.policy, batch.key, "lines", "lines", lines.encode())
    return lines


def _send_lines(batch: Batch, own: Run) -> None:
    """Those that no step takes along any more."""
    while lines := _lines(batch):
        batch.client.add_lines(own.id, lines, key=hashlib.sha256(lines.encode()).hexdigest())
        batch.sent(lines)


def _upload(batch: Batch, own: Run, name: str, data: bytes, what: egress.What) -> None:
    """Of a run that has left the round meanwhile nothing more is taken, and nothing is missing."""
    egress.release(batch.journal, batch.policy, batch.key, what, name, data)
    try:
        batch.client.upload(own.id, *own.position, "logs", name, data)
    except Conflict:
        batch.log("info", f"{name} came too late for round {own.round_seq}")


def _fetch_global(batch: Batch, own: Run, position: tuple[int, int]) -> None:
    """Raises RunFailed where it is gone: waiting would not bring it."""
    try:
        _fetch(batch, own.id, "artifacts", position, batch.folder.model(*position))
    except NotFound as error:
        raise RunFailed(
            f"The Routing Server has no global model of task {position[0]}, round {position[1]}.", code="no-global-model"
        ) from error


def _fetch(batch: Batch, run_id: int, kind: Kind, position: tuple[int, int], to: Path) -> None:
    """One file of a round, durably in its place. Raises NotFound."""
    to.parent.mkdir(parents=True, exist_ok=True)
    batch.client.get_artifact(run_id, *position, kind, UPDATE if kind == "mid_artifacts" else MODEL, to)


def _reason(batch: Batch, run: Run) -> str | None:
    """What a failed site said in public."""
    with tempfile.TemporaryDirectory(dir=batch.folder.path) as folder:
        try:
            files = batch.client.download(run.id, "logs", *run.position, Path(folder))
        except NotFound:
            return None
        for file in files:
            if file.name.endswith(FAILURE):
                try:
                    return str(json.loads(file.read_bytes())["message"])
                except (ValueError, KeyError, TypeError):
                    return "its notice can't be read"
    return None


def _names(batch: Batch) -> dict[str, str]:
    """The members' names by uid, for the coordinator's people."""
    return {member.site.uid: member.site.name for member in batch.client.participants(batch.key[0])}
