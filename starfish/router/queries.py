"""Ids and query parameters, read strictly: malformed is 400, whatever the database would make of it."""

from collections.abc import Mapping
from typing import overload
from uuid import UUID

from starfish.protocol.problems import Invalid, NotFound
from starfish.router.strict_json import acceptable

LARGEST_ID = 2**63 - 1
LARGEST_NUMBER = 2**31 - 1


def path_id(text: str) -> int:
    """Raises Invalid where it is no id, NotFound where no object can have it."""
    if not _digits(text):
        raise Invalid("Invalid id")
    number = int(text) if len(text) < 20 else LARGEST_ID + 1
    if number > LARGEST_ID:
        raise NotFound("Not found")
    return number


def query_id(query: Mapping[str, str], name: str) -> int:
    """A required id. Raises Invalid, NotFound."""
    if name not in query:
        raise Invalid(f"{name} is required")
    if not _digits(query[name]):
        raise Invalid(f"Invalid {name}")
    return path_id(query[name])


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """An optional number of at most 31 bits. Raises Invalid."""
    text = query.get(name)
    if text is None:
        return None
    if not _digits(text) or len(text) > 10 or int(text) > LARGEST_NUMBER:
        raise Invalid(f"Invalid {name}")
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """`1`, `true` or absent. Raises Invalid."""
    text = query.get(name, "0").lower()
    if text not in ("0", "1", "true", "false"):
        raise Invalid(f"Invalid {name}")
    return text in ("1", "true")


@overload
def uid(query: Mapping[str, str], name: str) -> UUID | None: ...


@overload
def uid(query: Mapping[str, str], name: str, *, required: bool) -> UUID: ...


def uid(query: Mapping[str, str], name: str, *, required: bool = False) -> UUID | None:
    """Raises Invalid."""
    text = query.get(name)
    if text is None and not required:
        return None
    try:
        return UUID(text or "")
    except ValueError:
        raise Invalid("Invalid uid") from None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def text(query: Mapping[str, str], name: str) -> str:
    """Raises Invalid where no database could hold it."""
    value = query[name]
    if not acceptable(value) or not 1 <= len(value) <= 1000:
        raise Invalid(f"Invalid {name}")
    return value
