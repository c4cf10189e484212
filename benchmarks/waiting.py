"""What waiting sites cost the Routing Server: memory, CPU, and the time from a change to the wake-up.

One process holds all the sites' connections. Batches of projects of two sites are opened while everybody waits: exactly
the two sites must be answered, the others not.
"""

import argparse
import asyncio
import json
import math
import resource
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import page
from benchmarks.crowd import WAIT_S, Connection, Crowd, UnexpectedAnswer
from benchmarks.processes import BenchmarkFailed, cpu_seconds, end_on_sigterm, load, resident_mb, run, scratch, tail
from benchmarks.router import Router, free_port

RESULTS = Path(__file__).with_name("waiting.json")
WAITERS = [1_000, 10_000]
SPARE_FILES = 200
WARM_UP = 20
WOKEN_S, QUIET_S = 30.0, 0.3
console = Console(highlight=False, width=120)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One crowd. Milliseconds from the request that changes something, and from its answer, to the woken site's answer."""

    waiters: int
    seconds: float
    rss_mb_without: float
    rss_mb_with: float
    kb_a_waiter: float
    cpu_share: float
    answers_a_second: float
    wakes: int
    wake_ms_median: float
    wake_ms_max: float
    after_answer_ms_median: float
    after_answer_ms_max: float
    woken_wrongly: int
    load: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--waiters", type=int, nargs="+", default=WAITERS, help="how many sites wait (default: 1000 10000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long CPU is counted")
    parser.add_argument("--wakes", type=int, default=40, help="how many batches are opened")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="write where the Routing Server's time goes to DIR")
    chosen = parser.parse_args()
    end_on_sigterm()
    measured: list[Measured] = []
    try:
        _allow_files(max(chosen.waiters))
        for count in chosen.waiters:
            measured.append(_crowd(count, chosen.seconds, chosen.wakes, chosen.profile))
    except BenchmarkFailed as error:
        if measured:
            console.print(_table(measured))
        console.print(f"\nThe benchmark failed. {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started has been ended.")
        sys.exit(130)
    console.print(_table(measured))
    if chosen.profile is None and chosen.waiters == WAITERS:
        RESULTS.write_text(json.dumps([asdict(one) for one in measured], indent=1) + "\n")
        page.write()
        console.print(f"Written to {RESULTS}")


def _allow_files(waiters: int) -> None:
    """A connection is a file on either side. Raises BenchmarkFailed."""
    wanted = waiters + SPARE_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    if allowed < wanted:
        raise BenchmarkFailed(f"{waiters} waiting sites need {wanted} open files, and this account may have {hard} (ulimit -Hn).")


def _crowd(count: int, seconds: float, wakes: int, samples: Path | None) -> Measured:
    with scratch() as folder, ExitStack() as running:
        router = Router(folder=folder / "router", port=free_port())
        router.make()
        seeded = json.loads(run([sys.executable, "-m", "benchmarks.seed", str(count), str(wakes)], router.environment))
        process = router.serve(running, samples)
        crowd = Crowd(router.port, seeded["sites"])
        try:
            return asyncio.run(_measure(crowd, process.pid, seeded["projects"], seconds))
        except (UnexpectedAnswer, OSError, EOFError) as error:
            reason = str(error) or type(error).__name__
            ended = "" if process.poll() is None else f" The Routing Server ended with {process.returncode}."
            raise BenchmarkFailed(f"With {count} waiting sites: {reason}.{ended}\n{tail(router.log)}") from error


async def _measure(crowd: Crowd, router: int, projects: list[tuple[int, int, int]], seconds: float) -> Measured:
    count = len(crowd.waiters)
    console.print(f"{count} sites: ", end="")
    await _warm_up(crowd)
    before = resident_mb(router)
    try:
        # Spread over the length of a wait where that is slow enough: as sites that came at any time would ask again.
        await crowd.gather(each_second=min(400.0, count / WAIT_S))
        console.print(f"all wait; CPU over {seconds:.0f} s ... ", end="")
        began, cpu, answered = time.monotonic(), cpu_seconds(router), crowd.answered_again()
        while time.monotonic() - began < seconds:
            await asyncio.sleep(1.0)
            crowd.check()
        lasted = time.monotonic() - began
        share, answers = (cpu_seconds(router) - cpu) / lasted, (crowd.answered_again() - answered) / lasted
        after = resident_mb(router)
        console.print("wake-ups ... ", end="")
        times, wrongly = await _wake(crowd, projects)
        crowd.check()
    finally:
        await crowd.leave()
    console.print("done.")
    from_request, from_answer = [[1000 * pair[side] for pair in times] for side in (0, 1)]
    return Measured(
        waiters=count,
        seconds=round(lasted, 1),
        rss_mb_without=round(before, 1),
        rss_mb_with=round(after, 1),
        kb_a_waiter=round(1024 * (after - before) / count, 1),
        cpu_share=round(share, 4),
        answers_a_second=round(answers, 1),
        wakes=len(times),
        wake_ms_median=round(statistics.median(from_request), 1),
        wake_ms_max=round(max(from_request), 1),
        after_answer_ms_median=round(statistics.median(from_answer), 1),
        after_answer_ms_max=round(max(from_answer), 1),
        woken_wrongly=wrongly,
        load=round(load(), 2),
    )


async def _warm_up(crowd: Crowd) -> None:
    """The code is loaded and the connection to the database is made, before memory is looked at."""
    for waiter in crowd.waiters[:WARM_UP]:
        connection = Connection(crowd.port, waiter.connection._token)
        await connection.ask("GET", f"runs/active/?site_uid={waiter.uid}")
        await connection.ask("GET", "runs/")
        connection.close()


async def _wake(crowd: Crowd, projects: list[tuple[int, int, int]]) -> tuple[list[tuple[float, float]], int]:
    """Seconds for each woken site, from the request and from its answer; and how many others were answered."""
    times: list[tuple[float, float]] = []
    wrongly = 0
    for project, *pair in projects:
        heard = [len(waiter.news) for waiter in crowd.waiters]
        asked, answered = await crowd.open_batch(project, pair[0])
        deadline = asked + WOKEN_S
        while any(len(crowd.waiters[site].news) == heard[site] for site in pair):
            crowd.check()
            if time.monotonic() > deadline:
                raise UnexpectedAnswer(f"a site of project {project} was not woken within {WOKEN_S:.0f} s")
            await asyncio.sleep(0.002)
        await asyncio.sleep(QUIET_S)
        for site in pair:
            (news,) = crowd.waiters[site].news[heard[site] :]
            times.append((news.at - asked, max(0.0, news.at - answered)))
        wrongly += sum(len(waiter.news) - before for waiter, before in zip(crowd.waiters, heard, strict=True)) - len(pair)
    if wrongly:
        raise UnexpectedAnswer(f"{wrongly} sites were woken that had nothing to do with what changed")
    return times, wrongly


def _table(measured: list[Measured]) -> Table:
    table = Table(title="Waiting sites, one Routing Server, SQLite")
    headings = ("sites", "MB more", "KB a site", "of a core", "answers/s", "wake ms median", "max", "after the answer", "max", "load")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in measured:
        grown = math.ceil(10 * (one.rss_mb_with - one.rss_mb_without)) / 10
        figures = (grown, one.kb_a_waiter, f"{one.cpu_share:.1%}", one.answers_a_second, one.wake_ms_median, one.wake_ms_max)
        table.add_row(str(one.waiters), *map(str, figures), str(one.after_answer_ms_median), str(one.after_answer_ms_max), str(one.load))
    return table


if __name__ == "__main__":
    main()
