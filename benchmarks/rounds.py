"""Seconds a round, memory and CPU: sites 2, 4 and 16 with arrays of 1 kB, 10 MB and 100 MB, every part a process of its own."""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import page, polling, profile
from benchmarks.federation import Enrolled
from benchmarks.history import UNCOUNTED, WARM_UP, Rounds, rounds_of
from benchmarks.meter import Meter, Part
from benchmarks.page import size
from benchmarks.processes import BenchmarkFailed, end_on_sigterm, load, scratch
from benchmarks.router import free_port
from starfish.controller.errors import SiteError
from starfish.sdk import Problem, RouterUnreachable

RESULTS = Path(__file__).with_name("results.json")
SITES = (2, 4, 16)
BYTES = (1_000, 10_000_000, 100_000_000)
SEALED_SITES = 4
COORDINATOR = "site-0"
console = Console(highlight=False, width=120)
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is measured: so many rounds, after those that are not counted."""

    sites: int
    bytes: int
    rounds: int
    sealed: bool = False

    @property
    def disk(self) -> int:
        """Bytes that its files may take: every site keeps its updates and models, the coordinator and the Routing Server all of them."""
        return (6 if self.sealed else 4) * self.sites * self.bytes * (self.rounds + UNCOUNTED)

    @property
    def patience(self) -> float:
        return 120 + (self.rounds + UNCOUNTED) * (5 + self.sites * self.bytes / 20e6)

    def __str__(self) -> str:
        return f"{self.sites} sites, {size(self.bytes)}, {self.rounds} rounds{', sealed' if self.sealed else ''}"


def main() -> None:
    chosen = _arguments()
    cells = _cells(chosen.sites, chosen.bytes, chosen.rounds, quick=chosen.quick, sealed=chosen.sealed)
    end_on_sigterm()
    began = time.monotonic()
    try:
        results, ways = _measured(cells, chosen.profile, asking=chosen.polling, compare=chosen.compare)
    except (BenchmarkFailed, SiteError, Problem, RouterUnreachable) as error:
        console.print(f"\nThe benchmark failed. {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nInterrupted; everything that was started has been ended.")
        sys.exit(130)
    console.print(_table(results))
    if ways:
        console.print(polling.table(ways))
    console.print(f"{time.monotonic() - began:.0f} s in all, load {load():.1f} at the end, {os.cpu_count()} cores.")
    if chosen.results:
        chosen.results.write_text(json.dumps(results, indent=1) + "\n")
        if ways:
            chosen.results.with_name(polling.RESULTS.name).write_text(json.dumps(ways, indent=1) + "\n")
        console.print(f"Written to {chosen.results}")
        if chosen.results == RESULTS:
            page.write()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rounds", description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", help="how many sites (default: 2 4 16)")
    parser.add_argument("--bytes", type=int, nargs="+", help="size of the array (default: 1000 10000000 100000000)")
    parser.add_argument("--rounds", type=int, help="how many rounds are counted (default: by the size)")
    parser.add_argument("--sealed", action="store_true", help="each cell sealed, too; the whole does so for 4 sites anyway")
    parser.add_argument("--polling", action="store_true", help=f"daemons that ask every {polling.DAEMON_S} s instead of waiting")
    parser.add_argument("--compare", action="store_true", help="also what asking plainly costs, which the whole does anyway")
    parser.add_argument("--quick", action="store_true", help="2 and 4 sites, 1 kB and 10 MB: a minute")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="say where the time goes; the stacks are written to DIR")
    parser.add_argument("--results", type=Path, metavar="FILE", help=f"where to write the figures (default, for the whole: {RESULTS.name})")
    chosen = parser.parse_args()
    for name in ("sites", "bytes", "rounds"):
        values = getattr(chosen, name)
        least = {"sites": 2, "bytes": 8, "rounds": 1}[name]
        if values is not None and min(values if isinstance(values, list) else [values]) < least:
            parser.error(f"--{name} must be at least {least}")
    if chosen.bytes and any(count % 8 for count in chosen.bytes):
        parser.error("--bytes must be a multiple of 8: an array of doubles")
    whole = not (chosen.sites or chosen.bytes or chosen.rounds or chosen.quick or chosen.profile or chosen.polling)
    if whole:
        chosen.results, chosen.compare = chosen.results or RESULTS, True
    return chosen


def _cells(sites: list[int] | None, sizes: list[int] | None, rounds: int | None, *, quick: bool, sealed: bool) -> list[Cell]:
    """A sealed cell right after its open one, so that a busy machine is busy with both."""
    whole = not (sites or quick)
    sites = sites or [*SITES[: 2 if quick else None]]
    sizes = sizes or [*BYTES[: 2 if quick else None]]
    return [
        Cell(sites=number, bytes=count, rounds=rounds or _rounds(number, count, quick=quick), sealed=way)
        for number in sites
        for count in sizes
        for way in ((False, True) if sealed or (whole and number == SEALED_SITES) else (False,))
    ]


def _rounds(sites: int, count: int, *, quick: bool) -> int:
    """Many of the short ones: all cells take their time, the whole ten minutes."""
    if count <= 1_000_000:
        return 20 if quick else 60
    if count <= 10_000_000:
        return 5 if quick else 15 if sites <= 4 else 10
    return 5 if sites <= 4 else 3


def _measured(cells: list[Cell], samples: Path | None, *, asking: bool, compare: bool) -> tuple[list[Result], list[Result]]:
    """The cells; and what asking plainly costs. Raises BenchmarkFailed."""
    with scratch() as folder:
        _room(folder, cells)
        least = polling.SITES if compare else 0
        enrolled = Enrolled(folder=folder / "enrolled", port=free_port(), sites=max(least, *(cell.sites for cell in cells)))
        with _telling(f"Enrolling {enrolled.sites} sites"):
            enrolled.make()

        def measured(cell: Cell, *, asking: bool) -> Result:
            with _telling(f"{cell}{f', asked every {polling.DAEMON_S} s' if asking else ''}"):
                return _measure(cell, enrolled, folder / "cell", {"STARFISH_POLL_S": str(polling.DAEMON_S) if asking else ""}, samples)

        results = [measured(cell, asking=asking) for cell in cells]
        if not compare:
            return results, []
        cell = Cell(sites=polling.SITES, bytes=polling.BYTES, rounds=polling.ROUNDS)
        waiting = next((one for one in results if (one["sites"], one["bytes"], one["sealed"]) == (cell.sites, cell.bytes, False)), None)
        waiting = waiting or measured(cell, asking=False)
        daemon = measured(cell, asking=True)
        with _telling(f"A round of Part A's controllers, every {polling.PART_A_S:.0f} s"):
            part_a = polling.part_a_round(enrolled, folder / "cell")
        return results, polling.compared(waiting["seconds_median"], daemon["seconds_median"], part_a)


def _measure(cell: Cell, enrolled: Enrolled, folder: Path, environment: Mapping[str, str], samples: Path | None) -> Result:
    with enrolled.copy(folder, cell.sites) as federation, ExitStack() as running:
        processes = federation.start(running, environment, samples)
        federation.open_project(cell.bytes, cell.rounds + UNCOUNTED, sealed=cell.sealed)
        meter = Meter({name: process.pid for name, process in processes.items()})
        running.callback(meter.stop)
        federation.run_batch(processes, cell.patience)
        meter.stop()
        rounds = rounds_of(federation)
        if samples:
            running.close()
            profile.show(console, {name: process.pid for name, process in processes.items()}, samples, rounds)
        return _result(cell, rounds, meter.parts)


def _result(cell: Cell, rounds: Rounds, parts: Mapping[str, Part]) -> Result:
    sites = {name: part for name, part in parts.items() if name not in ("router", COORDINATOR)}
    largest = max(sites.values(), key=lambda part: part.peak_mb)
    count = len(rounds.seconds)
    shown = {"router": [parts["router"]], "coordinator": [parts[COORDINATOR]], "participants": [*sites.values()]}
    return {
        "sites": cell.sites,
        "bytes": cell.bytes,
        "sealed": cell.sealed,
        "rounds": count,
        "warm_up": WARM_UP,
        "seconds_median": round(statistics.median(rounds.seconds), 4),
        "seconds_min": round(min(rounds.seconds), 4),
        "seconds_max": round(max(rounds.seconds), 4),
        "rss_mb": {role: round(part.peak_mb, 1) for role, part in _roles(parts, largest).items()},
        "private_mb": {role: round(part.private_mb, 1) for role, part in _roles(parts, largest).items()},
        "cpu_seconds": {
            role: round(sum(part.cpu_between(rounds.began, rounds.ended) for part in chosen) / count, 4) for role, chosen in shown.items()
        },
        "phases": rounds.phases,
        "load": round(load(), 2),
    }


def _roles(parts: Mapping[str, Part], largest: Part) -> dict[str, Part]:
    return {"router": parts["router"], "coordinator": parts[COORDINATOR], "participant": largest}


def _room(folder: Path, cells: list[Cell]) -> None:
    """Raises BenchmarkFailed."""
    wanted, free = max(cell.disk for cell in cells), shutil.disk_usage(folder).free
    if free < wanted:
        raise BenchmarkFailed(f"The largest measurement may fill {size(wanted)} of the disk at {folder.parent}, and {size(free)} are free.")


@contextmanager
def _telling(what: str) -> Iterator[None]:
    began = time.monotonic()
    console.print(f"{what} ... ", end="", markup=False)
    yield
    console.print(f"{time.monotonic() - began:.0f} s")


def _table(results: list[Result]) -> Table:
    table = Table(title="An empty round: seconds, peak memory in MB, CPU seconds a round")
    headings = ("sites", "array", "sealed", "rounds", "median", "min", "max", "router", "coord.", "part.", "CPU router", "coord.", "parts.")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in results:
        seconds = [f"{one[f'seconds_{which}']:.3f}" for which in ("median", "min", "max")]
        memory = [f"{megabytes:.0f}" for megabytes in one["rss_mb"].values()]
        cpu = [f"{seconds:.3f}" for seconds in one["cpu_seconds"].values()]
        table.add_row(str(one["sites"]), size(one["bytes"]), "yes" if one["sealed"] else "", str(one["rounds"]), *seconds, *memory, *cpu)
    return table


if __name__ == "__main__":
    main()
