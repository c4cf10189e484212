"""Where the bytes are: files under ARTIFACTS_DIR with keys of the router's own making; nothing that a client names is a path here."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

CHUNK = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Bytes that are on the disk, durably."""

    key: str
    size: int
    sha256: str


def save(chunks: Iterable[bytes]) -> Stored:
    """Write under a new key; file and folder are synced before this returns. Nothing stays behind a failure."""
    token = secrets.token_hex(16)
    key = f"{token[:2]}/{token[2:]}"
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
