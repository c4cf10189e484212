"""By what a worker and all that it starts are found again, whatever session they move to."""

import hashlib
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

MARK = "STARFISH_WORKER"
"""In the environment; whoever starts a program may leave it out."""


def mark_of(work: Path) -> str:
    """The mark of a batch's worker: its folder."""
    return str(work.resolve())


def limit_of(mark: str) -> int:
    """A mark that is not shed: a limit (RLIMIT_RTTIME, in µs, above 70,000 years) that children inherit and nobody can change."""
    return 1 << 61 | int.from_bytes(hashlib.sha256(mark.encode()).digest()[:7])


def bear(mark: str) -> None:
    """Let this process and all that it starts carry the limit, where the system has it."""
    if sys.platform == "linux":
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_RTTIME, (limit_of(mark),) * 2)


def limit_borne(pid: int) -> int | None:
    """The limit of a process, where it may be seen."""
    if sys.platform == "linux":
        with suppress(OSError):
            return resource.prlimit(pid, resource.RLIMIT_RTTIME)[1]
    return None


def limits_below(folder: Path) -> set[int]:
    """The limits of all batches below `folder`."""
    return {limit_of(mark_of(Path(entry.path))) for entry in os.scandir(folder)} if folder.is_dir() else set()
