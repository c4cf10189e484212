"""What a worker is started with: nothing of the daemon's own, no token, no home, no key."""

import os
import sys
from pathlib import Path

from starfish.controller.worker.tracing import MARK, mark_of

PYTHON = (sys.executable, "-P", "-m")
"""-P: no module is imported from the folder that it is started in, for a task may have written one there."""
INHERITED = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
READS = "STARFISH_WORKER_READS"
"""The files outside its folder that a worker may read, as JSON."""


def environment(work: Path) -> dict[str, str]:
    """For a worker in `work`. What a task prints is in the log even if it is killed."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | ONE_THREAD | {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary(work)), MARK: mark_of(work)}


def temporary(work: Path) -> Path:
    """A worker's own folder for temporary files."""
    return work / "tmp"
