"""A large file up and down: `python -m benchmarks.large [--megabytes 2048]`. How fast, at what cost, and how much the memory grows.

One Routing Server, one site; the client's part of the processor and memory is this process's.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.processes import cpu_seconds, resident_mb, run, scratch
from benchmarks.router import Router, free_port
from starfish.sdk import Client

PIECE = 1 << 20
ALLOWED_MB = 32.0
"""By which the Routing Server's memory may grow."""


def main() -> int:
    """0 where the memory stayed in its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    megabytes = parser.parse_args().megabytes
    with scratch() as folder, ExitStack() as running:
        router = Router(folder=folder / "router", port=free_port())
        router.make()
        seeded = json.loads(run([sys.executable, "-m", "benchmarks.seed", "2", "1"], router.environment))
        process = router.serve(running)
        project, coordinator, _ = seeded["projects"][0]
        site = seeded["sites"][coordinator]
        client = Client(router.url, token=site["token"])
        running.callback(client.close)
        run_id = _own_run(client, project, site["uid"])
        file, sha256 = _random_file(folder / "file", megabytes)
        warm, warm_sha256 = _random_file(folder / "warm", 16)
        client.put_artifact(run_id, 1, 1, "logs", "warm", warm, sha256=warm_sha256)
        client.get_artifact(run_id, 1, 1, "logs", "warm", folder / "received")
        before, own = resident_mb(process.pid), resident_mb(os.getpid())
        print(f"{megabytes} MB, seconds; processor in seconds for 100 MB\n{'':8}{'wall':>11} {'MB/s':>7} {'router':>14} {'client':>14}")
        _measured("up", process.pid, megabytes, lambda: client.put_artifact(run_id, 1, 1, "logs", "large", file, sha256=sha256))
        _measured("down", process.pid, megabytes, lambda: client.get_artifact(run_id, 1, 1, "logs", "large", folder / "received"))
        peak, own_peak = resident_mb(process.pid, "VmHWM"), resident_mb(os.getpid(), "VmHWM")
        print(f"router: {before:.0f} MB before, {peak:.0f} MB at most; client: {own:.0f} MB before, {own_peak:.0f} MB at most")
        return 0 if peak - before < ALLOWED_MB else 1


def _own_run(client: Client, project: int, uid: str) -> int:
    """The coordinator's, in a new batch."""
    client.start_batch(project)
    listing = client.active_runs(uid)
    assert listing is not None
    return next(run.id for run in listing.runs if run.role == "coordinator")


def _random_file(path: Path, megabytes: int) -> tuple[Path, str]:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(megabytes):
            piece = os.urandom(PIECE)
            digest.update(piece)
            file.write(piece)
    return path, digest.hexdigest()


def _measured(what: str, pid: int, megabytes: int, transfer: Callable[[], object]) -> None:
    began, router, client = time.perf_counter(), cpu_seconds(pid), time.process_time()
    transfer()
    wall = time.perf_counter() - began
    hundreds = megabytes / 100
    router, client = (cpu_seconds(pid) - router) / hundreds, (time.process_time() - client) / hundreds
    print(f"{what:8}{wall:9.2f} s {megabytes / wall:7.0f} {router:14.2f} {client:14.2f}")


if __name__ == "__main__":
    sys.exit(main())
