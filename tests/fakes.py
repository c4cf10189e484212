"""A Routing Server in memory: the same port as `starfish.sdk.Client`, the same transition table, and faults on order."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from starfish.protocol.messages import Listing, Membership, Project, Run, Site
from starfish.protocol.problems import Internal
from starfish.protocol.run_state import REQUESTS, TABLE, Event, IllegalMove, RunStatus, Scope, batch_moves, own_move
from starfish.sdk import Conflict, Forbidden, NotFound, RouterUnreachable
from starfish.sdk.client import Kind, Stepped
from starfish.sdk.tokens import TokenLife

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
When = Literal["before", "after"]


@dataclass
class Stored:
    """One file: whose, of which round, and its bytes."""

    run: int
    kind: str
    position: tuple[int, int]
    name: str
    data: bytes
    attempt: int = 1


@dataclass
class FakeRouter:
    """One batch at a time for each project; sites by uid, the first is the coordinator."""

    runs: dict[int, Run] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    projects: dict[int, Project] = field(default_factory=dict)
    files: list[Stored] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    begins: set[tuple[int, int]] = field(default_factory=set)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    beats: list[tuple[str, bool]] = field(default_factory=list)
    away: Exception | None = None
    damaged: set[int] = field(default_factory=set)
    faults: list[tuple[str, When]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_site(self, name: str, uid: str) -> "FakeClient":
        self.sites[uid] = Site(id=len(self.sites) + 1, name=name, description="", uid=uid, connected=True)
        return FakeClient(self, uid)

    def open_batch(self, project: int, tasks: Sequence[tuple[str, int]], uids: Sequence[str] | None = None) -> None:
        """`tasks`: model and total_round."""
        made = [
            {"seq": seq, "model": model, "config": {"total_round": rounds, "current_round": 1}}
            for seq, (model, rounds) in enumerate(tasks, start=1)
        ]
        with self.lock:
            number = max((run.batch for run in self.runs.values() if run.project == project), default=0) + 1
            self.projects[project] = Project(id=project, name=f"project {project}", site=1, batch=number, tasks=made, definition={})
            for index, uid in enumerate(uids or self.sites):
                run = Run(
                    id=len(self.runs) + 1,
                    project=project,
                    batch=number,
                    role="participant" if index else "coordinator",
                    site_uid=uid,
                    cur_seq=1,
                    status=RunStatus.STANDBY,
                    logs=[],
                    artifacts=[],
                    middle_artifacts=[],
                    tasks=made,
                    updated_at=EPOCH,
                )
                self.runs[run.id] = run

    def fail(self, method: str, *whens: When) -> None:
        """The next calls of `method` are lost before they arrive, or their answers after."""
        self.faults += [(method, when) for when in whens]

    def of(self, uid: str, project: int = 1) -> Run:
        """A site's last run in a project."""
        return [run for run in self.runs.values() if run.site_uid == uid and run.project == project][-1]

    def batch_of(self, run: Run) -> dict[int, Run]:
        return {one.id: one for one in self.runs.values() if (one.project, one.batch) == (run.project, run.batch)}

    def move(self, run: Run, event: Event, *, whole: bool, end_task: bool = False) -> None:
        """One event by the one table. Raises Conflict."""
        batch = self.batch_of(run)
        try:
            if whole:
                moves = batch_moves(event, {one.id: one.status for one in batch.values()}, coordinator=run.id)
            else:
                moves = {run.id: own_move(event, run.status)}
        except IllegalMove as error:
            raise Conflict(error.detail, state=error.state.word) from error
        for run_id, status in moves.items():
            self.runs[run_id] = replace(self.runs[run_id], status=status, updated_at=self.runs[run_id].updated_at + timedelta(seconds=1))
        if event in (Event.TRAIN, Event.STOP, Event.FAIL, Event.RESTART):
            self.begins.discard((run.project, run.batch))
        if event is Event.PREPARE and (run.project, run.batch) in self.begins:
            self.begin_when_prepared(run)
        if moves and event in (Event.ADVANCE, Event.SUCCEED):
            self._end_round(list(batch), event, end_task=end_task)

    def begin_when_prepared(self, run: Run) -> None:
        self.begins.add((run.project, run.batch))
        if all(one.status is RunStatus.PREPARING for one in self.batch_of(run).values()):
            coordinator = next(one for one in self.batch_of(run).values() if one.coordinates)
            self.move(coordinator, Event.TRAIN, whole=True)

    def _end_round(self, run_ids: Sequence[int], event: Event, *, end_task: bool) -> None:
        run = self.runs[run_ids[0]]
        tasks, seq = deepcopy(list(run.tasks)), run.cur_seq
        config = tasks[seq - 1]["config"]
        if end_task:
            config["total_round"] = config["current_round"]
        if event is Event.ADVANCE and config["current_round"] < config["total_round"]:
            config["current_round"] += 1
        elif event is Event.ADVANCE:
            seq += 1
        for run_id in run_ids:
            self.runs[run_id] = replace(self.runs[run_id], tasks=tasks, cur_seq=seq)

    def keep(self, run: Run, kind: str, position: tuple[int, int], name: str, data: bytes) -> None:
        if position != run.position or run.status is RunStatus.SUCCESS:
            raise Conflict(f"files of another round are not taken: {name}")
        self.files = [one for one in self.files if (one.run, one.kind, one.position, one.name) != (run.id, kind, position, name)]
        self.files.append(Stored(run.id, kind, position, name, data))
        if kind == "logs":
            listed = [f"{one.run}/{one.run}-{one.position[0]}-{one.position[1]}-{one.name}" for one in self.files if one.run == run.id]
            self.runs[run.id] = replace(self.runs[run.id], logs=listed)

    @contextmanager
    def call(self, method: str, uid: str) -> Iterator[None]:
        """One request: counted, and lost on the way there or back where a fault was ordered."""
        with self.lock:
            self.calls[method, uid] += 1
            if self.away is not None:
                raise self.away
            if (method, "before") in self.faults:
                self.faults.remove((method, "before"))
                raise RouterUnreachable(f"{method} was lost")
            yield
            if (method, "after") in self.faults:
                self.faults.remove((method, "after"))
                raise RouterUnreachable(f"the answer to {method} was lost")


class FakeClient:
    """What a site's daemon asks; as `Client`, without the wire."""

    def __init__(self, router: FakeRouter, uid: str) -> None:
        self.router, self.uid = router, uid
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def token_life(self) -> TokenLife:
        return TokenLife(whole=1.0, left=1.0)

    def heartbeat(self, uid: str, connected: bool = True) -> None:
        with self.router.call("heartbeat", self.uid):
            self.router.beats.append((uid, connected))

    def project(self, project_id: int) -> Project:
        with self.router.call("project", self.uid):
            return self.router.projects[project_id]

    def participants(self, project_id: int) -> list[Membership]:
        with self.router.call("participants", self.uid):
            project = self.router.projects[project_id]
            return [
                Membership(id=site.id, site=site, project=project, role="", notes="")
                for site in self.router.sites.values()
                if self._coordinates(project_id) or site.uid == self.uid
            ]

    def active_runs(self, site_uid: str, *, known: str | None = None, wait: float = 0) -> Listing | None:
        deadline = time.monotonic() + wait
        with self.router.call("active_runs", self.uid):
            listing = self._listing()
        while listing.etag == known and time.monotonic() < deadline and not self.closed:
            time.sleep(0.002)
            with self.router.lock:
                listing = self._listing()
        return None if listing.etag == known else listing

    def _listing(self) -> Listing:
        runs = [
            replace(run, logs=(), artifacts=(), middle_artifacts=())
            for run in self.router.runs.values()
            if run.status.live and (run.site_uid == self.uid or self._coordinates(run.project, run.batch))
        ]
        return Listing(runs=runs, etag=repr(runs))

    def run(self, run_id: int) -> Run:
        with self.router.call("run", self.uid):
            return self._seen(run_id)

    def batch_runs(self, project_id: int, batch: int, site_uid: str) -> list[Run]:
        with self.router.call("batch_runs", self.uid):
            if project_id in self.router.damaged:
                raise Internal("The router failed.")
            runs = [run for run in self.router.runs.values() if (run.project, run.batch) == (project_id, batch)]
            return [run for run in runs if run.site_uid == site_uid or self._coordinates(project_id, batch)]

    def step(
        self,
        run: Run,
        to: Sequence[RunStatus],
        *,
        everyone: bool = False,
        end_task: bool = False,
        begin: bool = False,
        artifact: tuple[Kind, str, bytes] | None = None,
        stored: tuple[Kind, str, str] | None = None,
        lines: str = "",
    ) -> Stepped:
        with self.router.call("step", self.uid):
            now = self._own(run.id)
            if everyone and not now.coordinates:
                raise Forbidden("Only the coordinator's run takes a step for all.")
            if (now.status, now.batch, now.position) != (run.status, run.batch, run.position):
                raise Conflict(f"The run is {now.status.word}", state=now.status.word)
            before = deepcopy((self.router.runs, self.router.files))
            try:
                if artifact:
                    self.router.keep(now, artifact[0], now.position, artifact[1], artifact[2])
                if stored and not any((one.run, one.kind, one.name) == (run.id, stored[0], stored[1]) for one in self.router.files):
                    raise NotFound("upload it first")
                for status in to:
                    event = REQUESTS[status]
                    whole = everyone and TABLE[event].scope is not Scope.SITE
                    self.router.move(self.router.runs[run.id], event, whole=whole, end_task=end_task)
            except Conflict:
                self.router.runs, self.router.files = before
                raise
            if lines:
                self.router.lines.append((run.id, lines))
            if begin:
                self.router.begin_when_prepared(self.router.runs[run.id])
            return Stepped(self.router.runs[run.id], self._listing())

    def put_artifact(
        self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, file: Path, *, sha256: str, attempt: int = 1
    ) -> None:
        data = file.read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
        with self.router.call("put_artifact", self.uid):
            place = (run_id, kind, (task_seq, round_seq), name)
            for one in self.router.files:
                if (one.run, one.kind, one.position, one.name) == place and one.data != data and attempt <= one.attempt:
                    raise Conflict("Other bytes are stored under this name.", attempt=one.attempt)
            self.router.keep(self._own(run_id), kind, (task_seq, round_seq), name, data)

    def get_artifact(self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, to: Path) -> str:
        with self.router.call("get_artifact", self.uid):
            batch = self.router.batch_of(self._seen(run_id))
            for one in self.router.files:
                mine = one.run == run_id or (one.run in batch and kind == "artifacts")
                if mine and (one.kind, one.position, one.name) == (kind, (task_seq, round_seq), name):
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(one.data)
                    return hashlib.sha256(one.data).hexdigest()
            raise NotFound(f"no {kind}")

    def add_lines(self, run_id: int, text: str, *, key: str | None = None) -> None:
        with self.router.call("add_lines", self.uid):
            self.router.lines.append((self._own(run_id).id, text))

    def upload(self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, content: Path | bytes) -> None:
        data = content.read_bytes() if isinstance(content, Path) else content
        with self.router.call("upload", self.uid):
            self.router.keep(self._own(run_id), kind, (task_seq, round_seq), name, data)

    def download(
        self, run_id: int, kind: Kind, task_seq: int | None, round_seq: int | None, folder: Path, *, all_runs: bool = False
    ) -> list[Path]:
        with self.router.call("download", self.uid):
            run = self._seen(run_id)
            batch = self.router.batch_of(run)
            found = []
            for one in self.router.files:
                mine = one.run == run_id or (one.run in batch and (all_runs or kind == "artifacts"))
                if mine and one.kind == kind and one.position == (task_seq, round_seq):
                    path = folder / f"{one.run}-{task_seq}-{round_seq}-{one.name}"
                    path.write_bytes(one.data)
                    found.append(path)
            if not found:
                raise NotFound(f"no {kind}")
            return found

    def set_status(self, run_id: int, status: RunStatus, *, everyone: bool = False) -> None:
        with self.router.call("set_status", self.uid):
            run = self._own(run_id)
            self.router.move(run, REQUESTS[status], whole=everyone and run.coordinates)

    def action(self, run_id: int, role: str, action: Literal["stop", "restart"], project_id: int, batch: int) -> None:
        with self.router.call("action", self.uid):
            run = self._own(run_id)
            event = Event.STOP if action == "stop" else Event.RESTART
            self.router.move(run, event, whole=role == "coordinator" and run.coordinates)

    def _coordinates(self, project: int, batch: int | None = None) -> bool:
        return any(
            run.coordinates and run.site_uid == self.uid and run.project == project and batch in (None, run.batch)
            for run in self.router.runs.values()
        )

    def _seen(self, run_id: int) -> Run:
        run = self.router.runs.get(run_id)
        if run is None or not (run.site_uid == self.uid or self._coordinates(run.project, run.batch)):
            raise NotFound("Run not found")
        return run

    def _own(self, run_id: int) -> Run:
        run = self._seen(run_id)
        if run.site_uid != self.uid:
            raise Forbidden("Not this site's run.")
        return run
