"""What a worker does: prepare, train, aggregate, report. Files in, files out, so that each may be repeated after a crash.

The same steps serve a site's worker process and `starfish simulate`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from starfish.controller import report as reports
from starfish.controller.data import Table, eligible_mask, flow, read_mapping, read_source, typed_rows
from starfish.controller.worker.folder import BatchFolder
from starfish.controller.worker.frozen import FrozenRows, freeze, thaw
from starfish.controller.worker.kept import Kept
from starfish.controller.worker.marks import marks
from starfish.tasks import registry
from starfish.tasks.api import Outcome, Task
from starfish.tasks.disclosure import OPEN, Limits, Scrutiny, breaches, refuse
from starfish.tasks.errors import BadUpdate, NoEstimate, SiteRefusal
from starfish.tasks.payload import ForeignPayload, Payload
from starfish.tasks.received import refusal
from starfish.tasks.study import Study

Result = dict[str, Any]


class Terms:
    """terms.json, typed. Raises InvalidTask."""

    def __init__(self, file: Path) -> None:
        terms = BatchFolder.read_json(file)
        self.project: str = terms["project"]
        self.batch: int = terms["batch"]
        self.manifest: str | None = terms.get("manifest")
        self.study = Study.from_definition(terms["definition"])
        self.tasks: dict[int, Task] = {task["seq"]: registry.build(task["model"], task["config"], self.study) for task in terms["tasks"]}


TERMS, ROWS = Kept(Terms), Kept(thaw)
LIMITS = Kept(lambda path: Limits(**BatchFolder.read_json(path)))


def forget() -> None:
    """Keep nothing: of batches that are over, files would stay open."""
    for kept in (TERMS, ROWS, LIMITS):
        kept.clear()


def prepare(
    work: str, site: str, source: str, mapping: Mapping[str, Any] | None, key: str = "", limits: Mapping[str, Any] | None = None
) -> Result:
    """Read and check the site's data, let every task look at its rows, freeze and mark them (by `key`).

    `limits` are the numbers of `Limits` (none: OPEN) and hold for every round of the batch. Raises TaskError, DataError.
    """
    folder, terms = _opened(work)
    held = OPEN if limits is None else Limits(**limits)
    table = read_source(source)
    typed = typed_rows(table, terms.study, read_mapping(mapping, terms.study, table))
    chosen = eligible_mask(typed.rows, terms.study)
    eligible = FrozenRows(typed.rows.take(chosen))
    counts = []
    for seq, task in terms.tasks.items():
        counted = flow(typed.rows, terms.study, task.variables if task.complete_cases else ())
        rows = eligible.of(task)
        if rows.n == 0:
            raise SiteRefusal(
                f"Task {seq} ({task.name}): no row is left after eligibility and missing values ({_reasons(counted.excluded)}).",
                code="no-rows",
            )
        task.check(rows)
        refuse(breaches(task.design(rows, site=site), held), f"Task {seq} ({task.name})")
        count = task.count(rows)
        counts.append(
            {"seq": seq, "used": count.used, "events": count.events, "excluded": dict(counted.excluded), "variables": task.variables}
        )
    folder.write_json(folder.limits, asdict(held))
    digest = freeze(eligible.rows, folder.rows)
    folder.write(folder.marks, marks(table, chosen, bytes.fromhex(key)))
    for seq, task in terms.tasks.items():
        _mark_apart(folder.task_marks(seq), table, chosen, eligible.used(task, site), bytes.fromhex(key))
    prepared = {"site": site, "registered": typed.rows.n, "tasks": counts, "rows_sha256": digest}
    folder.write_json(folder.flow, prepared)
    return prepared


def train(work: str, site: str, task_seq: int, round_seq: int) -> Result:
    """This site's update of a round, from the frozen rows and the last global model."""
    folder, terms = _opened(work)
    task = terms.tasks[task_seq]
    rows, model = ROWS.get(folder.rows).of(task), _last_model(folder, task, task_seq, round_seq)
    update = task.train(rows, model, site=site, scrutiny=_scrutiny(folder, task, task_seq, round_seq, site))
    meta: Result = {"starfish": _stamp("update", task, task_seq, round_seq), "task": update.meta}
    if round_seq == 1:
        meta["flow"] = _flow_of(folder, task_seq)
    return _write(folder.update(task_seq, round_seq, site), Payload(meta=meta, arrays=update.arrays)) | {"log": []}


def aggregate(work: str, task_seq: int, round_seq: int, min_sites: int = 1) -> Result:
    """The next global model, from the updates in order of site uid; of fewer than `min_sites` there is none that may be shown.

    Raises BadUpdate, which names the site by its uid.
    """
    folder, terms = _opened(work)
    task = terms.tasks[task_seq]
    model = _last_model(folder, task, task_seq, round_seq)
    try:
        if min_sites > 1:
            _require_sites(folder, task_seq, round_seq, min_sites)
        outcome = task.aggregate(_updates(folder, task, task_seq, round_seq), model)
    except NoEstimate as error:
        explained = {"code": error.code, "message": error.public, "term": error.variable}
        outcome = Outcome(model=Payload(meta={"failure": explained}), done=True)
    stamp = _stamp("model", task, task_seq, round_seq) | {"done": outcome.done}
    following = Payload(meta={"starfish": stamp, "task": outcome.model.meta}, arrays=outcome.model.arrays)
    failure = outcome.model.meta.get("failure")
    written = _write(folder.model(task_seq, round_seq), following)
    return written | {"done": outcome.done, "failure": failure, "log": [failure["message"]] if failure else []}


def report(work: str, site: str, site_name: str, site_names: Mapping[str, str] | None = None) -> Result:
    """Write report.json from the last global model of every task. `site_names` (uid to name) is the coordinator's alone."""
    folder, terms = _opened(work)
    results, flows = [], []
    for seq, task in terms.tasks.items():
        last = folder.last_model(seq)
        if last is None:
            continue
        rounds, _ = last
        results.append(reports.task_result(seq, rounds, task, _model(folder, task, seq, rounds), site_names))
        flows.append(_site_flows(folder, seq, site, site_name, site_names))
    return reports.write(folder.report, terms.project, terms.batch, results, flows, manifest=terms.manifest)


STEPS: Mapping[str, Callable[..., Result]] = {"prepare": prepare, "train": train, "aggregate": aggregate, "report": report}


def _opened(work: str) -> tuple[BatchFolder, Terms]:
    folder = BatchFolder(Path(work))
    return folder, TERMS.get(folder.terms)


def _last_model(folder: BatchFolder, task: Task, task_seq: int, round_seq: int) -> Payload | None:
    return None if round_seq == 1 else _model(folder, task, task_seq, round_seq - 1)


def _model(folder: BatchFolder, task: Task, task_seq: int, round_seq: int) -> Payload:
    """The global model that a round ended with. Raises SiteRefusal where the coordinator sent something else."""
    try:
        model = Payload.map(folder.model(task_seq, round_seq))
    except ForeignPayload as error:
        raise refusal(f"it is {error}") from error
    stamp = model.meta.get("starfish")
    expected = _stamp("model", task, task_seq, round_seq)
    if not isinstance(stamp, dict) or {**stamp, **expected} != stamp or not isinstance(model.meta.get("task"), dict):
        raise refusal(f"it is not the one of task {task_seq} ({task.name}), round {round_seq}")
    return _unstamped(model)


def _updates(folder: BatchFolder, task: Task, task_seq: int, round_seq: int) -> Iterator[tuple[str, Payload]]:
    """Mapped one by one; of the one before nothing is in memory any more, whoever still holds it."""
    expected = _stamp("update", task, task_seq, round_seq)
    for site, file in folder.updates(task_seq, round_seq):
        try:
            update = Payload.map(file)
        except ForeignPayload as error:
            raise BadUpdate(f"The update is {error}.", site=site, code="foreign-payload") from error
        if update.meta.get("starfish") != expected or not isinstance(update.meta.get("task"), dict):
            raise BadUpdate(f"The update is not one of task {task_seq} ({task.name}), round {round_seq}.", site=site)
        if round_seq == 1 and not _is_flow(update.meta.get("flow")):
            raise BadUpdate("The update does not say how many rows it is made of.", site=site)
        if round_seq == 1 and float(update.arrays.get("n", np.zeros(())).sum()) > update.meta["flow"]["used"]:
            raise BadUpdate("The update is of more rows than it says.", site=site)
        yield site, _unstamped(update)
        update.give_back()


def _mark_apart(file: Path, table: Table, chosen: np.ndarray, used: np.ndarray, key: bytes) -> None:
    """The marks of the chosen rows that a task uses (bool, one a chosen row), where these are not all."""
    file.unlink(missing_ok=True)
    if not used.all():
        rows = chosen.copy()
        rows[chosen] = used
        BatchFolder.write(file, marks(table, rows, key))


def _scrutiny(folder: BatchFolder, task: Task, task_seq: int, round_seq: int, site: str) -> Scrutiny:
    """By what this round is judged; with what the site has itself of the round before, where that is needed."""
    try:
        limits = LIMITS.get(folder.limits)
    except FileNotFoundError:
        raise SiteRefusal("This site's rows were never judged by its policy: the batch has to begin again.", code="no-limits") from None
    if round_seq == 1 or not limits.oracle:
        return Scrutiny(limits=limits)
    sent = folder.update(task_seq, round_seq - 1, site)
    earlier = None if round_seq == 2 else _model(folder, task, task_seq, round_seq - 2)
    return Scrutiny(limits=limits, model=earlier, update=_unstamped(Payload.map(sent)) if sent.exists() else None)


def _require_sites(folder: BatchFolder, task_seq: int, round_seq: int, min_sites: int) -> None:
    """Raises NoEstimate: what is pooled of one or two sites tells each of them of the other."""
    sites = sum(1 for _ in folder.updates(task_seq, round_seq))
    if sites < min_sites:
        raise NoEstimate(
            f"{sites} sites take part, and a pooled result is shown of {min_sites} or more (rule min_sites).", code="min-sites"
        )


def _stamp(kind: str, task: Task, task_seq: int, round_seq: int) -> Result:
    return {"kind": kind, "model": task.name, "task_seq": task_seq, "round_seq": round_seq}


def _unstamped(payload: Payload) -> Payload:
    return Payload(meta=payload.meta["task"], arrays=payload.arrays)


def _flow_of(folder: BatchFolder, task_seq: int) -> Result:
    prepared = folder.read_json(folder.flow)
    task = next(task for task in prepared["tasks"] if task["seq"] == task_seq)
    return {"rows": prepared["registered"], "used": task["used"], "events": task["events"], "excluded": task["excluded"]}


def _is_flow(flow: Any) -> bool:
    """Whether it is what `_flow_of` makes."""
    if not isinstance(flow, dict) or set(flow) != {"rows", "used", "events", "excluded"} or not isinstance(flow["excluded"], dict):
        return False
    counts = [flow["rows"], flow["used"], *flow["excluded"].values(), *([] if flow["events"] is None else [flow["events"]])]
    return all(type(count) is int and count >= 0 for count in counts)


def _site_flows(folder: BatchFolder, seq: int, site: str, site_name: str, site_names: Mapping[str, str] | None) -> list[Result]:
    """Rows by site: everybody's for the coordinator, from the updates of round 1; for a participant its own."""
    if site_names is None:
        return [{"site": site_name} | _flow_of(folder, seq)]
    flows = []
    for uid, file in folder.updates(seq, 1):
        flows.append({"site": site_names.get(uid, uid)} | Payload.meta_of(file)["flow"])
    return sorted(flows, key=lambda entry: str(entry["site"]))


def _write(path: Path, payload: Payload) -> Result:
    written = BatchFolder.write_payload(path, payload)
    return {"path": str(path), "size": written.size, "sha256": written.sha256}


def _reasons(excluded: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in excluded.items()) or "the source has none"
