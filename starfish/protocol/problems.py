"""The one catalogue of refusals: what the router answers, and what a client turns back into an exception (RFC 9457)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

MEDIA_TYPE = "application/problem+json"
BASE = "https://starfish.invalid/problems/"


class Problem(Exception):
    """A refusal with a sentence for whoever asked; `extra` are further members of the problem document."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """As `application/problem+json` carries it."""
        return document(status=self.status, code=self.code, title=self.title, detail=self.detail, **self.extra)


def document(*, status: int, code: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """A problem document; `code` is stable, the sentences are for people."""
    return {"type": BASE + code, "title": title, "status": status, "detail": detail, "code": code, **extra}


class Invalid(Problem):
    """The request cannot be understood or breaks a rule that has nothing to do with the present state."""

    status, code, title = 400, "invalid", "The request is not valid"


class InvalidFields(Invalid):
    """The same, said of each field: `{"name": ["This name is taken."]}`."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(lines)}" for name, lines in fields.items()), errors=fields)
        self.fields = fields


class Unauthorized(Problem):
    """Nobody, or not who they say."""

    status, code, title = 401, "unauthorized", "Authentication is required"


class Forbidden(Problem):
    """The caller may see this, and may not do that."""

    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(Problem):
    """It does not exist, or not for this caller: the two are not told apart."""

    status, code, title = 404, "not-found", "Not found"


class Conflict(Problem):
    """The present state does not allow it; `state` names it where a run is meant."""

    status, code, title = 409, "conflict", "The present state does not allow this"


class TooLarge(Problem):
    """More bytes than this router takes."""

    status, code, title = 413, "too-large", "Too large"


class RangeNotSatisfiable(Problem):
    """A part of something that is not that long."""

    status, code, title = 416, "range-not-satisfiable", "There is no such range"


class KeyReused(Problem):
    """One Idempotency-Key, two different requests."""

    status, code, title = 422, "idempotency-key-reused", "The Idempotency-Key was used for another request"


class TooMany(Problem):
    """More attempts than anyone needs."""

    status, code, title = 429, "too-many", "Too many attempts"


class Internal(Problem):
    """A mistake of the router's own; its log says which."""

    status, code, title = 500, "internal", "The router failed"


class Unavailable(Problem):
    """The router cannot answer now; the same request may succeed later."""

    status, code, title = 503, "unavailable", "The router cannot answer now"


CATALOGUE: Mapping[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        Invalid,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        TooLarge,
        RangeNotSatisfiable,
        KeyReused,
        TooMany,
        Internal,
        Unavailable,
    )
}
"""By HTTP status, for a client that must name what it was answered."""
