"""What asking plainly costs instead of waiting: the same round, four sites, 1 kB, on the same machine in the same run.

Our own daemons ask every 0.2 s (STARFISH_POLL_S). A controller that speaks Part A of the wire contract alone asks every 5 s, and every
10 s once more; its round is one of the client that the tests drive whole batches with.
"""

import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.federation import Enrolled, Federation
from benchmarks.history import moment
from benchmarks.processes import ROOT, BenchmarkFailed, run, tail, until
from benchmarks.router import Router
from tests.part_a.controller import Controller
from tests.part_a.wire import Router as Wire
from tests.part_a.world import Project

RESULTS = Path(__file__).with_name("polling.json")
SITES, BYTES, ROUNDS = 4, 1_000, 10
DAEMON_S, PART_A_S = 0.2, 5.0
PATIENCE_S = 180.0
BEGUN = "SELECT move.at FROM router_runtransition AS move JOIN router_run AS run ON run.id = move.run_id \
WHERE run.role = 'CO' AND move.target = 2 ORDER BY move.id"


def compared(waiting: float, daemon: float, part_a: float) -> list[dict[str, Any]]:
    """Seconds a round of each way, and how many times as long as waiting it takes."""
    ways = {"waiting": waiting, f"daemons, every {DAEMON_S} s": daemon, f"Part A, every {PART_A_S:.0f} s and {2 * PART_A_S:.0f} s": part_a}
    return [{"way": way, "seconds": round(seconds, 4), "times": round(seconds / waiting, 1)} for way, seconds in ways.items()]


def table(results: Sequence[dict[str, Any]]) -> Table:
    shown = Table(title=f"What asking plainly costs: {SITES} sites, 1 kB")
    for heading in ("how sites learn", "seconds a round", "times waiting"):
        shown.add_column(heading, justify="left" if heading.startswith("how") else "right")
    for one in results:
        shown.add_row(one["way"], f"{one['seconds']:.3f}", f"{one['times']:.1f}")
    return shown


def part_a_round(enrolled: Enrolled, folder: Path) -> float:
    """Seconds of the second round of a batch with sites that come at any time of each other's intervals. Raises BenchmarkFailed."""
    with enrolled.copy(folder, 0) as federation, ExitStack() as running:
        process = federation.router.serve(running)
        account = ("field", secrets.token_urlsafe(12))
        _superuser(federation.router, account)
        project = Project.create(Wire(url=federation.router.url, account=account), sites=SITES)
        runs = project.open()
        controllers = []
        for number, site in enumerate(project.sites):
            controller = Controller(router=project.router, uid=site["uid"], numbers=[float(number)], interval=PART_A_S)
            controllers.append(controller)
            controller.start()
            running.callback(controller.stop)
            time.sleep(PART_A_S / SITES)
        for controller, run_id in zip(reversed(controllers), reversed(runs), strict=True):
            controller.give_dataset(run_id)
        deadline = time.monotonic() + PATIENCE_S
        while len(begun := _begun(federation)) < 2:
            if process.poll() is not None or any(controller.failures for controller in controllers):
                raise BenchmarkFailed(f"The batch of Part A's controllers failed.\n{tail(federation.router.log)}")
            until(deadline, f"Part A's controllers had no second round within {PATIENCE_S:.0f} s.\n{tail(federation.router.log)}")
        for controller in controllers:
            controller._stop.set()
        return begun[1] - begun[0]


def _begun(federation: Federation) -> list[float]:
    return [moment(at) for (at,) in federation.rows(BEGUN)]


def _superuser(router: Router, account: tuple[str, str]) -> None:
    name, password = account
    command = [sys.executable, str(ROOT / "manage.py"), "createsuperuser", "--noinput", "--username", name, "--email", "field@example.org"]
    run(command, {**router.environment, "DJANGO_SUPERUSER_PASSWORD": password})
