"""Batch orders: without one no site computes, and no number is ordered twice (docs/spec/manifest.md)."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from starfish.sealing import age
from starfish.sealing.age import Identity
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import HASH, NONCE, TIME, number, parse_time, time_text
from starfish.sealing.keys import Card, SiteKeys
from starfish.sealing.statements import read, sign, verify

if TYPE_CHECKING:
    from starfish.sealing.manifest import Manifest

SCHEMA = {"batch": number(1), "created": TIME, "expires": TIME, "manifest": HASH, "nonce": NONCE, "project": NONCE}
LONGEST = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Order:
    """That batch `batch` of a project may begin, under the manifest of that hash. Two are equal where their hashes are."""

    hash: str
    batch: int = field(compare=False)
    created: datetime = field(compare=False)
    expires: datetime = field(compare=False)
    manifest: str = field(compare=False)
    nonce: str = field(compare=False)
    project: str = field(compare=False)
    text: str = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str | bytes) -> "Order":
        """Whose it is, `verify` says. Raises SealingError."""
        statement = read("order", text, SCHEMA)
        body = statement.body
        created, expires = parse_time(body["created"]), parse_time(body["expires"])
        if expires <= created:
            raise SealingError("An order has expired before it was made.", code="value")
        times = {"created": created, "expires": expires}
        return Order(**{**body, **times}, hash=statement.hash, text=statement.text)

    def verify(self, coordinator: Card) -> None:
        """That it is signed by this card. Raises SealingError."""
        verify(read("order", self.text, SCHEMA), coordinator.signing)

    def sealed(self, recipient: str) -> bytes:
        """For the group of the manifest. Raises SealingError."""
        return age.seal_to(self.text.encode("ascii"), [recipient])


@dataclass(frozen=True, kw_only=True)
class KeptOrder:
    """The order of the highest number that a site has accepted."""

    batch: int
    hash: str


def make_order(keys: SiteKeys, manifest: "Manifest", batch: int, created: datetime, expires: datetime) -> Order:
    """The caller keeps `batch` before it asks, and never asks twice for one number. Raises SealingError."""
    if manifest.coordinator != keys.card.hash:
        raise SealingError("An order is signed by the card that the manifest names, and these are the keys of another.", code="keys")
    body = {
        "batch": batch,
        "created": time_text(created),
        "expires": time_text(expires),
        "manifest": manifest.hash,
        "nonce": secrets.token_hex(16),
        "project": manifest.project,
    }
    return Order.parse(sign("order", body, keys.signing).text)


def open_order(data: bytes, identity: Identity) -> Order:
    """`identity`: the group's. Nothing of it is to be used before `check_order`. Raises SealingError."""
    return Order.parse(age.open_with(data, [identity], "The batch order", LONGEST))


def check_order(order: Order, coordinator: Card, manifest: "Manifest", batch: int, now: datetime, kept: Order | KeptOrder | None) -> None:
    """That this site may compute for it. `manifest`: the highest that was kept; `batch`: the number that the Routing Server says.

    Raises SealingError, which names what is wrong.
    """
    what = f"The order for batch {batch} of '{manifest.name}' is refused"
    if manifest.coordinator != coordinator.hash:
        raise SealingError(f"{what}: the manifest names another card than that of '{coordinator.name}'.", code="signature")
    order.verify(coordinator)
    if order.project != manifest.project:
        raise SealingError(f"{what}: it is of another project.", code="other-project")
    if order.manifest != manifest.hash:
        raise SealingError(f"{what}: it was given under another version of the manifest.", code="other-manifest")
    if order.batch != batch:
        raise SealingError(f"{what}: it is for batch {order.batch}.", code="other-batch")
    if kept is not None and (kept.batch, kept.hash) == (order.batch, order.hash):
        return
    if kept is not None and order.batch <= kept.batch:
        raise SealingError(
            f"{what}: an order for batch {kept.batch} was accepted already.", code="fork" if order.batch == kept.batch else "rollback"
        )
    if now >= order.expires:
        raise SealingError(f"{what}: it had expired when this site first saw it.", code="expired")
