"""Why something signed or sealed is refused: a sentence for people, and a code that stays the same for programs."""

from typing import Literal

Code = Literal[
    "size",  # above its limit, or cut
    "form",  # not of the form that the specification gives it
    "value",  # a key is unknown or missing, or its value is none that it can have
    "signature",  # signed by another key, or changed since
    "keys",  # keys that do not belong to their card
    "chain",  # cards that do not follow one from the other
    "rollback",  # older than what was seen already
    "fork",  # another one of a number that was seen already
    "gap",  # does not follow from what was seen last
    "check",  # an invitation that was copied wrongly
    "expired",
    "mac",  # made by somebody who has not the invitation's secret, or changed since
    "not-invited",  # the invitation is for another site, or of another coordinator
    "decryption",  # sealed to somebody else, damaged or cut
    "other-project",
    "other-manifest",
    "other-batch",
    "other-task",
    "other-round",
    "other-kind",
    "other-sender",
    "other-base",
    "other-number",
    "old-attempt",
    "left-out",  # a global model without the reader's own update
    "not-member",
    "other-card",  # a view for keys that are no longer, or not, the reader's
    "other-group",
    "recipients",
]


class SealingError(Exception):
    """What was wrong, by name; nothing of it has been used."""

    def __init__(self, message: str, *, code: Code) -> None:
        super().__init__(message)
        self.code: Code = code
