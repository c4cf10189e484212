"""A worker's process: it shuts itself in, and only then imports what may call a task's code, and answers."""

import json
import os
import shutil
import sys
from pathlib import Path

from starfish.controller.worker import compiled
from starfish.controller.worker.environment import READS, temporary
from starfish.controller.worker.isolation import confine
from starfish.controller.worker.tracing import MARK


def main() -> None:
    work, reads = Path(os.environ[MARK]), tuple(map(Path, json.loads(os.environ[READS])))
    compiled.keep()
    sys.stderr.write(f"worker {os.getpid()} is {confine(work, reads)}\n")
    shutil.rmtree(temporary(work), ignore_errors=True)
    temporary(work).mkdir(exist_ok=True)
    from starfish.controller.worker.answers import serve

    # Not closed before the process ends: an error's traceback is in the log by then.
    serve(os.fdopen(int(os.environ["STARFISH_WORKER_FD"]), "w", encoding="utf-8"))


if __name__ == "__main__":
    main()
