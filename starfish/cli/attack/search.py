"""Looking for words and numbers in whatever there is, also where they are packed: Base64, zip, JSON, and numbers as eight bytes."""

import base64
import binascii
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

DEEPEST = 4
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
NUMBER = re.compile(rb"-?\d+\.\d+(?:e-?\d+)?")
TOLD = 9
"""Digits that a number must have to say anything: 0.5 stands everywhere."""


def unfolded(pieces: Iterable[bytes]) -> bytes:
    """All of it once, and all that can be unpacked of it."""
    seen: set[bytes] = set()
    return b"\n".join(part for piece in pieces for part in _unfold(piece, 0, seen))


def found_in(haystack: bytes, words: Collection[str]) -> set[str]:
    """Those that are there: as text; numbers also as eight bytes, in whichever order and wherever they begin."""
    numbers = {word: float(word) for word in words if NUMBER.fullmatch(word.encode())}
    found = {word for word in words if word not in numbers and word.encode() in haystack}
    texts = set(NUMBER.findall(haystack))
    found |= {word for word, value in numbers.items() if word.encode() in texts or repr(value).encode() in texts}
    return found | _as_eight_bytes(haystack, numbers)


def numbers_of(document: Any) -> Iterator[str]:
    """The numbers in a document that stand nowhere else by chance."""
    if isinstance(document, float) and len(repr(document).strip("-0.").replace(".", "")) >= TOLD:
        yield repr(document)
    for item in document.values() if isinstance(document, Mapping) else document if isinstance(document, list) else ():
        yield from numbers_of(item)


def _as_eight_bytes(haystack: bytes, numbers: Mapping[str, float]) -> set[str]:
    values = np.array(list(numbers.values()), dtype="<f8").view("<u8")
    wanted = np.sort(np.concatenate([values, values.byteswap()]))
    there: set[int] = set()
    for start in range(8):
        whole = (len(haystack) - start) // 8 * 8
        windows = np.frombuffer(haystack, dtype="<u8", count=max(0, whole) // 8, offset=start if whole > 0 else 0)
        there |= set(windows[np.isin(windows, wanted)].tolist())
    return {word for word, value in zip(numbers, values, strict=True) if there & {int(value), int(value.byteswap())}}


def _unfold(data: bytes, depth: int, seen: set[bytes]) -> Iterator[bytes]:
    if not data or (digest := hashlib.sha256(data).digest()) in seen:
        return
    seen.add(digest)
    yield data
    if depth < DEEPEST:
        for inner in (*_zipped(data), *_texts(data), *_decoded(data)):
            yield from _unfold(inner, depth + 1, seen)


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
