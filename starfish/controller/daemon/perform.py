"""Doing what was decided. Every step may be done twice: files are written durably, moves are taken only from where the run is."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict

from starfish.controller.daemon.batch import Batch, RunFailed, previous_position
from starfish.controller.daemon.decide import FAILING, Action, View, missing_updates
from starfish.controller.daemon.exchange import (
    FAILURE,
    STOPPED,
    File,
    fetch_model,
    fetch_update,
    must_be_due,
    must_have_ended,
    names,
    reason_of,
    send_lines,
    step,
    tell_failure,
)
from starfish.controller.daemon.verify import verify
from starfish.controller.guard import gate
from starfish.controller.worker.isolation import level
from starfish.controller.worker.process import WorkerRefused
from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import NotFound
from starfish.sdk.client import Stepped


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
        if batch.wrapping is not None:
            batch.wrapping.begin_anew()
    batch.journal.mark_prepared(view.own.id, prepared=False)
    batch.journal.mark(view.own.id, failed=False)


def _fetch_model(batch: Batch, view: View) -> None:
    position = previous_position(view.own)
    assert position is not None
    fetch_model(batch, view.own, position)


def _prepare(batch: Batch, view: View) -> None:
    binding = batch.home.binding(view.own.project)
    if binding is None or binding.source is None:
        raise RunFailed(
            "No dataset has been given for this project.",
            code="no-dataset",
            private="No dataset has been given for this project; 'starfish project join' with --dataset does.",
        )
    assert binding.dataset is not None
    terms = batch.folder.read_json(batch.folder.terms)
    isolated = batch.policy.not_isolated == "all" or level(batch.home.batches).complete
    gate.admit(batch.policy, terms, binding.dataset, by_name=terms.get("manifest") is None, isolated=isolated)
    key = gate.begin(batch.journal, batch.policy, batch.key).hex()
    limits = asdict(batch.policy.limits) if batch.policy.holds_back else None
    counted = batch.call("prepare", site=batch.config.uid, source=binding.source, mapping=binding.mapping, key=key, limits=limits)
    marks, apart = batch.folder.marks.read_bytes(), batch.folder.marks_apart()
    if reasons := gate.prepared(batch.journal, batch.policy, batch.key, binding.dataset, terms, counted["tasks"], marks, apart):
        batch.end_worker()
        how = f"'starfish run approve {view.own.project} --batch {view.own.batch}' lets it go on"
        batch.say("waits for a person's approval at this site", "warning", f"waits for a person's approval; {how}. {' '.join(reasons)}")
        send_lines(batch, view.own)


def _report_prepared(batch: Batch, view: View) -> Stepped:
    seq, turn = view.own.position
    batch.say(f"task {seq} ({view.own.task['model']}), round {turn}: prepared")
    stepped = step(batch, view.own, [S.PREPARING])
    if previous_position(view.own) is None:
        batch.journal.mark_prepared(view.own.id, prepared=True)
    return stepped


def _begin_round(batch: Batch, view: View) -> Stepped:
    """Whoever begins now will send a new update: one that is here already is of an attempt that failed."""
    for run in view.batch:
        if run.status is S.PREPARING:
            batch.folder.update(*view.own.position, run.site_uid).unlink(missing_ok=True)
    return step(batch, view.own, [S.RUNNING], everyone=True)


def _train(batch: Batch, view: View) -> None:
    seq, turn = view.own.position
    must_be_due(batch, view.own)
    gate.may_answer(batch.journal, batch.policy, batch.key, seq)
    batch.folder.let_go(seq, turn, batch.config.uid)
    batch.call("train", site=batch.config.uid, task_seq=seq, round_seq=turn)


def _send(batch: Batch, view: View) -> Stepped:
    """The update, where there is one to send: a coordinator's own stays where it is added to the others, and without data it has none."""
    own, (seq, turn) = view.own, view.own.position
    chain = [S.PENDING_SUCCESS, S.PENDING_AGGREGATING] if own.status is S.RUNNING else [S.PENDING_AGGREGATING]
    batch.say(f"task {seq} ({own.task['model']}), round {turn}: sent")
    file = batch.folder.update(seq, turn, batch.config.uid)
    if own.coordinates or not file.exists():
        return step(batch, own, chain)
    return step(batch, own, chain, File(what="update", path=file))


def _fetch_updates(batch: Batch, view: View) -> None:
    seq, turn = view.own.position
    for run in missing_updates(view, batch.memory(view.own)):
        try:
            fetch_update(batch, run, (seq, turn))
        except NotFound as error:
            name = names(batch).get(run.site_uid, run.site_uid)
            raise RunFailed(f"{name} sent no update for task {seq}, round {turn}.", code="no-update") from error


def _aggregate(batch: Batch, view: View) -> Stepped:
    """Add up, publish, and move on, in one step of the Routing Server's."""
    own, (seq, turn) = view.own, view.own.position
    try:
        result = batch.call("aggregate", task_seq=seq, round_seq=turn, min_sites=batch.policy.min_sites)
    except WorkerRefused as error:
        refusal = error.refusal
        if refusal.site is None:
            raise
        name = names(batch).get(refusal.site, refusal.site)
        batch.folder.update(seq, turn, refusal.site).unlink(missing_ok=True)
        raise RunFailed(f"{name}: {refusal.public}", code=refusal.code) from error
    ends = bool(result["done"])
    over = own.last_task and (ends or own.last_round)
    path = [S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING]
    # The coordinator has what the next round begins with: it is prepared as soon as there is one.
    chain = path[path.index(own.status) + 1 :] + ([S.SUCCESS] if over else [S.STANDBY, S.PREPARING])
    batch.say(f"task {seq} ({own.task['model']}): {'ended' if ends or own.last_round else 'went on'} after round {turn}")
    sites = None if result["failure"] else sum(1 for _ in batch.folder.updates(seq, turn))
    model = File(what="model", path=batch.folder.model(seq, turn), sites=sites)  # not where the worker says: it may lie
    return step(batch, own, chain, model, everyone=True, end_task=ends, begin=not over)


def _stop_batch(batch: Batch, view: View) -> Stepped:
    """Say which site failed and why; then stop everybody."""
    known = names(batch)
    for run in view.batch:
        if run.status in FAILING and run.id != view.own.id:
            # Whoever fails goes to Failed at once: here somebody has stopped that site, and a notice of its is of an earlier attempt.
            reason = STOPPED if run.status is S.PENDING_FAILED else reason_of(batch, run)
            batch.log("error", f"{known.get(run.site_uid, run.site_uid)} failed: {reason or 'it gave no reason'}")
    batch.end_worker()
    return step(batch, view.own, [S.FAILED], everyone=True)  # from where it was seen: a restart meanwhile is not undone


def _fail(batch: Batch, view: View) -> Stepped | None:
    """The run was stopped, here or by its coordinator. A notice of an earlier attempt at this round is no longer the reason."""
    own = view.own
    batch.end_worker()
    batch.say("stopped")
    seq, turn = own.position
    notice = f"/{own.id}-{seq}-{turn}-{FAILURE}"
    if not batch.memory(own).failed and any(path.endswith(notice) for path in batch.client.run(own.id).logs):
        tell_failure(batch, own, RunFailed(STOPPED, code="stopped"))
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
        tell_failure(batch, own, reason)
    batch.journal.mark(own.id, failed=True)
    if own.status is S.FAILED:
        send_lines(batch, own)
        return None
    return step(batch, own, [S.FAILED], everyone=own.coordinates)


def _finish(batch: Batch, view: View) -> None:
    own = view.own
    for task in own.tasks:
        position = int(task["seq"]), int(task["config"]["current_round"])
        if not batch.folder.model(*position).exists():
            fetch_model(batch, own, position)
        must_have_ended(batch, position)
    known = names(batch) if own.coordinates else None
    batch.call("report", site=batch.config.uid, site_name=batch.config.name, site_names=known)
    batch.say("success")
    send_lines(batch, own)
    _close(batch, own)


def _close(batch: Batch, own: Run) -> None:
    batch.end_worker()
    batch.journal.mark(own.id, finished=True)


STEPS: Mapping[Action, Callable[[Batch, View], Stepped | None]] = {
    Action.VERIFY: verify,
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
