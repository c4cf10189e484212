"""What the keys of signed and sealed JSON may hold. Whatever is not described here is refused."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from starfish.sealing.errors import SealingError

KEY_BYTES = 32
SIZES = (64, 512, 4096)
"""How many commitments there are, whatever the number of those committed to."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """`what`: the words for it in an error, after 'is no'."""

    what: str
    holds: Callable[[Any], bool]


Schema = Mapping[str, Field]


def check(body: Mapping[str, Any], schema: Schema, what: str) -> None:
    """Exactly these keys, each with a value of its own kind. Raises SealingError."""
    for name in body:
        if name not in schema:
            raise SealingError(f"{what} has a key {name[:40]!a} that this version does not know.", code="value")
    for name, field in schema.items():
        if name not in body:
            raise SealingError(f"{what} lacks its key '{name}'.", code="value")
        if not field.holds(body[name]):
            raise SealingError(f"The '{name}' of {what[0].lower()}{what[1:]} is no {field.what}.", code="value")


def time_text(time: datetime) -> str:
    """UTC to the second, as the specifications write it. Raises ValueError for a time without a zone."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise ValueError("no time in UTC, to the second")
    return datetime.fromisoformat(text)


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, size: int) -> bytes:
    """Of the one text that these bytes have. Raises ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no Base64") from error
    if len(data) != size or base64_text(data) != text:
        raise ValueError(f"not {size} bytes in Base64")
    return data


def text(least: int, most: int) -> Field:
    return Field(what=f"text of {least} to {most} characters", holds=lambda value: isinstance(value, str) and least <= len(value) <= most)


def number(least: int) -> Field:
    return Field(what=f"number from {least} on", holds=lambda value: type(value) is int and value >= least)


def nullable(field: Field) -> Field:
    return Field(what=f"{field.what} and not null", holds=lambda value: value is None or field.holds(value))


def exactly(constant: Any) -> Field:
    return Field(what=f"{constant!r}", holds=lambda value: type(value) is type(constant) and value == constant)


def _hexadecimal(digits: int) -> Callable[[Any], bool]:
    pattern = re.compile(f"[0-9a-f]{{{digits}}}")
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def succeeds(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        try:
            return isinstance(value, str) and parse(value) is not None
        except ValueError:
            return False

    return holds


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 100 and value == value.strip() and value.isprintable()


def _is_commitments(value: Any) -> bool:
    """Hashes in ascending order, as many as there are whatever the number of those committed to."""
    return (
        isinstance(value, list)
        and len(value) in SIZES
        and all(HASH.holds(item) for item in value)
        and all(one < other for one, other in pairwise(value))
    )


HASH = Field(what="hash of 64 hexadecimal digits", holds=_hexadecimal(64))
NONCE = Field(what="text of 32 hexadecimal digits", holds=_hexadecimal(32))
TIME = Field(what="time in UTC, to the second", holds=succeeds(parse_time))
SITE = Field(what="UUID", holds=lambda value: succeeds(UUID)(value) and str(UUID(value)) == value)
PUBLIC_KEY = Field(what="Base64 of 32 bytes", holds=succeeds(lambda value: from_base64(value, KEY_BYTES)))
NAME = Field(what="name of 1 to 100 printable characters without a blank at either end", holds=_is_name)
OBJECT = Field(what="object", holds=lambda value: isinstance(value, dict))
COMMITMENTS = Field(what="list of 64, 512 or 4096 different hashes in ascending order", holds=_is_commitments)
