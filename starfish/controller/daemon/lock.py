"""One daemon a home: a lock that goes with the process, and daemon.json for people."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from starfish.controller.config import Home
from starfish.controller.errors import NotNow
from starfish.controller.files import write_json


@contextmanager
def only_daemon(home: Home) -> Iterator[None]:
    """Raises NotNow where another process has this home."""
    descriptor = os.open(home.daemon_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            raise NotNow(f"This site is up already, as process {home.daemon_pid()}.")
        write_json(home.daemon_file, {"pid": os.getpid(), "started": psutil.Process().create_time()})
        yield
        home.daemon_file.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Tried more than once: a command that asks whether the site is up holds the lock for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
