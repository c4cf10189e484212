"""A coordinator that has rotated once, two participants, a manifest and an order: what the tests seal, open and spoil."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from starfish.sealing.envelope import Context, Expectation, padded_commits
from starfish.sealing.errors import SealingError
from starfish.sealing.keys import Card, Identity, SiteKeys, new_keys, rotated
from starfish.sealing.manifest import Manifest, Order, Terms, make_manifest, make_order

NOW = datetime(2026, 11, 24, 16, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROJECT = "0123456789abcdef" * 2
TERMS = Terms(
    name="heart",
    description="Größe",
    tasks=[{"config": {"formula": "y ~ x", "l2": 0.1, "total_round": 3}, "model": "LogisticRegression", "seq": 1}],
    definition={"variables": {"x": {"type": "number"}}},
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """`letters`: by the hash of a card; `first`: the coordinator's card of version 1."""

    first: SiteKeys
    coordinator: SiteKeys
    north: SiteKeys
    south: SiteKeys
    manifest: Manifest
    group: Identity
    letters: dict[str, bytes]
    order: Order

    @property
    def chain(self) -> list[Card]:
        return [self.first.card, self.coordinator.card]

    @property
    def recipients(self) -> list[str]:
        """Of what the participant `north` seals."""
        return [self.coordinator.card.recipient, self.north.card.recipient]

    def update(self) -> Context:
        return replace(self._context("update", self.north), base="ab" * 32)

    def model(self, *updates: str) -> Context:
        return replace(self._context("model", self.coordinator), commits=padded_commits(updates))

    def lines(self, number: int) -> Context:
        return replace(self._context("lines", self.north), number=number)

    def expected(self, context: Context, **changes: Any) -> Expectation:
        """By a reader that awaits just this."""
        sender = next(keys.card for keys in (self.coordinator, self.north, self.south, self.first) if keys.card.hash == context.sender)
        keys = ("project", "manifest", "batch", "task", "round", "kind", "base")
        numbered = context.number if context.kind in ("lines", "progress") else None
        return Expectation(**({key: getattr(context, key) for key in keys} | {"sender": sender, "number": numbered} | changes))

    def _context(self, kind: Any, sender: SiteKeys) -> Context:
        return Context(
            project=PROJECT, manifest=self.manifest.hash, batch=self.order.hash, task=1, round=2, kind=kind, sender=sender.card.hash
        )


def site(number: int) -> SiteKeys:
    return new_keys(uid=f"00000000-0000-4000-8000-{number:012}", name=f"Site {number}", created=NOW)


@cache
def study() -> Study:
    """The same for all tests: nothing in it can be changed."""
    first, north, south = site(1), site(2), site(3)
    coordinator = rotated(first, created=NOW)
    manifest, group, letters = make_manifest(
        keys=coordinator,
        chain=[first.card, coordinator.card],
        terms=TERMS,
        project=PROJECT,
        members=[north.card, south.card],
        previous=None,
        created=NOW,
    )
    order = make_order(keys=coordinator, manifest=manifest, batch=1, created=NOW, expires=NOW + HOUR)
    return Study(
        first=first,
        coordinator=coordinator,
        north=north,
        south=south,
        manifest=manifest,
        group=group,
        letters=letters,
        order=order,
    )


def refused(act: Callable[[], object], *codes: str) -> SealingError:
    """The refusal of `act`, which has a sentence; with one of these codes, if any."""
    with pytest.raises(SealingError) as caught:
        act()
    assert not codes or caught.value.code in codes, caught.value
    assert str(caught.value)[0].isupper()
    assert str(caught.value).endswith((".", "…"))
    return caught.value


def flips(data: bytes, places: Iterable[int] | None = None) -> Iterator[bytes]:
    """Each with one bit flipped: every one, or those at `places`."""
    for place in range(8 * len(data)) if places is None else places:
        spoiled = bytearray(data)
        spoiled[place // 8] ^= 1 << place % 8
        yield bytes(spoiled)


def some(data: bytes, every: int, *, all_before: int = 0) -> Iterable[int]:
    """Places of bits: one of `every`, and all of the first bytes."""
    return [*range(8 * all_before), *range(8 * all_before, 8 * len(data), every)]
