"""Files that must survive a power cut and that only their owner may read."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from starfish.controller.errors import HomeError


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a file's bytes came to."""

    size: int
    sha256: str


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` in one step: readers see the old bytes or the new ones, and the new ones are on the disk on return."""
    with _replacing(path, mode) as descriptor:
        _write_all(descriptor, data)


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview], *, mode: int = 0o600) -> Written:
    """As `write_durably`; the digest is taken on the way, so that the bytes are looked at once."""
    size, digest = 0, hashlib.sha256()
    with _replacing(path, mode) as descriptor:
        for piece in pieces:
            digest.update(piece)
            _write_all(descriptor, piece)
            size += len(piece)
    return Written(size=size, sha256=digest.hexdigest())


def write_json(path: Path, value: Any) -> None:
    """As `write_durably`, for people to read."""
    write_durably(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the home. Raises HomeError."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise HomeError(f"{path} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise HomeError(f"{path} is damaged ({error}). Restore it from a backup.") from error
    if not isinstance(value, dict):
        raise HomeError(f"{path} is damaged: it holds no JSON object. Restore it from a backup.")
    return value


def sha256_of(path: Path) -> str:
    """In hexadecimal; in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_read_again(path: Path) -> None:
    """Soon, at least: the system may use its memory for what will be."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time; waits. `path` is made where it is missing and stays."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def overwriting(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file to write over what `path` holds, and nothing is waited for: whoever reads it has to know its digest.

    A large file costs a fraction of a new one: the system's memory that it lies in is used again.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "wb", buffering=1 << 18) as file:
        yield file
        file.truncate()


def overwrite(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """The same of a few bytes of JSON, in one call: a process that is killed leaves the old ones or the new ones, spaces behind them."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, mode)
    try:
        os.write(descriptor, data.ljust(os.fstat(descriptor).st_size))
    finally:
        os.close(descriptor)


@contextmanager
def _replacing(path: Path, mode: int) -> Iterator[int]:
    """The descriptor of a new file, which takes the place of `path` where the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
