"""A Routing Server and sites, each in processes of its own, driven by the commands that people type."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.servers import ROOT, Server

STARFISH = str(Path(sys.executable).parent / "starfish")


@dataclass(kw_only=True)
class Member:
    """A site with its home, its dataset `patients` and, while it is up, its daemon."""

    name: str
    home: Path
    daemon: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """`starfish ...` at this site; a traceback is never right."""
        done = subprocess.run(
            [STARFISH, *arguments],
            cwd=ROOT,
            env={**os.environ, "STARFISH_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr + done.stdout
        if ok:
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def up(self) -> None:
        with (self.home.parent / f"{self.home.name}.out").open("ab") as output:
            self.daemon = subprocess.Popen(
                [STARFISH, "site", "up", "--no-portal"],
                cwd=ROOT,
                env={**os.environ, "STARFISH_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def down(self) -> None:
        """SIGTERM; the daemon must end, and its workers with it."""
        if self.daemon is None:
            return
        workers = self.workers()
        self.daemon.terminate()
        assert self.daemon.wait(10) is not None
        _, alive = psutil.wait_procs(workers, timeout=5)
        assert not alive, f"workers of {self.name} outlived its daemon: {alive}"
        self.daemon = None

    def kill_daemon(self) -> None:
        """kill -9 of the daemon alone; its worker is left to itself."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait(10)
        self.daemon = None

    def workers(self) -> list[psutil.Process]:
        if self.daemon is None or self.daemon.poll() is not None:
            return []
        return psutil.Process(self.daemon.pid).children(recursive=True)

    def kill_workers(self) -> None:
        """kill -9 of every process below the daemon."""
        for process in self.workers():
            process.kill()


@dataclass
class Federation:
    """Members by name; the first is the coordinator."""

    server: Server
    folder: Path
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def coordinator(self) -> Member:
        return next(iter(self.members.values()))

    def add(self, name: str, source: Path, *, up: bool = True, policy: str = "open") -> Member:
        code = json.loads(self.server.starfish("router", "enrol-code", "--name", name, "--json"))["code"]
        member = Member(name=name, home=self.folder / f"site-{len(self.members)}")
        member.run("site", "init", "--router", self.server.url, "--name", name, "--enrol", code, "--policy", policy)
        member.run("dataset", "add", "patients", str(source))
        self.members[name] = member
        if up:
            member.up()
        return member

    def open_project(self, project: Path, name: str) -> None:
        self.coordinator.run("project", "create", str(project), "--by-name", "--dataset", "patients")
        for member in list(self.members.values())[1:]:
            member.run("project", "join", name, "--dataset", "patients")

    def open_sealed_project(self, project: Path, name: str) -> None:
        """By invitation; the lines go from hand to hand here."""
        self.coordinator.run("project", "create", str(project), "--by-invitation", "--dataset", "patients")
        for member in list(self.members.values())[1:]:
            line = self.coordinator.run("project", "invite", name, "--site", member.name).stdout.strip()
            member.run("project", "join", line, "--dataset", "patients")
        self.coordinator.run("project", "approve", name)

    def status(self, project: str) -> dict[str, Any]:
        """`run show --json` as the coordinator sees it."""
        return dict(self.coordinator.json("run", "show", project))

    def close(self) -> None:
        for member in self.members.values():
            member.down()


@contextmanager
def federation(server: Server, folder: Path) -> Iterator[Federation]:
    made = Federation(server, folder)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], Any], what: str, timeout: float = 120.0) -> Any:
    """The first true value of `condition`. Raises AssertionError."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout:.0f} s"
        time.sleep(0.02)
    return value
