"""Where the time of a round went: its phases, and what the Routing Server's and the daemons' threads were doing."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.history import Rounds

MOST = 25
FRAMES = ("futures/thread", "python3", "bin/", "typer/", "_click/", "cli/", "asyncio/", "uvicorn/main", "uvicorn/server", "uvicorn/_compat")
"""What everything is below."""


def show(console: Console, pids: Mapping[str, int], samples: Path, rounds: Rounds) -> None:
    """The Routing Server, the coordinator and one participant."""
    console.print()
    for phase, seconds in rounds.phases.items():
        console.print(f"  {1000 * seconds:8.1f} ms  {phase}")
    for name in [name for name in pids if name in ("router", "site-0", "site-1")]:
        file = samples / f"{pids[name]}.stacks"
        if file.exists():
            console.print(table(name, file))


def table(name: str, file: Path) -> Table:
    """The functions in which, or below which, most samples were taken."""
    below: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    total = 0
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *places = stack.split(";")
        if "importlib" in stack:  # it was still starting
            continue
        functions = [place.rpartition(":")[0] for place in places]
        total += int(count)
        itself[functions[-1]] += int(count)
        for function in {f"{thread}: {function}" for function in functions if not function.startswith(FRAMES)}:
            below[function] += int(count)
    shown = Table(title=f"{name}: {total} samples of threads that did not wait")
    for heading in ("in or below", "function", "itself"):
        shown.add_column(heading, justify="left" if heading == "function" else "right")
    for function, samples in below.most_common(MOST):
        own = itself[function.partition(": ")[2]]
        shown.add_row(f"{samples / total:.1%}", function, f"{own / total:.1%}")
    return shown
