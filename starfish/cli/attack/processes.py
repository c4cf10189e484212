"""Starfish's own commands as processes, which end with this one, whatever ends it."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_S, LOOK_S = 10, 0.05
COMMAND = """
import os, signal, sys, threading
def end():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
from starfish.cli.main import main
main()
"""
"""Its standard input ends when the process that has started it does."""


def starfish(arguments: Sequence[str], output: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """`starfish ...`; what it prints is in `output`."""
    with output.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            env={**os.environ, **settings},
            cwd=output.parent,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )


def django(arguments: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
    """A management command of the router's. Raises RuntimeError with what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        env={**os.environ, **settings, "DJANGO_SETTINGS_MODULE": "starfish.router.settings"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stdout}{done.stderr}")


def stop(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """All at once; whoever does not go is killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
