"""A hostile task in a real worker gets at nothing that is not its own; the same attempts, made by the same user unconfined, succeed."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from starfish.controller.worker.isolation import level
from starfish.controller.worker.process import Worker, end_marked

HOSTILE = Path(__file__).with_name("hostile.py")
MAY = [
    "read the source",
    "write in its folder",
    "make a folder and move into it",
    "write a temporary file",
    "read the clock's zone",
    "run a loop",
    "start a thread",
    "run a child",
    "ask where it is confined",
]
ANYONE_FAILS = {"read by way of a namespace", "read with another root", "read accounts"}
"""Where the tests don't run as root these fail unconfined as well."""
SPARED = {"write among the packages", "survive", *MAY}
"""Not attempted unconfined: they would leave something behind."""
NO_LINK_OUT = "OSError: [Errno 18]"
HERE = level()

pytestmark = pytest.mark.skipif(not HERE.complete, reason=f"this system can't shut a worker in: {' '.join(HERE.reasons)}")


@dataclass(kw_only=True)
class Place:
    """A site's home with secrets, two batches, and somebody who listens."""

    home: Path
    work: Path
    at: dict[str, Any]

    def worker(self) -> Worker:
        return Worker(self.work, (Path(self.at["source"]),))

    def attempt(self, worker: Worker, *names: str) -> dict[str, str]:
        """Let the task attempt these (or all), in a step that goes well all the same."""
        (self.work / "attempts.json").write_text(json.dumps({"at": self.at, "names": names, "without": []}))
        worker.call("report", {"work": str(self.work), "site": "s", "site_name": "Here"})
        return dict(json.loads((self.work / "outcomes.json").read_text()))


@pytest.fixture(params=["packages apart", "packages around the home"])
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The hostile task comes from a folder of its own, or from one below which the home is, as in a checkout."""
    home, work = tmp_path / "home", tmp_path / "home" / "batches" / "1-1"
    tasks = tmp_path / "tasks" if request.param == "packages apart" else tmp_path
    for folder in (work, home / "keys", home / "batches" / "1-2", tmp_path / "elsewhere", tasks / "hostile-1.dist-info"):
        folder.mkdir(parents=True)
    for file in (home / "token", home / "keys" / "signing", home / "policy.yaml", home / "batches" / "1-2" / "rows.payload"):
        file.write_text("a secret of this site")
    source = tmp_path / "data" / "rows.csv"
    source.parent.mkdir()
    source.write_text("x\n1\n")
    terms = {"project": "p", "batch": 1, "tasks": [{"seq": 0, "model": "Hostile", "config": {}}], "definition": {"variables": {}}}
    (work / "terms.json").write_text(json.dumps(terms))
    _install(tasks)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tasks), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep))
    daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={"TOKEN": "a secret of this site"})
    unix = str(tmp_path / "bus")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening, closing(socket.socket(socket.AF_UNIX)) as bus:
        bus.bind(unix)
        bus.listen()
        yield Place(
            home=home,
            work=work,
            at={
                "home": str(home),
                "token": str(home / "token"),
                "source": str(source),
                "elsewhere": str(tmp_path / "elsewhere"),
                "packages": sysconfig.get_path("purelib"),
                "daemon": daemon.pid,
                "port": listening.getsockname()[1],
                "unix": unix,
            },
        )
    daemon.kill()
    daemon.wait()


def _install(folder: Path) -> None:
    """A package with a task, as pip would leave it."""
    (folder / "hostile.py").write_text(HOSTILE.read_text())
    (folder / "hostile-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    (folder / "hostile-1.dist-info" / "entry_points.txt").write_text("[starfish.tasks]\nHostile = hostile:Hostile\n")


def refused(outcome: str) -> bool:
    return outcome.startswith(("PermissionError: [Errno 13]", "PermissionError: [Errno 1]", "PermissionError: 13", NO_LINK_OUT, "gaierror"))


def test_a_hostile_task_gets_at_nothing_and_the_run_goes_on(place: Place) -> None:
    worker = place.worker()
    try:
        outcomes = place.attempt(worker)
        assert worker.call("report", {"work": str(place.work), "site": "s", "site_name": "Here"})["tasks"] == []
    finally:
        worker.end()
    must_not = {name: outcome for name, outcome in outcomes.items() if name not in (*MAY, "survive")}
    assert len(must_not) > 35
    assert {name: outcome for name, outcome in must_not.items() if not refused(outcome)} == {}
    assert {name: outcome for name, outcome in outcomes.items() if name in MAY and not outcome.startswith("done")} == {}
    assert (place.home / "token").read_text() == "a secret of this site"
    assert not list(Path(place.at["elsewhere"]).iterdir())
    assert "a secret" not in json.dumps(outcomes)


def test_the_same_attempts_succeed_unconfined(place: Place) -> None:
    """So that the test before shows isolation, and not attempts that would fail anyhow."""
    spared = SPARED if os.geteuid() == 0 else SPARED | ANYONE_FAILS
    (place.work / "attempts.json").write_text(json.dumps({"at": place.at, "names": [], "without": sorted(spared)}))
    subprocess.run([sys.executable, str(HOSTILE)], cwd=place.work, check=True)
    outcomes = json.loads((place.work / "outcomes.json").read_text())
    assert {name: outcome for name, outcome in outcomes.items() if not outcome.startswith("done")} == {}


def test_what_a_task_started_ends_with_the_worker_even_without_the_mark(place: Place) -> None:
    worker = place.worker()
    try:
        assert place.attempt(worker, "survive") == {"survive": "done: 'done'"}
        survivor = survivor_of(place)
        assert "STARFISH_WORKER" not in survivor.environ()
        assert survivor.ppid() != worker.pid
    finally:
        worker.end()
    assert gone(survivor)


def test_a_survivor_of_a_worker_and_its_daemon_ends_with_the_next_daemon(place: Place) -> None:
    worker = place.worker()
    try:
        place.attempt(worker, "survive")
        survivor = survivor_of(place)
        psutil.Process(worker.pid).kill()
        end_marked(place.home / "batches")
        assert gone(survivor)
    finally:
        worker.end()


def survivor_of(place: Place) -> psutil.Process:
    file, deadline = place.work / "survivor", time.monotonic() + 10
    while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return psutil.Process(int(file.read_text()))


def gone(process: psutil.Process) -> bool:
    try:
        return process.wait(5) is None or True
    except psutil.TimeoutExpired:
        return False
