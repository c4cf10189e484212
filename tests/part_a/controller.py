"""A site's controller as they are in the field: two pollers on one site, polling, Part A only, no memory of what the other did.

Its algorithm is its own: each site holds numbers, and the sites find their mean by steps of half the way. After k rounds from 0
the model is mean * (1 - 2**-k), exactly where the sums are.
"""

import fnmatch
import http.client
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.part_a.wire import Answer, File, Router

FAILED, PENDING_FAILED, STANDBY, PREPARING, RUNNING = 0, 1, 2, 3, 4
PENDING_SUCCESS, PENDING_AGGREGATING, AGGREGATING, SUCCESS = 5, 6, 7, 8
ASKED_AGAIN = ("Preparing", "Pending Aggregating")


class Refused(Exception):
    """The router said no: the step is given up, and the next poll says where things are."""


@dataclass(kw_only=True)
class Controller:
    """One site. `heartbeat` starts its pollers; `give_dataset` is what its person does once a batch is open."""

    router: Router
    uid: str
    numbers: Sequence[float]
    interval: float = 0.1
    fail_in_round: int | None = None
    refusals: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Every 5 s a heartbeat and `GET runs/active/`, every 10 s another such GET; here as many times faster as `interval` says."""
        for factor, alive in ((1, True), (2, False)):
            thread = threading.Thread(target=self._poll, args=(self.interval * factor,), kwargs={"heartbeat": alive}, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a poller hangs: the router did not answer"

    def give_dataset(self, run: int) -> None:
        """What a person does in the portal: the site is ready for its first round."""
        self._must(self._again(lambda: self.router.status(run, PREPARING)), 202)

    def own_runs(self) -> list[dict[str, Any]]:
        """The runs that are active, of all sites (the account sees them all): those of this site."""
        answer = self._again(lambda: self.router.request("GET", "runs/active/", {}))
        self._must(answer, 200)
        runs = answer.json()
        for run in runs:
            datetime.fromisoformat(run["updated_at"][:-1])
        return [run for run in runs if run["site_uid"] == self.uid]

    def _poll(self, interval: float, *, heartbeat: bool) -> None:
        seen: dict[int, str] = {}
        try:
            while not self._stop.wait(interval):
                if heartbeat:
                    self._again(lambda: self.router.post("sites/heartbeat/", {"uid": self.uid, "status": 1}))
                for run in self.own_runs():
                    if seen.get(run["id"]) != run["status"] or (run["role"] == "coordinator" and run["status"] in ASKED_AGAIN):
                        seen[run["id"]] = run["status"]
                        self._act(run)
        except BaseException as error:
            self.failures.append(error)
            raise

    def _act(self, run: Mapping[str, Any]) -> None:
        coordinator = run["role"] == "coordinator"
        try:
            match run["status"]:
                case "Standby" if place(run) != (1, 1):
                    self._standby(run)
                case "Preparing" if coordinator:
                    self._preparing(run)
                case "Running":
                    self._running(run)
                case "Pending Aggregating" if coordinator:
                    self._aggregate(run)
        except Refused as refused:
            self.refusals.append(str(refused))

    def _standby(self, run: Mapping[str, Any]) -> None:
        self._download(run, "artifacts", *before(run))
        self._move(run, PREPARING)

    def _preparing(self, run: Mapping[str, Any]) -> None:
        if self._batch_is(run, "Preparing"):
            self._move(run, RUNNING, update_all=True)

    def _running(self, run: Mapping[str, Any]) -> None:
        seq, number = place(run)
        if number == self.fail_in_round:
            self._fail(run)
            return
        model = self._last_model(run)
        update = {"n": len(self.numbers), "sum": sum(value - model for value in self.numbers)}
        self._move(run, PENDING_SUCCESS)
        files = [
            File(field="mid_artifacts", name="mid-artifacts", data=json.dumps(update).encode()),
            File(field="logs", name="logs.txt", data=f"task {seq}, round {number}: {len(self.numbers)} numbers\n".encode()),
        ]
        self._must(self._again(lambda: self.router.upload(run["id"], seq, number, files)), 200)
        self._move(run, PENDING_AGGREGATING)

    def _fail(self, run: Mapping[str, Any]) -> None:
        self._move(run, PENDING_FAILED)
        logs = [File(field="logs", name="logs.txt", data=b"the disk is full\n")]
        self._must(self._again(lambda: self.router.upload(run["id"], *place(run), logs)), 200)
        self._move(run, FAILED, update_all=True)  # from their error path old controllers send the flag from any site

    def _aggregate(self, run: Mapping[str, Any]) -> None:
        if not self._batch_is(run, "Pending Aggregating"):
            return
        seq, number = place(run)
        updates = [json.loads(data) for data in self._download(run, "mid_artifacts", seq, number, all_runs=1)]
        self._move(run, AGGREGATING, update_all=True)
        step = sum(update["sum"] for update in updates) / sum(update["n"] for update in updates) / 2
        model = json.dumps({"model": self._last_model(run) + step, "updates": len(updates)}).encode()
        files = [File(field="artifacts", name="artifacts", data=model)]
        self._must(self._again(lambda: self.router.upload(run["id"], seq, number, files)), 200)
        if place(run) == last_place(run):
            self._move(run, SUCCESS, update_all=True)
        else:
            self._move(run, STANDBY, update_all=True, increase_round=True)

    def _batch_is(self, run: Mapping[str, Any], word: str) -> bool:
        """Two GETs of detail; whether every run of the batch is there. A failed run ends the batch."""
        query = {"batch": run["batch"], "project": run["project"], "site_uid": self.uid}
        self._again(lambda: self.router.get("runs/detail/", **query))
        answer = self._again(lambda: self.router.get("runs/detail/", **query))
        self._must(answer, 200)
        words = [other["status"] for other in answer.json()["runs"]]
        if {"Failed", "Pending Failed"} & set(words):
            self._move(run, FAILED, update_all=True)
            return False
        return set(words) == {word}

    def _last_model(self, run: Mapping[str, Any]) -> float:
        if place(run) == (1, 1):
            return 0.0
        (data,) = self._download(run, "artifacts", *before(run))
        return float(json.loads(data)["model"])

    def _download(self, run: Mapping[str, Any], kind: str, seq: int, number: int, *, all_runs: int = 0) -> list[bytes]:
        """The files of a round, found by their names' ends. A streamed zip that broke off is asked for again."""

        def ask() -> Answer:
            answer = self.router.download(run["id"], kind, seq, number, all_runs=all_runs)
            if answer.status == 200 and not zipfile.is_zipfile(io.BytesIO(answer.body)):
                raise ConnectionError("the zip broke off")
            return answer

        answer = self._again(ask)
        self._must(answer, 200)
        return unzip(answer.body, f"*-{seq}-{number}-{kind.replace('_', '-')}")

    def _move(self, run: Mapping[str, Any], status: int, **flags: bool) -> None:
        self._must(self._again(lambda: self.router.status(run["id"], status, **flags)), 202)

    def _must(self, answer: Answer, status: int) -> None:
        assert answer.status < 500, answer.body[:2000]
        if answer.status != status:
            raise Refused(f"{answer.status} {answer.body[:200].decode()}")

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        """The answer, from a router that may just be restarting."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return ask()
            except (ConnectionError, http.client.HTTPException) as error:
                if time.monotonic() > deadline or self._stop.is_set():
                    raise Refused(f"no router: {error!r}") from error
                time.sleep(self.interval)


def place(run: Mapping[str, Any]) -> tuple[int, int]:
    """The run's current task and the round in it."""
    return run["cur_seq"], run["tasks"][run["cur_seq"] - 1]["config"]["current_round"]


def before(run: Mapping[str, Any]) -> tuple[int, int]:
    """The task and round before the current one."""
    seq, number = place(run)
    return (seq, number - 1) if number > 1 else (seq - 1, run["tasks"][seq - 2]["config"]["total_round"])


def last_place(run: Mapping[str, Any]) -> tuple[int, int]:
    """The last round of the last task."""
    return len(run["tasks"]), run["tasks"][-1]["config"]["total_round"]


def unzip(archive: bytes, pattern: str) -> list[bytes]:
    """The members that match, in the order of their names."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [opened.read(name) for name in sorted(opened.namelist()) if fnmatch.fnmatch(name, pattern)]
