"""What the attacker makes of what it has: cards, letters, orders and envelopes, with keys of its own or of a site that is in league."""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starfish.sealing import age, commitments
from starfish.sealing.envelope import MAGIC, SIGNED, Context, seal_bytes
from starfish.sealing.keys import Card, Identity, SigningKey, SiteKeys, new_keys
from starfish.sealing.manifest import Manifest, make_order
from starfish.sealing.statements import SIGNATURE_BYTES, sign

VALID = timedelta(days=1)


def impostor(of: Card) -> SiteKeys:
    """Keys of the attacker's, on a card that says it is this site's first."""
    return new_keys(uid=of.uid, name=of.name, created=_now())


def rotation(of: Card) -> SiteKeys:
    """Keys of the attacker's, on a card that says it follows this site's: the signature by the old key is by another."""
    signing, identity, not_the_old = SigningKey.generate(), Identity.generate(), SigningKey.generate()
    body = {
        "created": _text(_now()),
        "name": of.name,
        "previous": of.hash,
        "recipient": identity.recipient,
        "signing": base64.b64encode(signing.public).decode(),
        "uid": of.uid,
        "version": of.version + 1,
    }
    card = Card.parse(sign("card", body, signing, not_the_old).text)
    return SiteKeys(card=card, signing=signing, identity=identity)


def manifest(keys: SiteKeys, project: str, version: int, members: Sequence[str], group: Identity) -> Manifest:
    """Terms of the attacker's making. `members`: commitments."""
    body: dict[str, Any] = {
        "coordinator": keys.card.hash,
        "created": _text(_now()),
        "definition": {},
        "description": "",
        "group": group.recipient,
        "members": list(commitments.padded(members)),
        "name": "forged",
        "previous": secrets.token_hex(32) if version > 1 else None,
        "project": project,
        "promises": {},
        "tasks": [],
        "version": version,
    }
    return Manifest.parse(sign("manifest", body, keys.signing).text)


def letter(reader: Card, keys: SiteKeys, chain: Sequence[Card], project: str, version: int) -> bytes:
    """To a member, whose public card everybody has; signed by `keys`, with this chain as the coordinator's."""
    group, salt = Identity.generate(), secrets.token_hex(16)
    made = manifest(keys, project, version, [commitments.member(salt, reader.hash)], group)
    body = {
        "card": reader.text,
        "chain": [card.text for card in chain],
        "identity": group.text,
        "manifest": made.hash,
        "project": project,
        "salt": salt,
        "version": version,
    }
    view = sign("view", body, keys.signing)
    return age.seal_to(f"{made.text}{view.text}".encode("ascii"), [reader.recipient])


def order(keys: SiteKeys, project: str, batch: int) -> bytes:
    """Sealed to a group of the attacker's, since it does not know the members'."""
    group = Identity.generate()
    made = make_order(keys, manifest(keys, project, 1, [], group), batch=batch, created=_now(), expires=_now() + VALID)
    return made.sealed(group.recipient)


def resigned(envelope: bytes, key: SigningKey, context: Context) -> bytes:
    """The same ciphertext under another signature, for which all of the context has to be known."""
    body = envelope[:-SIGNATURE_BYTES]
    signed = SIGNED + hashlib.sha256(body).digest() + hashlib.sha256(context.line()).digest()
    return body + key.sign(signed)


def opened(envelope: bytes, identity: Identity) -> tuple[Context, bytes]:
    """What somebody reads who has the identity: context and content."""
    plain = age.open_with(envelope[len(MAGIC) : -SIGNATURE_BYTES], [identity], "An envelope", len(envelope))
    line, end, content = plain.partition(b"\n")
    return Context.parse(line + end), content


def model_without(envelope: bytes, update: bytes, keys: SiteKeys, group: Identity) -> bytes:
    """A global model, sealed again by its coordinator as one in which an update is not."""
    context, content = opened(envelope, group)
    without = [digest for digest in context.commits if digest != hashlib.sha256(update).hexdigest()]
    return seal_bytes(content, replace(context, commits=commitments.padded(without)), [group.recipient], keys.signing)


def flipped(envelope: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(envelope) // 2
    return envelope[:middle] + bytes([envelope[middle] ^ 1]) + envelope[middle + 1 :]


def cut_at_the_end(envelope: bytes) -> bytes:
    return envelope[:-1]


def cut_in_the_middle(envelope: bytes) -> bytes:
    """The signature stands again where it has to."""
    return envelope[: len(envelope) // 2] + envelope[-SIGNATURE_BYTES:]


def swapped_card(request: Mapping[str, Any], card: Card) -> dict[str, Any]:
    """A request to join with another card, and the MAC that came with it."""
    return {**request, "card": card.text}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
