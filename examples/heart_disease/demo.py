"""`make demo`: a Routing Server and four hospitals on this machine, each in processes of its own, with nothing shared but HTTP."""

import argparse
import itertools
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.heart_disease import show

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PROJECT = HERE / "project.yaml"
HOSPITALS = {
    "Cleveland": HERE / "data" / "cleveland.csv",
    "Hungary": HERE / "data" / "hungary.csv",
    "Long Beach": HERE / "data" / "long_beach.csv",
    "Switzerland": HERE / "data" / "switzerland.csv",
}
COORDINATOR = "Cleveland"
console = Console(highlight=False)


@dataclass(frozen=True)
class Demo:
    """The folder that everything lives in, and the commands that a person would type."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def home(self, site: str) -> Path:
        return self.folder / site.lower().replace(" ", "-")

    @property
    def router_environment(self) -> dict[str, str]:
        files = {
            "DATABASE_NAME": self.folder / "router" / "router.sqlite3",
            "ARTIFACTS_DIR": self.folder / "router" / "artifacts",
            "SECRET_KEY_FILE": self.folder / "router" / "secret_key",
        }
        return {**os.environ, "DATABASE_HOST": "", "DEBUG": "False"} | {name: str(path) for name, path in files.items()}

    def router(self, *arguments: str) -> str:
        return _run([*STARFISH, "router", *arguments], self.router_environment)

    def site(self, site: str, *arguments: str, quiet: bool = False) -> str:
        if not quiet:
            console.print(f"  [dim]{site}>[/] starfish {shlex.join(_readable(arguments))}")
        return _run([*STARFISH, "--home", str(self.home(site)), *arguments], dict(os.environ))


STARFISH = (str(Path(sys.executable).with_name("starfish")),)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave all running, and say where and how to end it")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = ROOT / "var" / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "router").mkdir(parents=True)
    (folder / "router" / "secret_key").write_text(os.urandom(32).hex())
    demo = Demo(folder, _free_port())
    with ExitStack() as running:
        started = time.monotonic()
        processes = _begin(demo, running)
        _study(demo)
        console.print(f"\nThe whole demo took {time.monotonic() - started:.0f} s.")
        if keep:
            running.pop_all()
            _explain(demo, processes)


def _begin(demo: Demo, running: ExitStack) -> list[subprocess.Popen[bytes]]:
    """The Routing Server, then the sites: enrolled, each with its dataset, each with its daemon."""
    console.rule("[bold]A Routing Server and four hospitals")
    _run([sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"], demo.router_environment)
    serve = [*STARFISH, "router", "serve", "--bind", f"127.0.0.1:{demo.port}"]
    processes = [_started(serve, demo.folder / "router.log", demo.router_environment, running)]
    _wait_until_ready(demo.url, processes[0])
    console.print(f"  Routing Server on {demo.url} (SQLite)")
    for site, source in HOSPITALS.items():
        code = json.loads(demo.router("enrol-code", "--name", site, "--json"))["code"]
        demo.site(site, "site", "init", "--router", demo.url, "--name", site, "--enrol", code, "--policy", "open")
        demo.site(site, "dataset", "add", "patients", str(source))
        up = [*STARFISH, "--home", str(demo.home(site)), "site", "up", "--no-portal"]
        processes.append(_started(up, demo.folder / f"{demo.home(site).name}.log", dict(os.environ), running))
    console.print("\nThe data are public, so the sites run under policy [bold]open[/]: no minimum of rows, cells, events or sites holds.")
    return processes


def _study(demo: Demo) -> None:
    console.rule("[bold]The study")
    demo.site(COORDINATOR, "project", "create", str(PROJECT), "--by-invitation", "--dataset", "patients")
    for site in HOSPITALS:
        if site != COORDINATOR:
            line = demo.site(COORDINATOR, "project", "invite", "heart-disease", "--site", site).strip()
            demo.site(site, "project", "join", line, "--dataset", "patients")
    demo.site(COORDINATOR, "project", "approve", "heart-disease")
    console.print(f"  [dim]{COORDINATOR}>[/] starfish run start heart-disease --wait")
    command = [*STARFISH, "--home", str(demo.home(COORDINATOR)), "run", "start", "heart-disease", "--wait"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit("The batch did not succeed; the line above says why.")
    report: dict[str, Any] = json.loads(demo.site(COORDINATOR, "run", "report", "heart-disease", "--json", quiet=True))
    console.rule("[bold]The answer")
    largest = show.estimates(console, report, PROJECT, HOSPITALS)
    console.rule("[bold]The cost, and what the Routing Server could see")
    console.print(f"  A round took {_seconds_a_round(demo):.2f} s (median), each step synced to its disk.")
    show.what_the_router_holds(console, demo.folder / "router", HOSPITALS, report)
    if largest > 1e-6:
        raise SystemExit("The federated estimates differ from the pooled ones by more than the tolerance of 1e-6.")


def _seconds_a_round(demo: Demo) -> float:
    """From one global model to the next, by the time at which the coordinator wrote them."""
    models = (demo.home(COORDINATOR) / "batches").glob("*/models/*.model")
    written = sorted(model.stat().st_mtime for model in models)
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(written))


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(_readable(command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _started(command: list[str], log: Path, environment: dict[str, str], running: ExitStack) -> subprocess.Popen[bytes]:
    """A process that `running` ends, unless it is told to let go."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    running.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise SystemExit("The Routing Server did not become ready; see var/demo/router.log.")


def _explain(demo: Demo, processes: list[subprocess.Popen[bytes]]) -> None:
    console.rule("[bold]Left running")
    console.print(f"  Routing Server   {demo.url}/starfish/api/v1/")
    for site in HOSPITALS:
        console.print(f"  {site:<16} starfish --home {demo.home(site).relative_to(ROOT)} run report heart-disease")
    console.print(f"  To end it all    kill {' '.join(str(process.pid) for process in processes)}")


def _readable(arguments: tuple[str, ...] | list[str]) -> list[str]:
    """Paths as a person in the repository would type them; one-time codes and invitations, which are secrets, left out."""
    shown = ["INVITATION" if argument.startswith("starfish-invitation-") else argument.replace(f"{ROOT}/", "") for argument in arguments]
    return ["CODE" if before == "--enrol" else argument for before, argument in zip(["", *shown], shown, strict=False)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
