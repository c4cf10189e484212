"""JSON that a database can keep: bounded, no NaN or infinity, no NUL, no half characters, no bottomless nesting."""

import json
import math
from typing import Any

DEPTH = 64


class BadJSON(ValueError):
    """Says what is wrong, without the contents."""


def loads(data: bytes) -> Any:
    """Raises BadJSON."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise BadJSON("JSON parse error: nested too deeply") from None
    except UnicodeDecodeError:
        raise BadJSON("JSON parse error: the body is not UTF-8") from None
    except ValueError as error:
        raise BadJSON(f"JSON parse error: {error}"[:200]) from None
    _check(value, DEPTH)
    return value


def acceptable(text: str) -> bool:
    """Whether a database takes this text: no NUL, no surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise BadJSON("JSON parse error: nested too deeply")
    if isinstance(value, str):
        if not acceptable(value):
            raise BadJSON("JSON parse error: a text holds a character that is none (NUL, or half of a surrogate pair)")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)


def _no_constant(text: str) -> float:
    raise BadJSON(f"{text} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJSON("a number is too large")
    return number
