"""Sites whose daemons run in this process, against a Routing Server in memory; their workers are real processes."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon.batch import Site
from starfish.controller.daemon.journal import Event, Journal
from starfish.controller.daemon.loop import Daemon
from starfish.controller.trust.admission import Trusted
from starfish.controller.trust.store import TrustStore
from starfish.controller.worker.process import Worker
from starfish.protocol.run_state import RunStatus
from tests.fakes import FakeClient, FakeRouter

CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))
UIDS = ("aaaa", "bbbb", "cccc")


def until(condition: Callable[[], Any], within: float = 20.0) -> Any:
    """The first true value. Raises AssertionError."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)
    return value


@dataclass
class Member:
    """One site: its home, and its daemon while it is up."""

    home: Home
    client: FakeClient
    uid: str
    journal: Journal | None = None
    poll: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def up(self) -> None:
        self._stop, self.journal = threading.Event(), Journal(self.home.journal_file)
        self.trust = TrustStore(self.home.trust_file)
        self.client.closed = False
        site = Site(
            home=self.home,
            config=self.home.load(),
            client=self.client,  # type: ignore[arg-type]
            journal=self.journal,
            trusted=Trusted(client=self.client, store=self.trust, keys=self.home.keys),  # type: ignore[arg-type]
            start_worker=partial(Worker, command=CHILD),
        )
        daemon = Daemon(site, poll=self.poll, stop=self._stop)
        self._thread = threading.Thread(target=daemon.work)
        self._thread.start()

    def down(self) -> None:
        if self._thread is not None and self.journal is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            self.journal.close()
            self.trust.close()

    def has(self, text: str) -> None:
        """Give the site these data."""
        source = self.home.path.parent / f"{self.uid}.txt"
        source.write_text(text)

    def events(self, project: int | None = 1, batch: int = 1) -> list[Event]:
        with Journal(self.home.journal_file) as journal:
            return journal.events((project, batch) if project else None)

    def said(self, text: str, project: int | None = 1) -> list[Event]:
        return [event for event in self.events(project) if text in event.public or text in (event.private or "")]

    def workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process().children(recursive=True) if str(self.home.path) in _mark(child)]

    def work(self, project: int = 1, batch: int = 1) -> Path:
        return self.home.work(project, batch)


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get("STARFISH_WORKER", "")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


@dataclass
class World:
    """A router and its sites; the first coordinates."""

    router: FakeRouter
    members: list[Member]

    def up(self) -> None:
        for member in self.members:
            member.up()

    def states(self, project: int = 1) -> set[RunStatus]:
        return {self.router.of(member.uid, project).status for member in self.members}

    def until_all(self, status: RunStatus, project: int = 1) -> None:
        until(lambda: self.states(project) == {status})

    def until_reported(self, project: int = 1) -> None:
        self.until_all(RunStatus.SUCCESS, project)
        until(lambda: all((member.work(project) / "report.json").exists() for member in self.members))

    def model(self, seq: int, turn: int, project: int = 1) -> bytes:
        [stored] = [one for one in self.router.files if one.kind == "artifacts" and one.position == (seq, turn)]
        return stored.data


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three sites with data, bound to projects 1 and 2; none is up yet."""
    router = FakeRouter()
    members = []
    for uid in UIDS:
        home = Home(tmp_path / uid)
        config = SiteConfig(router="http://127.0.0.1:1", uid=uid, name=f"Hospital {uid[0].upper()}", site_id=1, auth="token", policy="open")
        home.create(config, "s" * 43)
        member = Member(home=home, client=router.add_site(config.name, uid), uid=uid)
        member.has("rows of " + uid)
        home.datasets.add("data", str(tmp_path / f"{uid}.txt"))
        for project in (1, 2):
            home.bind(project, f"project {project}", "data")
        members.append(member)
    with ExitStack() as stack:
        for member in members:
            stack.callback(member.down)
        yield World(router, members)
