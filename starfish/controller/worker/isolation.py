"""How far a worker is shut in, and the shutting in itself: its own folder, what Python is made of, and nothing else.

The worker does it to itself before any task's code is loaded; whatever it starts inherits it. docs/explanation/isolation.md
says what that holds back and what it does not.
"""

import json
import os
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starfish.controller.worker import isolation_landlock as landlock
from starfish.controller.worker.environment import PYTHON, environment
from starfish.controller.worker.isolation_paths import rules
from starfish.controller.worker.isolation_seccomp import filter_calls
from starfish.controller.worker.isolation_system import Unavailable, no_new_privileges
from starfish.controller.worker.tracing import bear, mark_of

PROBE_S = 60


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """`filesystem`: no file but those of its batch; `network`: nobody is reached; `reasons`: what is missing, a sentence each."""

    filesystem: bool
    network: bool
    reasons: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return self.filesystem and self.network

    def __str__(self) -> str:
        word = "isolated" if self.complete else "not isolated"
        return f"{word}: {' '.join(self.reasons)}" if self.reasons else word


def confine(work: Path, reads: tuple[Path, ...] = ()) -> Isolation:
    """Shut this process in, for good. What the system lacks is said; the rest holds. To be called before there are threads."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no memory is left in a file
    bear(mark_of(work))
    files, network = _confine_files(work.resolve(), reads), _confine_calls()
    return Isolation(filesystem=files.filesystem, network=network.network, reasons=files.reasons + network.reasons)


@cache
def level(folder: Path | None = None) -> Isolation:
    """How a worker would be shut in whose folder lies below `folder`: tried in a process of its own, which ends at once.

    Raises OSError where it can't be tried.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".isolation-") as tried:
        work = Path(tried, "work")
        work.mkdir()
        Path(tried, "outside").write_text("not for tasks")
        command = [*PYTHON, "starfish.controller.worker.isolation_probe", str(work)]
        try:
            done = subprocess.run(command, env=environment(work), cwd=work, capture_output=True, text=True, timeout=PROBE_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"A worker that was tried did not answer within {PROBE_S} s. Try again when less is going on.") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return _only(f"A worker that was tried ended with status {done.returncode} ({said}).")
    found = json.loads(done.stdout)
    return Isolation(filesystem=found["filesystem"], network=found["network"], reasons=tuple(found["reasons"]))


def _confine_files(work: Path, reads: tuple[Path, ...]) -> Isolation:
    allowed, left_out = rules(work, reads)
    try:
        no_new_privileges()
        found = landlock.restrict(allowed)
    except Unavailable as error:
        return _only(f"Tasks can read what the daemon's user can read: {error}.")
    missing = [f"The site's home lies inside {path}, from which Python imports: move it elsewhere." for path in left_out]
    if found < landlock.WITH_TRUNCATE:
        missing.append(f"Landlock {found} does not guard the lengths of files that tasks may read (Linux 6.2 does).")
    if found < landlock.WITH_SCOPES:
        missing.append(f"Landlock {found} lets tasks send signals to processes of the daemon's user (Linux 6.12 does not).")
    return Isolation(filesystem=not left_out, network=False, reasons=tuple(missing))


def _confine_calls() -> Isolation:
    try:
        no_new_privileges()
        filter_calls()
    except Unavailable as error:
        return _only(f"Tasks can use the network: {error}.")
    return Isolation(filesystem=False, network=True)


def _only(reason: str) -> Isolation:
    return Isolation(filesystem=False, network=False, reasons=(reason,))
