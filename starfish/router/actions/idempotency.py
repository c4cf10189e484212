"""A request that carries an Idempotency-Key happens once; its repeat gets the same answer. Refusals are not kept."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from starfish.protocol.problems import Invalid, KeyReused, Problem
from starfish.router import hot
from starfish.router.models import IdempotencyRecord


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back: an HTTP status, and JSON or nothing."""

    status: int
    body: Any = None


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Whose key, and for which request."""

    caller: str
    key: str
    fingerprint: str


def ticket(caller: str, key: str | None, *request: Any) -> Ticket | None:
    """None where no key came. `request` is all that makes the request what it is. Raises Invalid."""
    if key is None:
        return None
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Invalid("An Idempotency-Key has 1 to 255 printable ASCII characters.")
    text = json.dumps(request, sort_keys=True, default=str)
    return Ticket(caller=caller, key=key, fingerprint=_fingerprint(text))


def _fingerprint(text: str) -> str:
    """Keyed: a body may hold a password, which nobody is to guess from the database alone."""
    return hmac.digest(settings.SECRET_KEY.encode(), b"idempotency\0" + text.encode(), hashlib.sha256).hex()


def once(it: Ticket | None, do: Callable[[], Answer]) -> Answer:
    """`do` and the record of its answer are one transaction, which a second record of the key takes back.

    Raises KeyReused, and whatever `do` raises.
    """
    if it is None:
        return do()
    try:
        with transaction.atomic():
            answer = do()
            body = None if answer.body is None else json.dumps(answer.body)
            record = IdempotencyRecord(caller=it.caller, key=it.key, fingerprint=it.fingerprint, status=answer.status, body=body)
            hot.insert([record])
            return answer
    except (IntegrityError, Problem):
        known = _known(it)  # the same request came first, perhaps at the same moment
        if known is None:
            raise
        return known


def _known(it: Ticket) -> Answer | None:
    record = IdempotencyRecord.objects.filter(caller=it.caller, key=it.key).first()
    if record is None:
        return None
    if record.fingerprint != it.fingerprint:
        raise KeyReused("This Idempotency-Key came before with another request; take a new one.")
    return Answer(status=record.status, body=None if record.body is None else json.loads(record.body))
