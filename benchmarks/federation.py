"""A Routing Server and sites, each in processes of its own, as they are shipped: SQLite, journals, everything synced.

The sites are enrolled once, and that state is kept; each measurement works on a copy of it, with processes that have just begun.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import STARFISH, BenchmarkFailed, run, sampled, started, tail, until
from benchmarks.router import Router
from starfish.controller.api import Site
from starfish.controller.errors import NotNow
from starfish.protocol.run_state import RunStatus

PROJECT = """name: rounds
description: Empty rounds
variables:
  number: {{type: number}}
tasks:
  - model: Echo
    config: {{bytes: {bytes}, total_round: {rounds}, seed: 1}}
"""
ROWS = "number\n1\n2\n3\n"
BEGIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The state that every measurement begins with."""

    folder: Path
    port: int
    sites: int

    def make(self) -> None:
        """A Routing Server's database with sites, and their homes, each with a dataset. Raises BenchmarkFailed."""
        router = Router(folder=self.folder / "router", port=self.port)
        router.make()
        rows = self.folder / "rows.csv"
        rows.write_text(ROWS)
        with ExitStack() as running:
            router.serve(running)
            for number in range(self.sites):
                code = json.loads(run([STARFISH, "router", "enrol-code", "--name", f"Site {number}", "--json"], router.environment))["code"]
                with Site.enrol(self.folder / f"site-{number}", router=router.url, code=code, policy="open") as site:
                    site.datasets.add("rows", rows)

    @contextmanager
    def copy(self, folder: Path, sites: int) -> Iterator["Federation"]:
        """A federation of the first `sites` sites; its files go at the end."""
        shutil.copytree(self.folder / "router", folder / "router")
        for number in range(sites):
            shutil.copytree(self.folder / f"site-{number}", folder / f"site-{number}")
        try:
            yield Federation(router=Router(folder=folder / "router", port=self.port), homes=[folder / f"site-{n}" for n in range(sites)])
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True, kw_only=True)
class Federation:
    """The first site coordinates, and takes part with its data like the others."""

    router: Router
    homes: list[Path]

    def start(self, running: ExitStack, environment: Mapping[str, str], samples: Path | None = None) -> dict[str, subprocess.Popen[bytes]]:
        """The processes by name: `router`, `site-0` (the coordinator), `site-1`, ... Raises BenchmarkFailed."""
        processes = {"router": self.router.serve(running, samples)}
        for home in self.homes:
            own = sampled({**os.environ, **environment, "STARFISH_HOME": str(home)}, samples)
            processes[home.name] = started([STARFISH, "site", "up", "--no-portal"], home / "daemon.out", own, running)
        return processes

    def open_project(self, size: int, rounds: int, *, sealed: bool) -> None:
        """Arrays of `size` bytes, in so many rounds."""
        file = self.homes[0].parent / "project.yaml"
        file.write_text(PROJECT.format(bytes=size, rounds=rounds))
        with Site(self.homes[0]) as coordinator:
            coordinator.projects.create(file, dataset="rows", sealed=sealed)
            for home in self.homes[1:]:
                with Site(home) as site:
                    ref = coordinator.projects.invite("rounds", site=site.config.name).line if sealed else "rounds"
                    site.projects.join(ref, dataset="rows")
            if sealed:
                coordinator.projects.approve("rounds")

    def run_batch(self, processes: Mapping[str, subprocess.Popen[bytes]], within: float) -> None:
        """From its start to its success. It is watched in the database, so that nobody asks the Routing Server but the sites."""
        deadline = time.monotonic() + BEGIN_S
        with Site(self.homes[0]) as coordinator:
            self._begin(coordinator, processes, deadline)
        deadline = time.monotonic() + within
        while (states := self.states()) != {RunStatus.SUCCESS}:
            self._all_well(processes)
            if states & {RunStatus.FAILED, RunStatus.PENDING_FAILED}:
                raise BenchmarkFailed(f"The batch failed.\n{self._logs()}")
            until(deadline, f"The batch has not ended within {within:.0f} s.\n{self._logs()}")

    def states(self) -> set[RunStatus]:
        return {RunStatus(status) for (status,) in self.rows("SELECT status FROM router_run")}

    def rows(self, query: str) -> list[Any]:
        """What the Routing Server has written down."""
        with closing(sqlite3.connect(f"file:{self.router.database}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()

    def _begin(self, coordinator: Site, processes: Mapping[str, subprocess.Popen[bytes]], deadline: float) -> None:
        while not all((home / "daemon.json").exists() for home in self.homes):
            self._all_well(processes)
            until(deadline, f"Not all sites came up within {BEGIN_S:.0f} s.\n{self._logs()}")
        while True:
            try:
                coordinator.runs.start("rounds")
            except NotNow as error:  # not all sites are connected yet
                self._all_well(processes)
                until(deadline, f"The batch could not be started: {error}\n{self._logs()}")
            else:
                return

    def _all_well(self, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        for name, process in processes.items():
            if process.poll() is not None:
                raise BenchmarkFailed(f"{name} ended with {process.returncode}.\n{self._logs()}")
        if "Traceback" in self.router.log.read_text(errors="replace"):
            raise BenchmarkFailed(f"The Routing Server failed inside.\n{self._logs()}")

    def _logs(self) -> str:
        """The Routing Server's, and those of the coordinator and of one participant."""
        logs = [self.router.log, *(home / name for home in self.homes[:2] for name in ("daemon.log", "daemon.out"))]
        workers = [log for home in self.homes[:2] for log in home.glob("batches/*/worker.log") if log.stat().st_size]
        return "\n".join(tail(log) for log in [*logs, *workers])
