"""Runs as this site's people see them: start, watch, stop, restart; states, logs, report."""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from starfish.controller.errors import NotAllowed, NotNow
from starfish.controller.files import read_object
from starfish.protocol.run_state import RunStatus

if TYPE_CHECKING:
    from starfish.controller.api.guard import Approval
    from starfish.controller.api.site import Site
    from starfish.controller.daemon.journal import Event
    from starfish.controller.preview import Preview
    from starfish.controller.trust.wrapping import Wrapping
    from starfish.protocol.messages import LogLines, ProgressReport, Project, Run

POLL_S = 0.3
REPORT_S = 20.0  # how long a site that is up may take for its report once the batch has ended
NO_REASON = (
    "It has given no reason: it was stopped, or did not believe what it was told, and says so to its own people, or the Routing Server "
    "has kept its reason."
)
FOREIGN = re.compile(r"[^\w .-]")  # what may not be in a file's name
FAILING = (RunStatus.FAILED, RunStatus.PENDING_FAILED)
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 ")  # what a line of our own controllers' begins with
STORED = re.compile(r"(?P<run>\d+)-(?P<task>\d+)-(?P<round>\d+)-(?P<name>.+)$")


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """Where one site is in a batch; `status` is the wire's word, `reason` says why it failed, `progress` what it has reported last."""

    run: int
    uid: str
    site: str
    role: str
    status: str
    task: int
    model: str
    round: int
    total_round: int
    since: datetime
    reason: str | None = None
    progress: "ProgressReport | None" = None


@dataclass(frozen=True, kw_only=True)
class BatchState:
    """A batch: all its sites for the coordinator, this site alone for a participant."""

    project: str
    project_id: int
    batch: int
    ended: bool
    succeeded: bool
    sites: list[SiteState]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is new of a batch: its state, and the lines that this site's own log has grown by."""

    state: BatchState
    lines: list[str]


@dataclass(frozen=True, kw_only=True)
class SiteLog:
    """What one site has reported of a batch."""

    site: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LocalLine:
    """A line of this site's own journal; it may name rows and values."""

    at: str
    level: str
    text: str


class RunActions:
    def __init__(self, site: "Site") -> None:
        self.site = site
        self._members: dict[int, dict[str, str]] = {}

    def start(self, ref: str) -> BatchState:
        """Open the next batch. Raises NotAllowed, and NotNow where this site's daemon is not up or the Routing Server refuses."""
        project = self.site.projects.find(ref)
        if project.site != self.site.site_id:
            raise NotAllowed(f"Only the coordinator of '{project.name}' can start a batch.")
        if not project.tasks:
            raise NotNow(f"'{project.name}' has no tasks, so there is nothing to compute. Create a project with tasks.")
        self._must_be_up()
        if self.site.home.binding(project.id) is None:
            raise NotNow(
                f"Nobody has said what this site takes part with in '{project.name}': bind a dataset with "
                f"'starfish project join {project.name} --dataset NAME'."
            )
        if project.sealed:
            coordination = self.site.projects.sealed.coordination(str(project.id))
            order = coordination.order(project.batch)
            sealed = order.sealed(coordination.manifest.group)
            self._refusals(lambda: self.site.client.start_batch(project.id, number=order.batch, order=sealed))
        else:
            self._refusals(lambda: self.site.client.start_batch(project.id))
        return self.show(str(project.id))

    def show(self, ref: str, batch: int | None = None) -> BatchState:
        """Where a batch is (the last one unless told). Raises UnknownName, NotNow where there is none."""
        project = self.site.projects.find(ref)
        return self._reasons(self._state(project, self._batch(project, batch)))

    def watch(self, ref: str, batch: int | None = None, *, poll: float = POLL_S) -> Iterator[Progress]:
        """A batch's progress as it happens, until it has ended; a Routing Server that is away for a while is waited for."""
        from starfish.sdk import RouterUnreachable

        project = self.site.projects.find(ref)
        batch = self._batch(project, batch)
        seen: BatchState | None = None
        position, away = 0, False
        while True:
            events = self._events(project.id, batch, position)
            lines = [text for text, _ in groupby(event.private or event.public for event in events)]
            position = max([position, *(event.id for event in events)])
            try:
                state = self._state(project, batch)
                away = False
            except RouterUnreachable as error:
                if seen is None:
                    raise
                lines += [] if away else [f"{error} Waiting for it."]
                state, away = seen, True
            if state != seen or lines:
                yield Progress(state=self._reasons(state) if state.ended else state, lines=lines)
            if state.ended and not away:
                return
            seen = state
            time.sleep(poll)

    def stop(self, ref: str, batch: int | None = None) -> BatchState:
        """End the whole batch (coordinator). Raises NotAllowed, NotNow."""
        return self._act(ref, batch, "stop")

    def restart(self, ref: str, batch: int | None = None) -> BatchState:
        """Begin a failed batch's round again (coordinator). Raises NotAllowed, NotNow."""
        return self._act(ref, batch, "restart")

    def preview(self, ref: str) -> "Preview":
        """A dry run at this site alone: what would leave, and which rule of the policy is nearest. Raises NotNow, DataProblem."""
        from starfish.controller.guard.policy import read_policy
        from starfish.controller.preview import preview
        from starfish.controller.project_file import ProjectFile

        project = self.site.projects.find(ref)
        binding = self.site.home.binding(project.id)
        if binding is None or binding.dataset is None:
            raise NotNow(f"No dataset of this site answers for '{project.name}', so nothing of it would leave.")
        terms = ProjectFile(
            name=project.name, description=project.description, definition=project.definition, tasks=[dict(task) for task in project.tasks]
        )
        policy = read_policy(self.site.home.policy_file)
        return preview(self.site.home, terms, binding, policy=policy, by_name=not project.sealed)

    def approve(self, ref: str, batch: int | None = None) -> "Approval":
        """Let a batch go on that waits for a person at this site. Raises NotNow."""
        project = self.site.projects.find(ref)
        return self.site.guard.approve(project.id, project.name, self._batch(project, batch))

    def logs(self, ref: str, batch: int | None = None) -> list[SiteLog]:
        """What the sites have reported, for the coordinator; a participant sees its own."""
        return self._logs(self.show(ref, batch))

    def local_log(self, ref: str, batch: int | None = None) -> list[LocalLine]:
        """This site's own journal of a batch, with what only its own people may read."""
        project = self.site.projects.find(ref)
        events = self._events(project.id, self._batch(project, batch), 0)
        return [LocalLine(at=event.at, level=event.level, text=event.private or event.public) for event in events]

    def report(self, ref: str, batch: int | None = None) -> dict[str, Any]:
        """The report of a batch that has ended, as this site may see it. Raises NotNow."""
        project = self.site.projects.find(ref)
        batch = self._batch(project, batch)
        path = self.site.home.work(project.id, batch) / "report.json"
        deadline = time.monotonic() + REPORT_S
        while not path.exists():
            state = self._state(project, batch)
            if not state.succeeded:
                reason = "failed, so there is no report" if state.ended else "has not ended yet"
                raise NotNow(f"Batch {batch} of '{project.name}' {reason}. 'starfish run show {project.name}' says where it is.")
            if self.site.home.daemon_pid() is None or time.monotonic() > deadline:
                raise NotNow("This site has not fetched the result yet. Let 'starfish site up' run here, then ask again.")
            time.sleep(POLL_S)
        return read_object(path)

    def download(self, ref: str, to: Path | str, batch: int | None = None) -> list[Path]:
        """Everything of a batch into a new folder: report.json, its tables as CSV, the global models, the logs. Raises NotNow."""
        from starfish.controller.api.tables import write_tables
        from starfish.controller.worker.folder import BatchFolder

        folder = Path(to).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise NotNow(f"{folder} exists already. Name a new folder with --to.")
        state = self.show(ref, batch)
        report = self.report(ref, batch)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_tables(report, folder)
        for task in report["tasks"]:
            model = BatchFolder(self.site.home.work(state.project_id, state.batch)).model(task["seq"], task["rounds"])
            if model.exists():
                shutil.copyfile(model, folder / f"task{task['seq']}-{task['model']}.model")
        for log in self._logs(state):
            log_file(folder, log.site).write_text(log.text, encoding="utf-8")
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def _must_be_up(self) -> None:
        if self.site.home.daemon_pid() is None:
            raise NotNow(f"This site is not up, so nothing would happen. Start it with 'starfish site up --home {self.site.home.path}'.")

    def _batch(self, project: "Project", batch: int | None) -> int:
        if project.batch == 0 and not self.site.projects.member(project.id):
            raise NotNow(f"This site is no member of '{project.name}', and sees nothing of its batches.")
        if project.batch == 0:
            raise NotNow(f"'{project.name}' has no batch yet. Its coordinator opens one with 'starfish run start {project.name}'.")
        if batch is not None and not 1 <= batch <= project.batch:
            raise NotNow(f"'{project.name}' has no batch {batch}; the last one is {project.batch}.")
        return batch or project.batch

    def _state(self, project: "Project", batch: int) -> BatchState:
        runs = self.site.client.batch_runs(project.id, batch, self.site.config.uid)
        if not runs:
            raise NotNow(f"This site has no part in batch {batch} of '{project.name}'; it joined later, or has left.")
        names = self._names(project.id)
        sites = [_site_state(run, names.get(run.site_uid, run.site_uid)) for run in runs]
        sites.sort(key=lambda site: (site.role != "coordinator", site.site))
        return BatchState(
            project=project.name,
            project_id=project.id,
            batch=batch,
            ended=not any(run.status.live for run in runs),
            succeeded=all(run.status is RunStatus.SUCCESS for run in runs),
            sites=sites,
        )

    def _reasons(self, state: BatchState) -> BatchState:
        """With the reason that each failed site gave."""
        if not any(RunStatus.from_word(site.status) in FAILING for site in state.sites):
            return state
        places = {(site.run, site.task, site.round): site.uid for site in state.sites}
        wrapping = self._wrapping(state)
        with tempfile.TemporaryDirectory() as folder:
            stored = [(match, path) for match, path in self._stored(state, Path(folder)) if match["name"] == "failure.json"]
            given = {
                place: _message(path, wrapping, place[1:], places[place]) for match, path in stored if (place := _place(match)) in places
            }
        reasons = {run: message for (run, _, _), message in given.items()}
        if wrapping.proves and not reasons:
            reasons = {site.run: NO_REASON for site in state.sites if site.role != "coordinator"}
        return replace(state, sites=[replace(site, reason=reasons.get(site.run)) for site in state.sites])

    def _logs(self, state: BatchState) -> list[SiteLog]:
        """Each site's files, as old controllers send them, and the lines that it has told; nothing twice."""
        names = {site.run: site.site for site in state.sites}
        uids = {site.run: site.uid for site in state.sites}
        wrapping = self._wrapping(state)
        texts = self._log_files(state)
        for run in names:
            entries = [((lines.task_seq, lines.round_seq), lines.text) for lines in self._told(run)]
            if told := wrapping.read_lines(uids[run], entries):
                texts[run] = _once([texts.get(run, ""), *told])
        order = [*names, *(run for run in texts if run not in names)]
        return [SiteLog(site=names.get(run, f"run {run}"), text=texts[run]) for run in order if run in texts]

    def _log_files(self, state: BatchState) -> dict[int, str]:
        """By run. A log grows from round to round: what a later one begins with is told once."""
        texts: dict[int, str] = {}
        with tempfile.TemporaryDirectory() as folder:
            for match, path in sorted(self._stored(state, Path(folder)), key=lambda pair: _place(pair[0])):
                if match["name"].endswith(".txt"):
                    text, run = path.read_text(errors="replace"), int(match["run"])
                    before = texts.get(run, "")
                    texts[run] = text if text.startswith(before) else before + text
        return texts

    def _told(self, run: int) -> "list[LogLines]":
        from starfish.sdk import NotFound

        try:
            return self.site.client.lines(run)
        except NotFound:  # a Routing Server of before there were any
            return []

    def _wrapping(self, state: BatchState) -> "Wrapping":
        """What is not sealed is read as it is."""
        from starfish.controller.trust.wrapping import Plain

        return self.site.projects.sealed.wrapping(state.project_id, state.batch) or Plain()

    def _stored(self, state: BatchState, folder: Path) -> "list[tuple[re.Match[str], Path]]":
        """The stored logs and notices of a batch, as far as this site may see them."""
        everyone = self._own(state).role == "coordinator"
        paths = self._download(state, "logs", folder, everyone=everyone)
        return [(match, path) for path in paths if (match := STORED.search(path.name))]

    def _names(self, project_id: int) -> dict[str, str]:
        """The members' names by uid: all for the coordinator. Asked for once; nobody joins a batch that runs."""
        if project_id not in self._members:
            self._members[project_id] = {member.site.uid: member.site.name for member in self.site.client.participants(project_id)}
        return self._members[project_id]

    def _own(self, state: BatchState) -> SiteState:
        """This site's part: the coordinator's, where it sees all."""
        return next((site for site in state.sites if site.role == "coordinator"), state.sites[0])

    def _act(self, ref: str, batch: int | None, action: Literal["stop", "restart"]) -> BatchState:
        state = self.show(ref, batch)
        own = self._own(state)
        if own.role != "coordinator":
            raise NotAllowed(f"Only the coordinator of '{state.project}' can {action} a batch.")
        if action == "stop" and state.ended:
            raise NotNow(f"Batch {state.batch} of '{state.project}' has ended already; there is nothing to stop.")
        if action == "restart" and state.succeeded:
            raise NotNow(
                f"Batch {state.batch} of '{state.project}' has succeeded; 'starfish run start {state.project}' opens the next one."
            )
        if action == "restart" and not any(RunStatus.from_word(site.status) in FAILING for site in state.sites):
            raise NotNow(f"Batch {state.batch} of '{state.project}' is active and no site has failed; there is nothing to restart.")
        if action == "restart":
            self._must_be_up()
        self._refusals(lambda: self.site.client.action(own.run, own.role, action, state.project_id, state.batch))
        return self.show(str(state.project_id), state.batch)

    def _download(
        self,
        state: BatchState,
        kind: Literal["artifacts", "logs"],
        folder: Path,
        *,
        position: tuple[int, int] | tuple[None, None] = (None, None),
        everyone: bool = False,
    ) -> list[Path]:
        from starfish.sdk import NotFound

        try:
            return self.site.client.download(self._own(state).run, kind, position[0], position[1], folder, all_runs=everyone)
        except NotFound:
            return []

    def _refusals(self, call: Callable[[], object]) -> None:
        """The Routing Server's refusal as a sentence of this site."""
        from starfish.sdk import Conflict, Forbidden, Invalid

        try:
            call()
        except Forbidden as error:
            raise NotAllowed(f"The Routing Server refused: {error}") from error
        except (Conflict, Invalid) as error:
            raise NotNow(f"The Routing Server refused: {error}") from error

    def _events(self, project_id: int, batch: int, position: int) -> "list[Event]":
        """The journal's events of a batch after `position`."""
        if not self.site.home.journal_file.exists():
            return []
        with self.site.home.journal() as journal:
            return journal.events((project_id, batch), after=position)


def log_file(folder: Path, site: str) -> Path:
    """Where a site's log goes: its name as far as a file can have it, and no other site's file."""
    stem = f"log-{FOREIGN.sub('_', site)[:50]}"
    numbers = (f"{stem}-{number}.txt" for number in count(2))
    return next(path for name in chain([f"{stem}.txt"], numbers) if not (path := folder / name).exists())


def _site_state(run: "Run", name: str) -> SiteState:
    task = next((task for task in run.tasks if task["seq"] == run.cur_seq), run.tasks[-1] if run.tasks else {})
    config: Mapping[str, Any] = task.get("config", {})
    return SiteState(
        run=run.id,
        uid=run.site_uid,
        site=name,
        role=run.role,
        status=run.status.word,
        task=run.cur_seq,
        model=str(task.get("model", "")),
        round=int(config.get("current_round", 1)),
        total_round=int(config.get("total_round", 1)),
        since=run.updated_at,
        progress=run.progress,
    )


def _once(texts: Iterable[str]) -> str:
    """One after the other. A line with its time comes once: it was told again where nobody knew whether it had arrived."""
    seen: set[str] = set()
    lines = []
    for line in "\n".join(text.rstrip("\n") for text in texts if text).split("\n"):
        if line not in seen:
            lines.append(line)
        if STAMP.match(line):
            seen.add(line)
    return "\n".join(lines) + "\n"


def _place(match: re.Match[str]) -> tuple[int, int, int]:
    """Run, task and round of a stored file."""
    return int(match["run"]), int(match["task"]), int(match["round"])


def _message(path: Path, wrapping: "Wrapping", at: tuple[int, int], sender: str) -> str:
    """What a failure notice says; it comes from another site and may be anything."""
    from starfish.controller.trust.errors import Untrusted

    try:
        return str(json.loads(wrapping.read_notice(at, sender, path.read_bytes()))["message"])
    except Untrusted as error:
        return f"Its reason is refused: {error}"
    except (ValueError, KeyError, TypeError):
        return "its notice can't be read"
