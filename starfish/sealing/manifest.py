"""Manifests: what a project is and who is in it; and each member's view, by which it finds itself there (docs/spec/manifest.md)."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starfish.sealing import age, commitments
from starfish.sealing.age import IDENTITY, RECIPIENT, Identity
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import COMMITMENTS, HASH, NONCE, OBJECT, TIME, Field, exactly, nullable, number, parse_time, text, time_text
from starfish.sealing.keys import LONGEST_CHAIN, Card, SiteKeys, follow
from starfish.sealing.order import KeptOrder, Order, check_order, make_order, open_order
from starfish.sealing.statements import LIMITS, read, sign, verify

__all__ = [
    "KeptOrder",
    "Manifest",
    "Member",
    "Order",
    "Terms",
    "View",
    "check_letter",
    "check_order",
    "make_manifest",
    "make_order",
    "open_letter",
    "open_order",
]

LONGEST_LETTER = LIMITS["manifest"] + LIMITS["view"] + (1 << 16)
LONGEST_DESCRIPTION = 1 << 20


def _is_tasks(value: Any) -> bool:
    return isinstance(value, list) and all(_is_task(task, place) for place, task in enumerate(value, start=1))


def _is_task(task: Any, seq: int) -> bool:
    return (
        isinstance(task, dict)
        and task.keys() == {"config", "model", "seq"}
        and exactly(seq).holds(task["seq"])
        and text(1, 100).holds(task["model"])
        and OBJECT.holds(task["config"])
        and number(1).holds(task["config"].get("total_round"))
    )


def _is_chain(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= LONGEST_CHAIN and all(CARD.holds(card) for card in value)


MANIFEST = {
    "coordinator": HASH,
    "created": TIME,
    "definition": OBJECT,
    "description": text(0, LONGEST_DESCRIPTION),
    "group": RECIPIENT,
    "members": COMMITMENTS,
    "name": text(1, 200),
    "previous": nullable(HASH),
    "project": NONCE,
    "promises": exactly({}),
    "tasks": Field(what="list of tasks, numbered from 1 on, each with its model and its config, 'total_round' included", holds=_is_tasks),
    "version": number(1),
}
CARD = text(1, LIMITS["card"])
VIEW = {
    "card": CARD,
    "chain": Field(what=f"list of at most {LONGEST_CHAIN} cards", holds=_is_chain),
    "identity": IDENTITY,
    "manifest": HASH,
    "project": NONCE,
    "salt": NONCE,
    "version": number(1),
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the members agree to. `tasks`: `{"config", "model", "seq"}` each; `definition`: as the project's file has it."""

    name: str
    description: str
    tasks: Sequence[Mapping[str, Any]]
    definition: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody who is in a version of a project, and the salt that hides it from the others."""

    card: Card
    salt: str = field(repr=False)

    @property
    def commitment(self) -> str:
        return commitments.member(self.salt, self.card.hash)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One version of a project. Two are equal where their hashes are."""

    hash: str
    project: str = field(compare=False)
    version: int = field(compare=False)
    previous: str | None = field(compare=False)
    coordinator: str = field(compare=False)
    created: datetime = field(compare=False)
    group: str = field(compare=False)
    members: tuple[str, ...] = field(compare=False, repr=False)
    terms: Terms = field(compare=False)
    text: str = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str | bytes) -> "Manifest":
        """Whose it is, `verify` says. Raises SealingError."""
        statement = read("manifest", text, MANIFEST)
        body = statement.body
        if (body["version"] == 1) is not (body["previous"] is None):
            raise SealingError("A manifest has a manifest before it from version 2 on, and only then.", code="value")
        return Manifest(
            hash=statement.hash,
            project=body["project"],
            version=body["version"],
            previous=body["previous"],
            coordinator=body["coordinator"],
            created=parse_time(body["created"]),
            group=body["group"],
            members=tuple(body["members"]),
            terms=Terms(name=body["name"], description=body["description"], tasks=body["tasks"], definition=body["definition"]),
            text=statement.text,
        )

    def verify(self, coordinator: Card) -> None:
        """That it is signed by this card, which it names. Raises SealingError."""
        if self.coordinator != coordinator.hash:
            raise SealingError(f"The manifest names another card as the coordinator's than that of '{coordinator.name}'.", code="signature")
        verify(read("manifest", self.text, MANIFEST), coordinator.signing)

    @property
    def name(self) -> str:
        return self.terms.name

    @property
    def description(self) -> str:
        return self.terms.description

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        return self.terms.tasks

    @property
    def definition(self) -> Mapping[str, Any]:
        return self.terms.definition


@dataclass(frozen=True, kw_only=True)
class View:
    """What one member is told of one version besides. `card`: its own; `chain`: the coordinator's; `identity`: the group's."""

    card: Card
    chain: tuple[Card, ...]
    identity: Identity
    manifest: str
    project: str
    salt: str = field(repr=False)
    version: int
    text: str = field(repr=False)

    @staticmethod
    def parse(text: str | bytes) -> "View":
        """Whose it is, `verify` says. Raises SealingError."""
        statement = read("view", text, VIEW)
        body = statement.body
        return View(
            card=Card.parse(body["card"]),
            chain=tuple(Card.parse(card) for card in body["chain"]),
            identity=Identity.parse(body["identity"]),
            manifest=body["manifest"],
            project=body["project"],
            salt=body["salt"],
            version=body["version"],
            text=statement.text,
        )

    def verify(self, coordinator: Card) -> None:
        """That it is signed by this card. Raises SealingError."""
        verify(read("view", self.text, VIEW), coordinator.signing)


def make_manifest(
    keys: SiteKeys,
    chain: Sequence[Card],
    terms: Terms,
    project: str,
    members: Sequence[Card],
    previous: Manifest | None,
    created: datetime | None = None,
) -> tuple[Manifest, Identity, dict[str, bytes]]:
    """The next version, its group's identity, and the letter to each member by the hash of its card.

    `chain`: the coordinator's cards, from version 1 to that of `keys`; `members`: with the coordinator or without; `created`: now.
    Raises SealingError.
    """
    if follow(None, chain) != keys.card:
        raise SealingError("The coordinator's chain does not end at the card of its keys.", code="chain")
    if previous is not None and previous.project != project:
        raise SealingError("The manifest before is another project's.", code="other-project")
    group = Identity.generate()
    known = [Member(card=card, salt=secrets.token_hex(16)) for card in _with_coordinator(members, keys.card)]
    body = {
        "coordinator": keys.card.hash,
        "created": time_text(created or datetime.now(UTC)),
        "definition": terms.definition,
        "description": terms.description,
        "group": group.recipient,
        "members": list(commitments.padded(member.commitment for member in known)),
        "name": terms.name,
        "previous": previous.hash if previous else None,
        "project": project,
        "promises": {},
        "tasks": list(terms.tasks),
        "version": previous.version + 1 if previous else 1,
    }
    manifest = Manifest.parse(sign("manifest", body, keys.signing).text)
    return manifest, group, {member.card.hash: _letter(keys, chain, manifest, group, member) for member in known}


def open_letter(letter: bytes, identities: Sequence[Identity]) -> tuple[Manifest, View]:
    """Both are well-formed; nothing of them is to be used before `check_letter`. Raises SealingError."""
    plain = age.open_with(letter, identities, "The letter with the manifest", LONGEST_LETTER)
    lines = plain.split(b"\n", 3)
    return Manifest.parse(plain[: len(plain) - len(lines[-1])]), View.parse(lines[-1])


def check_letter(manifest: Manifest, view: View, own: Card, pinned: Card, project: str, highest: Manifest | None) -> Card:
    """The coordinator's newest card, to be pinned from now on.

    `own`: the site's present card; `pinned`: the coordinator's that was seen last; `project`: the one that was joined; `highest`: the
    manifest that was kept last. Raises SealingError, which names what is wrong.
    """
    coordinator = follow(pinned, view.chain)
    manifest.verify(coordinator)
    view.verify(coordinator)
    if not manifest.project == view.project == project:
        raise SealingError("The letter is of another project than the one that was joined.", code="other-project")
    if view.manifest != manifest.hash or view.version != manifest.version:
        raise SealingError("The letter holds a view that belongs to another manifest.", code="other-manifest")
    if view.identity.recipient != manifest.group:
        raise SealingError("The letter holds an identity that is not that of the manifest's group.", code="other-group")
    if view.card != own:
        raise SealingError(f"The letter is for version {view.card.version} of this site's card, not for {own.version}.", code="other-card")
    commitment = commitments.member(view.salt, own.hash)
    if not any(hmac.compare_digest(commitment, member) for member in manifest.members):
        raise SealingError("This site is not among the members to which the manifest commits.", code="not-member")
    if highest is not None:
        _check_version(manifest, highest)
    return coordinator


def _check_version(manifest: Manifest, highest: Manifest) -> None:
    seen = f"Version {highest.version} of the manifest is kept"
    if manifest.version < highest.version:
        raise SealingError(f"{seen}, and version {manifest.version} was shown.", code="rollback")
    if manifest.version == highest.version and manifest != highest:
        raise SealingError(f"{seen}, and another manifest of that version was shown.", code="fork")
    if manifest.version == highest.version + 1 and manifest.previous != highest.hash:
        raise SealingError(f"{seen}, and version {manifest.version} does not follow from it.", code="gap")


def _with_coordinator(members: Sequence[Card], coordinator: Card) -> list[Card]:
    """Each site once. Raises SealingError."""
    cards = [coordinator, *(card for card in members if card != coordinator)]
    for place, card in enumerate(cards):
        if any(card.uid == other.uid for other in cards[:place]):
            raise SealingError(f"The site '{card.name}' is a member twice, or has the UUID of another.", code="fork")
    return cards


def _letter(keys: SiteKeys, chain: Sequence[Card], manifest: Manifest, group: Identity, member: Member) -> bytes:
    body = {
        "card": member.card.text,
        "chain": [card.text for card in chain],
        "identity": group.text,
        "manifest": manifest.hash,
        "project": manifest.project,
        "salt": member.salt,
        "version": manifest.version,
    }
    view = View.parse(sign("view", body, keys.signing).text)
    return age.seal_to(f"{manifest.text}{view.text}".encode("ascii"), [member.card.recipient])
