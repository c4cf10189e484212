"""Python's compiled modules. A worker that is shut in can't keep what it compiles, and would compile it all again at each start.

So before it shuts itself in, it lets another process import Starfish's own tasks, and no others, where something is not compiled: that
takes seconds, once for each installation.
"""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import starfish
from starfish.controller.worker.environment import PYTHON

TASKS = Path(starfish.__file__).parent / "tasks"
LONGEST_S = 120
HEADER = 16
"""Bytes of a compiled module before its code: magic, flags, the source's time, its size."""


def keep() -> None:
    """See to it that what workers import is compiled, where this user may write it."""
    if not all(map(_is_compiled, _sources())) and os.access(TASKS, os.W_OK):
        with suppress(subprocess.TimeoutExpired):
            subprocess.run([*PYTHON, __name__], stdin=subprocess.DEVNULL, timeout=LONGEST_S, check=False)


def _sources() -> Iterator[str]:
    for folder, _, files in os.walk(TASKS):
        yield from (os.path.join(folder, name) for name in files if name.endswith(".py"))


def _is_compiled(source: str) -> bool:
    """Whether Python would take what is kept of it."""
    try:
        with open(importlib.util.cache_from_source(source), "rb", buffering=0) as file:
            header = file.read(HEADER)
    except OSError:
        return False
    time = int(os.stat(source).st_mtime) & 0xFFFF_FFFF
    return header[:4] == importlib.util.MAGIC_NUMBER and (any(header[4:8]) or int.from_bytes(header[8:12], "little") == time)


def _load() -> None:
    import compileall
    import importlib.metadata

    importlib.import_module("starfish.controller.worker.answers")
    for entry in importlib.metadata.entry_points(group="starfish.tasks"):
        if entry.dist is not None and entry.dist.name == "starfish":
            entry.load()
    compileall.compile_dir(TASKS, quiet=2)


if __name__ == "__main__":
    _load()
