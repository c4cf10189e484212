"""A small worker for the tests: speaks the line protocol, knows no statistics, and misbehaves when told to."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

SLEEPER = "import time\nwhile True: time.sleep(60)"


def answer(call: str, args: dict[str, Any]) -> dict[str, Any]:
    match call:
        case "echo":
            return {"ok": args}
        case "environment":
            return {"ok": dict(os.environ)}
        case "refuse":
            return {"error": {"kind": "SiteRefusal", "code": "c", "public": "p", "private": "row 3", "variable": "age", "site": None}}
        case "print":
            print("noise on stdout")
            return {"ok": {}}
        case "babble":
            os.write(int(os.environ["STARFISH_WORKER_FD"]), args["said"].encode())
            return {"ok": {}}
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise RuntimeError("a mistake in a task")
        case "hang":
            print(args["said"], flush=True)
            time.sleep(3600)
        case "spawn":
            return {"ok": {"pids": [spawn(new_session=new) for new in (False, True)]}}
        case "orphan":
            return {"ok": {"pids": [orphan()]}}
        case "leave a child with the pipe":
            spawn(new_session=True, fds=(int(os.environ["STARFISH_WORKER_FD"]),))
            os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(call)


def spawn(*, new_session: bool, fds: tuple[int, ...] = ()) -> int:
    return subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=new_session, pass_fds=fds).pid


def orphan() -> int:
    """A grandchild in a session of its own whose parent has gone: no child of the worker's any more."""
    quiet = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    script = f"import subprocess, sys\nprint(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True, {quiet}).pid)"
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)


if __name__ == "__main__":
    with os.fdopen(int(os.environ["STARFISH_WORKER_FD"]), "w") as answers:
        for line in sys.stdin:
            request = json.loads(line)
            answers.write(json.dumps({"id": request["id"], **answer(request["call"], request["args"])}) + "\n")
            answers.flush()
