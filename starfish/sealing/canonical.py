"""Canonical JSON: one content has one form, so that what is signed or authenticated is never a matter of taste."""

import json
import re
from typing import Any

from starfish.sealing.errors import SealingError

DEPTH = 64
LARGEST = 2**63
UNFIT = re.compile("[\0\ud800-\udfff]")


def dumps(value: Any, what: str) -> str:
    """Raises SealingError where JSON has no form for it."""
    try:
        text = _write(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise SealingError(f"{what} holds something that canonical JSON cannot say: {str(error)[:100]}.", code="value") from None
    loads(text, what)
    return text


def loads(text: str, what: str) -> dict[str, Any]:
    """The object of a text that is canonical to the byte. Raises SealingError."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        _check(value, DEPTH)
        if _write(value) != text:
            raise ValueError("it is JSON, but not in its canonical form")
    except RecursionError:
        raise SealingError(f"{what} is refused: it is nested too deeply.", code="form") from None
    except ValueError as error:
        raise SealingError(f"{what} is no canonical JSON: {str(error)[:100]}.", code="form") from None
    if not isinstance(value, dict):
        raise SealingError(f"{what} is no JSON object.", code="form")
    return value


def _write(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _check(value: Any, depth: int) -> None:
    if depth == 0 and isinstance(value, (dict, list)):
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        if UNFIT.search(value):
            raise ValueError("a text holds NUL, or half of a surrogate pair")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise ValueError("an integer has more than 64 bits")


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
