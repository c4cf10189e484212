"""Who is in the vectors: fixed keys, which are nobody's, and what follows from them without any chance."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from starfish.sealing import commitments
from starfish.sealing.fields import base64_text, time_text
from starfish.sealing.invitation import Invitation
from starfish.sealing.keys import Card, Identity, SigningKey, SiteKeys
from starfish.sealing.manifest import Manifest, Order
from starfish.sealing.statements import sign

NOW = datetime(2026, 11, 24, 16, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAILS = {
    "coordinator 1": "HNP7A70AVXFNQVRP3HXHLCKLX5FZ9RS0033Q36JMFW4XCCMXPCQSQT4WPA",
    "coordinator 2": "N9N03JMM4Z8WVXY4LEST4D4W4P3TA700JZA44TNH4GL3QK85WCFQNW4ARJ",
    "north 1": "WS0N2AN7RJT3YD8FM5VAJVCZLL7G5SMTEF353AMCLN3SF2FH3DQSSL536V",
    "group 1": "UPKGPXPD3P3ZX68M7Q06UTWR7NALMM7730Z0NATGALYKXFTV298S30CHXP",
}
UIDS = {"coordinator": "5b1f1a4e-6f0e-4c57-9d5e-0c5f5a1f0c01", "north": "5b1f1a4e-6f0e-4c57-9d5e-0c5f5a1f0c02"}
NAMES = {"coordinator": "Zürich", "north": "North Hospital"}


def digest(label: str) -> str:
    """64 hexadecimal digits that look like chance."""
    return hashlib.sha256(label.encode()).hexdigest()


def nonce(label: str) -> str:
    return digest(label)[:32]


def signing(label: str) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(digest(label)))
    return SigningKey(public=private.public_key().public_bytes_raw(), private=private)


def identity(label: str) -> Identity:
    return Identity.parse(f"AGE-SECRET-KEY-1{TAILS[label]}")


def card_body(who: str, version: int, /, **changes: Any) -> dict[str, Any]:
    label = f"{who} {version}"
    body = {
        "created": time_text(NOW),
        "name": NAMES[who],
        "previous": card(who, version - 1).hash if version > 1 else None,
        "recipient": identity(label).recipient,
        "signing": base64_text(signing(label).public),
        "uid": UIDS[who],
        "version": version,
    }
    return {**body, **changes}


def card_text(who: str, version: int, /, **changes: Any) -> str:
    signers = [signing(f"{who} {version}"), *([signing(f"{who} {version - 1}")] if version > 1 else [])]
    return sign("card", card_body(who, version, **changes), *signers).text


def card(who: str, version: int) -> Card:
    return Card.parse(card_text(who, version))


def keys(who: str, version: int) -> SiteKeys:
    return SiteKeys(card=card(who, version), signing=signing(f"{who} {version}"), identity=identity(f"{who} {version}"))


COORDINATOR, NORTH = keys("coordinator", 2), keys("north", 1)
CHAIN = [card("coordinator", 1), COORDINATOR.card]
PROJECT = nonce("project")
GROUP = identity("group 1")
INVITATION = Invitation(
    id=nonce("invitation"),
    project=PROJECT,
    router="https://rs.example.org",
    site=NORTH.card.name,
    coordinator=COORDINATOR.card.hash,
    expires=NOW + HOUR,
    secret=nonce("secret"),
)


def manifest_body(**changes: Any) -> dict[str, Any]:
    members = {commitments.member(nonce(f"salt of {keys.card.uid}"), keys.card.hash) for keys in (COORDINATOR, NORTH)}
    others = {digest(f"member {number}") for number in range(62)}
    body = {
        "coordinator": COORDINATOR.card.hash,
        "created": time_text(NOW),
        "definition": {"variables": {"age": {"type": "number", "unit": "years"}}},
        "description": "Größe & Alter, \u2264 1\U0001f99f",
        "group": GROUP.recipient,
        "members": sorted(members | others),
        "name": "heart-disease",
        "previous": None,
        "project": PROJECT,
        "promises": {},
        "tasks": [{"config": {"formula": "event ~ age", "l2": 1e-07, "total_round": 12}, "model": "LogisticRegression", "seq": 1}],
        "version": 1,
    }
    return {**body, **changes}


def manifest_text(key: SigningKey = COORDINATOR.signing, **changes: Any) -> str:
    return sign("manifest", manifest_body(**changes), key).text


MANIFEST = Manifest.parse(manifest_text())


def view_text(key: SigningKey = COORDINATOR.signing, **changes: Any) -> str:
    body = {
        "card": NORTH.card.text,
        "chain": [card.text for card in CHAIN],
        "identity": GROUP.text,
        "manifest": MANIFEST.hash,
        "project": PROJECT,
        "salt": nonce(f"salt of {NORTH.card.uid}"),
        "version": 1,
    }
    return sign("view", {**body, **changes}, key).text


def order_text(key: SigningKey = COORDINATOR.signing, **changes: Any) -> str:
    body = {
        "batch": 1,
        "created": time_text(NOW),
        "expires": time_text(NOW + HOUR),
        "manifest": MANIFEST.hash,
        "nonce": nonce("order"),
        "project": PROJECT,
    }
    return sign("order", {**body, **changes}, key).text


ORDER = Order.parse(order_text())
