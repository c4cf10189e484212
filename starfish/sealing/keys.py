"""A site's keys, the card that says which they are, and the chain of cards by which others follow it (docs/spec/keys.md)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from starfish.sealing.age import RECIPIENT, Identity
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import (
    HASH,
    KEY_BYTES,
    NAME,
    PUBLIC_KEY,
    SITE,
    TIME,
    base64_text,
    from_base64,
    nullable,
    number,
    parse_time,
    time_text,
)
from starfish.sealing.statements import read, sign, verify

__all__ = ["Card", "Identity", "SigningKey", "SiteKeys", "fingerprint", "follow", "new_keys", "rotated", "short_code"]

LONGEST_CHAIN = 1000
SCHEMA = {
    "created": TIME,
    "name": NAME,
    "previous": nullable(HASH),
    "recipient": RECIPIENT,
    "signing": PUBLIC_KEY,
    "uid": SITE,
    "version": number(1),
}


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """Ed25519. `public`: its 32 bytes."""

    public: bytes
    private: Ed25519PrivateKey = field(repr=False, compare=False)

    @staticmethod
    def generate() -> "SigningKey":
        return SigningKey._of(Ed25519PrivateKey.generate())

    @staticmethod
    def from_pem(text: str) -> "SigningKey":
        """Of an unencrypted PKCS #8 file. Raises ValueError, without the text."""
        try:
            private = load_pem_private_key(text.encode("ascii"), password=None)
        except (TypeError, ValueError):
            raise ValueError("no unencrypted private key in PKCS #8") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("no Ed25519 key")
        return SigningKey._of(private)

    def to_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)

    @staticmethod
    def _of(private: Ed25519PrivateKey) -> "SigningKey":
        return SigningKey(public=private.public_key().public_bytes_raw(), private=private)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a site's keys are, as the site itself says it. Two cards are equal where their hashes are."""

    hash: str
    uid: str = field(compare=False)
    name: str = field(compare=False)
    version: int = field(compare=False)
    previous: str | None = field(compare=False)
    created: datetime = field(compare=False)
    signing: bytes = field(compare=False)
    recipient: str = field(compare=False)
    text: str = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str | bytes) -> "Card":
        """Signed by the key that it names; whether by the card before too, `follow` says. Raises SealingError."""
        statement = read("card", text, SCHEMA)
        body = statement.body
        first = body["version"] == 1
        if first is not (body["previous"] is None):
            raise SealingError("A card has a card before it from version 2 on, and only then.", code="value")
        if len(statement.signatures) != (1 if first else 2):
            raise SealingError("A card has two signatures from version 2 on, and one before.", code="form")
        signing = from_base64(body["signing"], KEY_BYTES)
        verify(statement, signing)
        return Card(
            hash=statement.hash,
            uid=body["uid"],
            name=body["name"],
            version=body["version"],
            previous=body["previous"],
            created=parse_time(body["created"]),
            signing=signing,
            recipient=body["recipient"],
            text=statement.text,
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)


@dataclass(frozen=True, kw_only=True)
class SiteKeys:
    """A card and the private keys to it. Raises SealingError where they do not belong together."""

    card: Card
    signing: SigningKey
    identity: Identity

    def __post_init__(self) -> None:
        if self.signing.public != self.card.signing or self.identity.recipient != self.card.recipient:
            raise SealingError(f"The keys are not those of the card of '{self.card.name}', version {self.card.version}.", code="keys")


def new_keys(*, uid: str, name: str, created: datetime) -> SiteKeys:
    """Of a new site: version 1. Raises SealingError where `uid` or `name` is none."""
    return _made(uid=uid, name=name, created=created, before=None)


def rotated(old: SiteKeys, *, created: datetime | None = None, name: str | None = None) -> SiteKeys:
    """The next version, with new keys, signed by the old one too. `created`: now; `name`: as before. Raises SealingError."""
    return _made(uid=old.card.uid, name=name or old.card.name, created=created or datetime.now(UTC), before=old)


def follow(known: Card | None, chain: Sequence[Card | str]) -> Card:
    """The newest card of a site. `known`: the one that was seen last; without it the chain begins with version 1. Raises SealingError."""
    if not 1 <= len(chain) <= LONGEST_CHAIN:
        raise SealingError(f"A chain of cards has 1 to {LONGEST_CHAIN} cards, not {len(chain)}.", code="chain")
    cards = [Card.parse(card) if isinstance(card, str) else card for card in chain]
    for before, card in pairwise(cards):
        _check_link(before, card)
    if known is None:
        if cards[0].version != 1:
            raise SealingError("A chain of cards does not begin with version 1.", code="chain")
    else:
        _check_known(known, cards)
    return cards[-1]


def fingerprint(card: Card | str) -> str:
    """Of a card, or of its hash: 160 bits to be read out."""
    return _grouped(card.hash if isinstance(card, Card) else card, 20)


def short_code(hash: str) -> str:
    """Of a manifest's hash: 80 bits that members compare by telephone."""
    return _grouped(hash, 10)


def _made(*, uid: str, name: str, created: datetime, before: SiteKeys | None) -> SiteKeys:
    signing, identity = SigningKey.generate(), Identity.generate()
    body = {
        "created": time_text(created),
        "name": name,
        "previous": before.card.hash if before else None,
        "recipient": identity.recipient,
        "signing": base64_text(signing.public),
        "uid": uid,
        "version": before.card.version + 1 if before else 1,
    }
    signers = [signing, before.signing] if before else [signing]
    card = Card.parse(sign("card", body, *signers).text)
    return SiteKeys(card=card, signing=signing, identity=identity)


def _check_link(before: Card, card: Card) -> None:
    if card.uid != before.uid:
        raise SealingError(f"A chain goes from the card of '{before.name}' to one of another site, '{card.name}'.", code="chain")
    if card.version != before.version + 1 or card.previous != before.hash:
        raise SealingError(f"Version {card.version} of the card of '{card.name}' does not follow version {before.version}.", code="chain")
    verify(read("card", card.text, SCHEMA), before.signing, 1)


def _check_known(known: Card, cards: Sequence[Card]) -> None:
    """That the chain passes the known card, or begins right behind it, and does not end before it."""
    newest, first = cards[-1], cards[0]
    if newest.uid != known.uid:
        raise SealingError(f"A chain of cards is of another site than '{known.name}'.", code="chain")
    if newest.version < known.version:
        raise SealingError(
            f"Version {known.version} of the card of '{known.name}' is known, and version {newest.version} was shown.", code="rollback"
        )
    if first.version == known.version + 1:
        _check_link(known, first)
    elif first.version > known.version:
        raise SealingError(f"The chain of '{known.name}' does not lead on from version {known.version}, which is known.", code="chain")
    elif cards[known.version - first.version] != known:
        raise SealingError(f"There is another card of '{known.name}' with version {known.version} than the known one.", code="fork")


def _grouped(hash: str, size: int) -> str:
    text = base64.b32encode(bytes.fromhex(hash)[:size]).decode("ascii")
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
