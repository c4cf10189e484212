"""Joining by invitation: a secret that the Routing Server never sees authenticates both cards (docs/spec/invitation.md)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from starfish.sealing import canonical
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import HASH, NAME, NONCE, TIME, Field, check, exactly, parse_time, text, time_text
from starfish.sealing.keys import Card

PREFIX = "starfish-invitation-1"
LONGEST_LINE, LONGEST_MESSAGE = 4096, 16384
ROUTER = Field(
    what="address of a Routing Server, 'https://…'",
    holds=lambda value: isinstance(value, str) and re.fullmatch(r"https?://[!-~]{1,500}", value) is not None,
)
SCHEMA = {
    "coordinator": HASH,
    "expires": TIME,
    "id": NONCE,
    "project": NONCE,
    "router": ROUTER,
    "secret": NONCE,
    "site": NAME,
    "v": exactly(1),
}
REQUEST = {"card": text(1, 4096), "mac": HASH}
APPROVAL = {"approved": exactly(True), "mac": HASH}
REFUSAL = {"approved": exactly(False)}


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """Of one site into one project. `secret`: whoever has it can join in the name of `site`."""

    id: str
    project: str
    router: str
    site: str
    coordinator: str
    expires: datetime
    secret: str = field(repr=False)

    def line(self) -> str:
        """To be given to the site's people by a way that is not the Routing Server. Raises SealingError."""
        text = canonical.dumps({**self.public(), "secret": self.secret}, "An invitation")
        payload = base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")
        return f"{PREFIX}.{payload}.{_check_digits(payload)}"

    def public(self) -> dict[str, Any]:
        """All but the secret."""
        return {
            "coordinator": self.coordinator,
            "expires": time_text(self.expires),
            "id": self.id,
            "project": self.project,
            "router": self.router,
            "site": self.site,
            "v": 1,
        }

    @staticmethod
    def parse(line: str) -> "Invitation":
        """Raises SealingError."""
        if len(line) > LONGEST_LINE:
            raise SealingError(f"An invitation has more than {LONGEST_LINE} characters.", code="size")
        form = re.fullmatch(rf"{PREFIX}\.([A-Za-z0-9_-]+)\.([0-9a-f]{{8}})", line)
        if form is None:
            raise SealingError(f"This is no invitation: it is not of the form {PREFIX}.….….", code="form")
        payload, digits = form.groups()
        if _check_digits(payload) != digits:
            raise SealingError("The invitation was not copied as it is: its check digits do not fit.", code="check")
        body = canonical.loads(_payload_text(payload), "An invitation")
        check(body, SCHEMA, "An invitation")
        return Invitation(**{key: body[key] for key in body if key not in {"v", "expires"}}, expires=parse_time(body["expires"]))


def new_invitation(*, project: str, router: str, site: str, coordinator: Card, expires: datetime) -> Invitation:
    """With an id and a secret of its own. Raises SealingError where one of the values is none."""
    invitation = Invitation(
        id=secrets.token_hex(16),
        project=project,
        router=router,
        site=site,
        coordinator=coordinator.hash,
        expires=expires,
        secret=secrets.token_hex(16),
    )
    return Invitation.parse(invitation.line())


def request(invitation: Invitation, coordinator: Card, own: Card) -> str:
    """What the invited site sends. `coordinator`: of its chain, the card that the invitation names. Raises SealingError."""
    _check_coordinator(invitation, coordinator)
    _check_site(invitation, own)
    mac = _mac(invitation, coordinator, own, "starfish/join-request/1")
    return canonical.dumps({"card": own.text, "mac": mac}, "A request to join")


def check_request(invitation: Invitation, coordinator: Card, request: str, *, now: datetime, members: Iterable[Card] = ()) -> Card:
    """The joiner's card. That the invitation is open the caller knows. `members`: of the project so far. Raises SealingError."""
    _check_coordinator(invitation, coordinator)
    if now >= invitation.expires:
        raise SealingError(f"The invitation of '{invitation.site}' has expired.", code="expired")
    body = _message(request, "A request to join")
    check(body, REQUEST, "A request to join")
    card = Card.parse(body["card"])
    _check_site(invitation, card)
    for member in (coordinator, *members):
        if card.uid == member.uid:
            raise SealingError(f"A request to join has the UUID of '{member.name}', who is in the project already.", code="not-invited")
    _check_mac(_mac(invitation, coordinator, card, "starfish/join-request/1"), body["mac"], "The request to join")
    return card


def answer(invitation: Invitation, coordinator: Card, joiner: Card, approved: bool) -> str:
    """What the coordinator sends once a person has decided. `joiner`: the very card of the request. Raises SealingError."""
    _check_coordinator(invitation, coordinator)
    if not approved:
        return canonical.dumps({"approved": False}, "An answer")
    return canonical.dumps({"approved": True, "mac": _mac(invitation, coordinator, joiner, "starfish/join-answer/1")}, "An answer")


def check_answer(invitation: Invitation, coordinator: Card, own: Card, answer: str) -> bool:
    """Whether the site was approved. `own`: the very card of the request. Raises SealingError."""
    _check_coordinator(invitation, coordinator)
    body = _message(answer, "An answer to a request to join")
    if body.get("approved") is not True:
        check(body, REFUSAL, "An answer to a request to join")
        return False
    check(body, APPROVAL, "An answer to a request to join")
    _check_mac(_mac(invitation, coordinator, own, "starfish/join-answer/1"), body["mac"], "The answer to the request to join")
    return True


def _check_coordinator(invitation: Invitation, coordinator: Card) -> None:
    if not hmac.compare_digest(invitation.coordinator, coordinator.hash):
        raise SealingError(
            f"The card of '{coordinator.name}' is not the one that the invitation names as the coordinator's.", code="not-invited"
        )


def _check_site(invitation: Invitation, joiner: Card) -> None:
    if joiner.name != invitation.site:
        raise SealingError(f"The invitation is for '{invitation.site}', not for '{joiner.name}'.", code="not-invited")


def _check_mac(expected: str, mac: str, what: str) -> None:
    if not hmac.compare_digest(expected, mac):
        raise SealingError(f"{what} was not made with the invitation's secret, or was changed on its way.", code="mac")


def _mac(invitation: Invitation, coordinator: Card, joiner: Card, purpose: str) -> str:
    transcript = canonical.dumps(
        {"coordinator": coordinator.text, "invitation": invitation.public(), "joiner": joiner.text}, "A request to join"
    )
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(bytes.fromhex(invitation.secret))
    return hmac.digest(key, f"{purpose}\n{transcript}".encode("ascii"), "sha256").hex()


def _message(text: str, what: str) -> dict[str, Any]:
    if len(text) > LONGEST_MESSAGE:
        raise SealingError(f"{what} has more than {LONGEST_MESSAGE} characters.", code="size")
    return canonical.loads(text, what)


def _check_digits(payload: str) -> str:
    return hashlib.sha256(payload.encode("ascii")).hexdigest()[:8]


def _payload_text(payload: str) -> str:
    """Of the one payload that this text has. Raises SealingError."""
    try:
        data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        if base64.urlsafe_b64encode(data).decode("ascii").rstrip("=") == payload:
            return data.decode("ascii")
    except ValueError:
        pass
    raise SealingError("An invitation's payload is no Base64 of ASCII.", code="form")
