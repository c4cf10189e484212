"""A whole study in one process, without a Routing Server: the same steps that the sites' workers take, on folders side by side."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from starfish.controller import report as reports
from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.data import DataError
from starfish.controller.errors import DataProblem
from starfish.controller.guard import egress, gate
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Policy, preset, read_policy
from starfish.controller.project_file import ProjectFile
from starfish.controller.worker import steps
from starfish.controller.worker.folder import BatchFolder
from starfish.tasks.errors import BadUpdate, TaskError

BATCH: BatchKey = (0, 1)
OPEN = preset("open")
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SimulatedSite:
    """A site by name, the source of its rows, and a mapping where its columns have other names."""

    name: str
    source: str
    mapping: Mapping[str, Any] | None = None

    @property
    def uid(self) -> str:
        """Derived from the name, so that the same call gives the same bytes."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"starfish:simulate:{self.name}"))


class SimulationRefused(DataProblem):
    """One or more sites cannot take part; `reasons` has a sentence for each, with rows and values."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{site}: {reason}" for site, reason in reasons.items()))
        self.reasons = reasons


def simulate(
    project: ProjectFile, sites: Sequence[SimulatedSite], *, policy: Path | None = None, progress: Progress = lambda line: None
) -> dict[str, Any]:
    """The report that the coordinator of these sites would get. Raises SimulationRefused, InvalidTask, HomeError for the policy."""
    held = OPEN if policy is None else read_policy(policy)
    with tempfile.TemporaryDirectory(prefix="starfish-simulate-") as folder, Journal(Path(folder) / "journal.sqlite3") as journal:
        try:
            return Simulation(project, sites, Path(folder), progress, policy=held, journal=journal).run()
        finally:
            steps.forget()


def would_refuse(project: ProjectFile, sites: Sequence[SimulatedSite], held: str = "standard") -> list[str]:
    """What the sites would refuse, or not be shown, under another preset; a sentence each, for whoever has all the data."""
    with tempfile.TemporaryDirectory(prefix="starfish-simulate-") as folder, Journal(Path(folder) / "journal.sqlite3") as journal:
        run = Simulation(project, sites, Path(folder), lambda line: None, policy=preset(held), journal=journal)
        try:
            return reports.failures(run.run())
        except SimulationRefused as error:
            return [f"{site}: {reason}" for site, reason in error.reasons.items()]
        finally:
            steps.forget()


class Simulation:
    """The coordinator's folder and one a site; what the Routing Server would hand over leaves through the same egress."""

    def __init__(
        self,
        project: ProjectFile,
        sites: Sequence[SimulatedSite],
        root: Path,
        progress: Progress,
        *,
        policy: Policy,
        journal: Journal,
        key: bytes = b"",
    ) -> None:
        # Whoever simulates has approved it, and names the files; nobody has joined.
        self.project, self.policy, self.journal, self.key = project, replace(policy, approve="never", datasets="all"), journal, key
        self.sites = sorted(sites, key=lambda site: site.uid)
        self.names = {site.uid: site.name for site in sites}
        self.progress = progress
        self.coordinator = BatchFolder(root / "coordinator")
        self.folders = {site.uid: BatchFolder(root / site.uid) for site in sites}
        self.batches: dict[str, BatchKey] = {site.uid: (number, 1) for number, site in enumerate(self.sites, start=1)}
        """By which the journal tells the sites apart; the coordinator's is BATCH."""
        self.terms = {"project": project.name, "batch": 1, "tasks": project.tasks, "definition": project.definition}

    def run(self) -> dict[str, Any]:
        self.prepare()
        self.compute()
        return steps.report(str(self.coordinator.path), "", "", self.names)

    def prepare(self) -> None:
        """Every site's rows, checked and frozen. Raises SimulationRefused."""
        for folder in (self.coordinator, *self.folders.values()):
            folder.write_json(folder.terms, self.terms)
        reasons: dict[str, str] = {}
        for site in self.sites:
            try:
                self._prepare_site(site, self.folders[site.uid])
            except (TaskError, DataError, Withheld) as error:
                reasons[site.name] = error.private
        if reasons:
            raise SimulationRefused(reasons)

    def compute(self) -> None:
        """All rounds of all tasks. Raises SimulationRefused."""
        for task in self.project.tasks:
            self._task(task["seq"], task["model"], task["config"]["total_round"])

    def _prepare_site(self, site: SimulatedSite, folder: BatchFolder) -> None:
        gate.admit(self.policy, self.terms, site.name, by_name=False, isolated=True)
        limits = asdict(self.policy.limits) if self.policy.holds_back else None
        counted = steps.prepare(str(folder.path), site.uid, site.source, site.mapping, self.key.hex(), limits)
        marks, apart = folder.marks.read_bytes(), folder.marks_apart()
        gate.prepared(self.journal, self.policy, self.batches[site.uid], site.name, self.terms, counted["tasks"], marks, apart)

    def _task(self, seq: int, model: str, total_round: int) -> None:
        for round_seq in range(1, total_round + 1):
            for uid, folder in self.folders.items():
                update = self._train(uid, folder, seq, round_seq)
                self._hand_over("update", uid, update, (seq, round_seq), [self.coordinator.update(seq, round_seq, uid)])
            done = self._aggregate(seq, round_seq)
            self.progress(f"task {seq} ({model}): round {round_seq} of at most {total_round}")
            if done:
                return

    def _train(self, uid: str, folder: BatchFolder, seq: int, round_seq: int) -> steps.Result:
        try:
            return steps.train(str(folder.path), uid, seq, round_seq)
        except TaskError as error:
            raise SimulationRefused({self.names[uid]: error.private}) from error

    def _aggregate(self, seq: int, round_seq: int) -> bool:
        try:
            result = steps.aggregate(str(self.coordinator.path), seq, round_seq, self.policy.min_sites)
        except BadUpdate as error:
            raise SimulationRefused({self.names[error.site]: error.public}) from error
        models = [folder.model(seq, round_seq) for folder in self.folders.values()]
        self._hand_over("model", None, result, (seq, round_seq), models)
        return bool(result["done"])

    def _hand_over(
        self, what: egress.What, uid: str | None, written: steps.Result, position: tuple[int, int], names: Sequence[Path]
    ) -> None:
        """The same file under other names, where the disk has such. Raises SimulationRefused where the policy does not let it leave."""
        file, batch = Path(written["path"]), self.batches[uid] if uid else BATCH
        try:
            egress.release(
                self.journal,
                self.policy,
                batch,
                what,
                file.name,
                file,
                sha256=written["sha256"],
                position=position,
                sites=len(self.sites) if what == "model" and not written["failure"] else None,
            )
        except Withheld as error:
            raise SimulationRefused({self.names[uid] if uid else "The coordinator": error.private}) from error
        for name in names:
            name.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, name)
            except OSError:
                shutil.copyfile(file, name)
