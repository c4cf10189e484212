"""What an invitation project's sites may send: sealed, as far as someone can see who can open none of it.

Whoever sends it in the open by mistake, from an old controller say, is refused before it is kept.
"""

import base64
from collections.abc import Mapping
from typing import Any

from starfish.protocol.problems import Invalid

AGE = b"age-encryption.org/v1\n"
ENVELOPE = b"starfish-envelope/1\n"
WHY = "This project is sealed: its sites send nothing in the open. Use a controller that knows sealed projects."


def is_age_file(data: bytes) -> bool:
    return data.startswith(AGE)


def refuse_open_bytes(head: bytes) -> None:
    """Of a file. Raises Invalid where it does not begin as an envelope does."""
    if not head.startswith(ENVELOPE):
        raise Invalid(f"This file is no envelope. {WHY}")


def refuse_open_piece(offset: int, piece: bytes) -> None:
    """The same of a file that arrives in pieces, of which this one begins at `offset`."""
    expected = ENVELOPE[offset:]
    if piece[: len(expected)] != expected[: len(piece)]:
        raise Invalid(f"This file is no envelope. {WHY}")


def refuse_open_lines(text: str) -> None:
    """One envelope a line, in Base64. Raises Invalid."""
    if not all(_is_envelope(line) for line in text.split("\n")):
        raise Invalid(f"These lines are no envelopes in Base64, one a line. {WHY}")


def refuse_open_report(body: Mapping[str, Any]) -> None:
    """Metrics and message are in the envelope, and nowhere else. Raises Invalid."""
    if body["metrics"] or body["message"] or not _is_envelope(body["sealed"] or ""):
        raise Invalid(f"A report has `sealed`, an envelope in Base64, and no metrics and no message. {WHY}")


def _is_envelope(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(ENVELOPE)
    except ValueError:
        return False
