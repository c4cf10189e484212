"""Where the bytes are: files under ARTIFACTS_DIR with keys of the router's own making; nothing that a client names is a path here."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

CHUNK = 256 * 1024
NO_WAIT: int = getattr(os, "RWF_NOWAIT", 0)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Bytes that are on the disk, durably."""

    key: str
    size: int
    sha256: str


class Busy(Exception):
    """Somebody else writes to this file."""


class Growing:
    """A file that grows by what arrives, under a lock (`flock`) that ends with this object, its process or the machine.

    `write` takes as long as a copy in memory; what may wait for the disk says so, and may run in any thread.
    """

    def __init__(self, key: str) -> None:
        """Goes on where the file ends; makes it where there is none. Raises Busy."""
        self.key, path = key, _path(key)
        _make_folder(path.parent)
        self._folder = path.parent
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Busy from error
        self.size = os.fstat(self._file.fileno()).st_size
        self._digest = None if self.size else hashlib.sha256()
        self.unsynced = 0

    def write(self, data: bytes) -> None:
        """To the system's memory; `sync_data` and `sync` wait for the disk."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        if self._digest:
            self._digest.update(data)
        self.size += len(data)
        self.unsynced += len(data)

    def sync_data(self) -> None:
        """Returns when what was written is on the disk."""
        os.fsync(self._file.fileno())
        self.unsynced = 0

    def sync(self) -> None:
        """Returns when the file is on the disk, durably."""
        self.sync_data()
        _sync_folder(self._folder)

    def stored(self) -> Stored:
        """After `sync`, what it is now. A file that was begun earlier is read for that."""
        if self._digest is None:
            with _path(self.key).open("rb") as file:
                self._digest = hashlib.file_digest(file, "sha256")
        return Stored(key=self.key, size=self.size, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """What was written stays, as far as the disk takes it."""
        with suppress(OSError):
            self._file.close()


def save(chunks: Iterable[bytes]) -> Stored:
    """Write under a new key; file and folder are synced before this returns. Nothing stays behind a failure."""
    key = new_key()
    path = _path(key)
    _make_folder(path.parent)
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return Stored(key=key, size=size, sha256=digest.hexdigest())


def open_file(key: str) -> BinaryIO:
    """Raises FileNotFoundError where the file was replaced meanwhile."""
    return _path(key).open("rb")


def read(key: str) -> bytes:
    """All of a file that is known to be small. Raises FileNotFoundError where it was replaced meanwhile."""
    return _path(key).read_bytes()


def read_at_once(file: BinaryIO, size: int) -> bytes:
    """The next bytes, if the system has them in its memory; empty where the disk would have to be waited for, and at the end."""
    buffer = bytearray(size)
    try:
        got = os.preadv(file.fileno(), [buffer], file.tell(), NO_WAIT)
    except OSError:
        return b""
    file.seek(got, os.SEEK_CUR)
    return bytes(memoryview(buffer)[:got])


def not_read_again(keys: Iterable[str]) -> None:
    """Soon, at least: the system may use their memory for what will be."""
    for key in keys:
        with suppress(OSError), open_file(key) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def safe_size(key: str) -> int:
    """How much of a growing file is on the disk, durably; 0 where there is none."""
    with suppress(FileNotFoundError), open_file(key) as file:
        size = os.fstat(file.fileno()).st_size
        os.fsync(file.fileno())
        return size
    return 0


def new_key() -> str:
    """One that nothing is stored under."""
    token = secrets.token_hex(16)
    return f"{token[:2]}/{token[2:]}"


def keys_before(time: float) -> Iterator[str]:
    """Of all files that were last written to before then, in seconds since the epoch; foreign files are none of ours."""
    for folder in Path(settings.ARTIFACTS_DIR).glob("[0-9a-f][0-9a-f]"):
        for path in folder.glob("[0-9a-f]" * 30):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time:
                    yield f"{folder.name}/{path.name}"


def delete(keys: Iterable[str]) -> None:
    """Gone already is as good."""
    for key in keys:
        _path(key).unlink(missing_ok=True)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of the file, closed afterwards."""
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def writable() -> bool:
    """Whether a file can be made and removed now."""
    try:
        delete([save([b""]).key])
    except OSError:
        return False
    return True


def _path(key: str) -> Path:
    return Path(settings.ARTIFACTS_DIR) / key


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
