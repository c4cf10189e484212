"""The worker's side of the line protocol: a request a line on stdin, an answer a line on a pipe of its own.

What tasks print goes to stdout and stderr, never into the protocol. An error that a person can mend becomes an answer; any
other ends this process with its traceback in the worker's log, and the daemon starts another.
"""

import json
import sys
from typing import Any, TextIO

from starfish.controller.data import DataError
from starfish.controller.worker.steps import STEPS
from starfish.tasks.errors import TaskError


def serve(answers: TextIO) -> None:
    """Until stdin ends."""
    for line in sys.stdin:
        _answer(json.loads(line), answers)


def _answer(request: dict[str, Any], answers: TextIO) -> None:
    try:
        answer = {"id": request["id"], "ok": STEPS[request["call"]](**request["args"])}
    except (TaskError, DataError) as error:
        answer = {"id": request["id"], "error": _described(error)}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _described(error: TaskError | DataError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "code": getattr(error, "code", "data"),
        "public": error.public,
        "private": error.private,
        "variable": getattr(error, "variable", None),
        "site": getattr(error, "site", None),
    }
