"""What an artifact's request says of ranges, lengths and digests (RFC 9110, RFC 9530)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from starfish.protocol.problems import Invalid, RangeNotSatisfiable

_DIGITS = 18


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes `start` to `end`, which is not one of them."""

    start: int
    end: int


def part_asked_for(header: str | None, size: int) -> Part | None:
    """A `Range`; None for the whole: none, one that can't be read, and several are ignored. Raises RangeNotSatisfiable."""
    found = re.fullmatch(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)", (header or "").strip(), re.IGNORECASE)
    if not found or found.groups() == ("", ""):
        return None
    first, last = (_clamped(text) for text in found.groups())
    if first is None:
        if not last:
            raise RangeNotSatisfiable("The last 0 bytes are none.", size=size)
        return Part(start=max(0, size - last), end=size) if size else None
    if last is not None and last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable(f"The file has {size} bytes; there is none at {first}.", size=size)
    return Part(start=first, end=size if last is None else min(size, last + 1))


def _clamped(text: str) -> int | None:
    if not text:
        return None
    return int(text) if len(text) <= _DIGITS else 10**_DIGITS


def part_sent(headers: Mapping[str, str]) -> tuple[int | None, int, int]:
    """Where a PUT's bytes begin (None: they are the whole file), how many they are, and the file's size. Raises Invalid."""
    length = _content_length(headers)
    header = headers.get("Content-Range")
    if header is None:
        return None, length, length
    found = re.fullmatch(r"bytes\s+(?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18})", header.strip(), re.IGNORECASE)
    if not found:
        raise Invalid("Content-Range can't be read; write `bytes FIRST-LAST/SIZE`, or `bytes */SIZE` where all has arrived already.")
    size = int(found[3])
    if found[1] is None:
        start, expected = size, 0
    else:
        start, last = int(found[1]), int(found[2])
        expected = last - start + 1
        if not start <= last < size:
            raise Invalid(f"Content-Range has bytes {start} to {last} of {size}; that is no part of such a file.")
    if length != expected:
        raise Invalid(f"Content-Range has {expected} bytes, and Content-Length {length}.")
    return start, length, size


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Length", "")
    if "Transfer-Encoding" in headers or not text:
        raise Invalid("An upload needs a Content-Length, and comes without a Transfer-Encoding.")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise Invalid("Content-Length is no number of bytes.")
    return int(text)


def digest_announced(header: str | None) -> str:
    """The SHA-256 of a `Repr-Digest`, in hexadecimal. Raises Invalid."""
    found = re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{0,64}):", header or "")
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise Invalid("An upload needs a `Repr-Digest: sha-256=:BASE64:` of the whole file.")
    return digest.hex()


def digest_header(sha256: str) -> str:
    """What `digest_announced` reads."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
