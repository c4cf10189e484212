"""Looking for words and numbers in whatever there is, also where they are packed: Base64, zip, JSON, and numbers as eight bytes."""

import base64
import binascii
import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

DEEPEST = 4
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
TOLD = 9
"""Digits that a number must have to say anything: 0.5 stands everywhere."""


def unfolded(pieces: Iterable[bytes]) -> bytes:
    """All of it once, and all that can be unpacked of it."""
    seen: set[bytes] = set()
    found: list[bytes] = []
    for piece in pieces:
        for part in _unfold(piece, 0):
            if (digest := hashlib.sha256(part).digest()) not in seen:
                seen.add(digest)
                found.append(part)
    return b"\n".join(found)


def holds(haystack: bytes, word: str) -> bool:
    """As text, or as a number in eight bytes, in whichever order they stand."""
    if word.encode() in haystack:
        return True
    with suppress(ValueError):
        number = float(word)
        return struct.pack("<d", number) in haystack or struct.pack(">d", number) in haystack
    return False


def numbers(value: Any) -> Iterator[str]:
    """The numbers in a document that stand nowhere else by chance."""
    if isinstance(value, float) and len(repr(value).strip("-0.").replace(".", "")) >= TOLD:
        yield repr(value)
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from numbers(item)


def _unfold(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    if depth == DEEPEST or not data:
        return
    for inner in (*_zipped(data), *_texts(data), *_decoded(data)):
        yield from _unfold(inner, depth + 1)


def _zipped(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"PK"):
        with suppress(zipfile.BadZipFile, zlib.error), zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def _texts(data: bytes) -> Iterator[bytes]:
    """The strings of a JSON document, without their escapes."""
    if data[:1] in (b"{", b"[", b'"') and b"\\" in data:
        with suppress(ValueError):
            yield "\n".join(_strings(json.loads(data))).encode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(item)


def _decoded(data: bytes) -> Iterator[bytes]:
    for match in BASE64.finditer(data):
        token = match[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        with suppress(binascii.Error):
            yield base64.b64decode(token + b"=" * (-len(token) % 4), validate=True)
