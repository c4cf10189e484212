"""What has been read from a file and is kept between rounds, for as long as the file is the same."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
MOST = 64
"""A worker needs one of each; a simulation one a site."""


class Kept(Generic[Value]):
    """`read(path)`, once for each file. A file that was replaced, or another in a folder of the same name, is read again."""

    def __init__(self, read: Callable[[Path], Value]) -> None:
        self._read = read
        self._values: dict[Path, tuple[tuple[int, ...], Value]] = {}

    def get(self, path: Path) -> Value:
        found = os.stat(path)
        mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        kept = self._values.get(path)
        if kept is not None and kept[0] == mark:
            return kept[1]
        value = self._read(path)
        while len(self._values) >= MOST:
            del self._values[next(iter(self._values))]
        self._values[path] = mark, value
        return value

    def clear(self) -> None:
        self._values.clear()
