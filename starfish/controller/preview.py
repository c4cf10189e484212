"""A dry run of a project at one site, with nobody else: how many numbers would leave in each round, and which rule is nearest."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starfish.controller.config import Home
from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.datasets import Binding
from starfish.controller.guard import audit, gate
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.measures import Measure, measures, nearest, of_answers
from starfish.controller.guard.policy import Policy, preset
from starfish.controller.project_file import ProjectFile
from starfish.controller.simulate import SimulatedSite, Simulation, SimulationRefused
from starfish.controller.worker import steps
from starfish.controller.worker.frozen import thaw
from starfish.controller.worker.isolation import level
from starfish.tasks.api import Task
from starfish.tasks.disclosure import breaches
from starfish.tasks.errors import SiteRefusal


@dataclass(frozen=True, kw_only=True)
class TaskOutlook:
    """What one task would take from this site. `numbers`: those that leave in each round of the dry run; with others it may take more."""

    seq: int
    model: str
    used: int
    events: int | None
    most_rounds: int
    numbers: list[int]
    measures: list[Measure]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would happen. `refusals`: why this site would not take part; `waits`: why a person would have to approve first.

    `stopped` says why the dry run itself ended early, which alone it may, and with others need not.
    """

    project: str
    dataset: str
    preset: str
    tasks: list[TaskOutlook]
    nearest: Measure | None
    refusals: list[str]
    waits: list[str]
    stopped: str | None


def preview(home: Home, project: ProjectFile, binding: Binding, *, policy: Policy, by_name: bool) -> Preview:
    """Nothing of it leaves. Raises SimulationRefused where the data do not fit, HomeError."""
    assert binding.dataset is not None
    assert binding.source is not None
    refusals = _refusals(home, project, binding.dataset, policy, by_name=by_name)
    site = SimulatedSite(name=binding.dataset, source=binding.source, mapping=binding.mapping)
    with tempfile.TemporaryDirectory(prefix="starfish-preview-") as folder, Journal(Path(folder) / "journal.sqlite3") as dry:
        with home.journal() as journal:
            key = gate.key(journal)
        run = Simulation(project, [site], Path(folder), lambda line: None, policy=preset("open"), journal=dry, key=key)
        try:
            stopped = _run(run)
            with home.journal() as journal:
                tasks, waits, more = _judged(run, site, journal, policy, binding.dataset)
        finally:
            steps.forget()
    return Preview(
        project=project.name,
        dataset=binding.dataset,
        preset=policy.preset,
        tasks=tasks,
        nearest=nearest([measure for task in tasks for measure in task.measures]),
        refusals=refusals + more,
        waits=waits,
        stopped=stopped,
    )


def _refusals(home: Home, project: ProjectFile, dataset: str, policy: Policy, *, by_name: bool) -> list[str]:
    try:
        gate.admit(policy, {"tasks": project.tasks}, dataset, by_name=by_name, isolated=level(home.batches).complete)
    except Withheld as error:
        return [f"{error.private} (rule {error.rule})"]
    return []


def _run(run: Simulation) -> str | None:
    """To the end, if it goes so far with this site alone. Raises SimulationRefused where it can't even begin."""
    run.prepare()
    try:
        run.compute()
    except SimulationRefused as error:
        return str(error)
    return None


def _judged(
    run: Simulation, site: SimulatedSite, journal: Journal, policy: Policy, dataset: str
) -> tuple[list[TaskOutlook], list[str], list[str]]:
    """The tasks, why a person would be asked, and what the policy would refuse."""
    folder = run.folders[site.uid]
    counted = folder.read_json(folder.flow)["tasks"]
    outlook = gate.outlook(journal, policy, dataset, run.terms, counted, folder.marks.read_bytes(), folder.marks_apart())
    terms, rows = steps.Terms(folder.terms), thaw(folder.rows)
    sent = _numbers(run.journal, run.batches[site.uid])
    rounds = sum(map(len, sent.values()))
    tasks, refusals = [], []
    for count in counted:
        task = terms.tasks[count["seq"]]
        numbers = sent.get(count["seq"], [])
        same, whole = outlook.given[count["seq"]]
        found = of_answers(same + len(numbers), whole + rounds, policy)
        broken = [sentence(measure) for measure in found if measure.refuses]
        try:
            design = task.design(rows.of(task), site=site.uid)
            found = measures(design, policy) + found
            broken = [f"{breach.private} (rule {breach.rule})" for breach in breaches(design, policy.limits)] + broken
        except SiteRefusal as error:
            broken = [error.private, *broken]
        refusals += [f"Task {count['seq']} ({task.name}): {reason}" for reason in broken]
        tasks.append(_task(task, count, numbers, found))
    return tasks, outlook.waits, refusals


def _task(task: Task, count: Mapping[str, int], numbers: list[int], found: list[Measure]) -> TaskOutlook:
    return TaskOutlook(
        seq=count["seq"],
        model=task.name,
        used=count["used"],
        events=count["events"],
        most_rounds=task.config.total_round,
        numbers=numbers,
        measures=found,
    )


def _numbers(journal: Journal, batch: BatchKey) -> dict[int, list[int]]:
    """By task, in the order of the rounds."""
    found: dict[int, list[int]] = {}
    with journal.read() as db:
        for row in audit.rows(db):
            entry = audit.entry(row)
            if (entry.kind, entry.project, entry.batch) == ("departure", *batch):
                found.setdefault(entry.detail["task"], []).append(entry.detail["numbers"])
    return found


def sentence(measure: Measure) -> str:
    """As people read it: "rows: 12, minimum 10"."""
    word = "minimum" if measure.rule.startswith("min") else "maximum"
    return f"{measure.what}: {measure.found:.4g}, {word} {measure.limit:.4g} (rule {measure.rule})"
