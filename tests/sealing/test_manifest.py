"""Manifests, letters and orders: a member accepts only what leads on from what it has kept, and is told of nobody else."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.sealing import age, canonical, commitments
from starfish.sealing.keys import Card, Identity, SiteKeys, new_keys, rotated
from starfish.sealing.manifest import (
    KeptOrder,
    Manifest,
    Member,
    Order,
    View,
    check_letter,
    check_order,
    make_manifest,
    make_order,
    open_letter,
    open_order,
)
from starfish.sealing.statements import Kind, sign
from tests.sealing.study import HOUR, NOW, PROJECT, TERMS, flips, refused, site, some, study

WORLD = study()
OWN, PINNED = WORLD.north, WORLD.first.card
LETTER = WORLD.letters[OWN.card.hash]
MANIFEST, VIEW = open_letter(LETTER, [OWN.identity])


def body_of(statement: Manifest | View | Order) -> dict[str, Any]:
    return canonical.loads(statement.text.split("\n")[1], "It")


def accept(manifest: Manifest = MANIFEST, view: View = VIEW, **changes: Any) -> Card:
    known: Mapping[str, Any] = {"own": OWN.card, "pinned": PINNED, "project": PROJECT, "highest": None}
    return check_letter(manifest, view, **{**known, **changes})


def next_manifest(previous: Manifest | None, *, keys: SiteKeys = WORLD.coordinator, **changes: Any) -> tuple[Manifest, View]:
    """As `north` reads it."""
    known: Mapping[str, Any] = {"chain": WORLD.chain, "terms": TERMS, "project": PROJECT, "members": [OWN.card], "created": NOW}
    _, _, letters = make_manifest(keys=keys, previous=previous, **{**known, **changes})
    return open_letter(letters[OWN.card.hash], [OWN.identity])


@cache
def versions() -> list[tuple[Manifest, View]]:
    known = [(MANIFEST, VIEW)]
    while len(known) < 5:
        known.append(next_manifest(known[-1][0]))
    return known


def forged_view(key: Any = WORLD.coordinator.signing, **changes: Any) -> View:
    return View.parse(sign("view", body_of(VIEW) | changes, key).text)


def test_each_member_opens_its_own_letter_and_learns_the_coordinators_newest_card() -> None:
    for keys in (WORLD.coordinator, WORLD.north, WORLD.south):
        manifest, view = open_letter(WORLD.letters[keys.card.hash], [keys.identity])
        assert manifest == WORLD.manifest
        assert view.identity == WORLD.group
        assert accept(manifest, view, own=keys.card) == WORLD.coordinator.card
    assert MANIFEST.terms == TERMS
    assert (MANIFEST.tasks, MANIFEST.version, MANIFEST.previous) == (TERMS.tasks, 1, None)


def test_no_letter_names_another_participant() -> None:
    plain = age.open_with(LETTER, [OWN.identity], "It", 1 << 20).decode()
    other = WORLD.south.card
    assert OWN.card.uid in plain
    for secret in (other.uid, other.name, other.recipient, other.hash, WORLD.south.card.text.split("\n")[1]):
        assert secret not in plain
    assert len(MANIFEST.members) == 64


def test_letters_do_not_show_how_many_members_there_are() -> None:
    for count, length in ((1, 64), (63, 64), (64, 512)):
        hashes = [Member(card=replace(OWN.card, hash=f"{number:064x}"), salt="0" * 32).commitment for number in range(count + 1)]
        assert len(commitments.padded(hashes)) == length
    refused(lambda: commitments.padded(f"{number:064x}" for number in range(4097)), "size")


@given(st.sets(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=80))
def test_commitments_are_there_in_order_among_others(hashes: set[str]) -> None:
    padded = commitments.padded(hashes)
    assert hashes <= set(padded)
    assert list(padded) == sorted(set(padded))
    assert len(padded) == (64 if len(hashes) <= 64 else 512)


def test_a_letter_is_for_one_site() -> None:
    refused(lambda: open_letter(LETTER, [WORLD.south.identity]), "decryption")
    refused(lambda: open_letter(LETTER, []), "decryption")
    assert open_letter(LETTER, [WORLD.south.identity, OWN.identity]) == (MANIFEST, VIEW)


def test_no_bit_of_a_letter_can_be_flipped_and_nothing_cut() -> None:
    for spoiled in flips(LETTER, some(LETTER, 33, all_before=LETTER.index(b"\n--- ") + 60)):
        refused(lambda spoiled=spoiled: open_letter(spoiled, [OWN.identity]), "decryption", "form")
    for end in range(0, len(LETTER), 37):
        refused(lambda end=end: open_letter(LETTER[:end], [OWN.identity]), "decryption", "form")
    refused(lambda: open_letter(LETTER + b"\0", [OWN.identity]), "decryption")


@pytest.mark.parametrize(
    "text", ["", MANIFEST.text, VIEW.text, VIEW.text + MANIFEST.text, MANIFEST.text + VIEW.text + "\n", MANIFEST.text * 2], ids=range(6)
)
def test_a_letter_holds_a_manifest_and_a_view(text: str) -> None:
    letter = age.seal_to(text.encode(), [OWN.card.recipient])
    refused(lambda: open_letter(letter, [OWN.identity]), "form")


def test_a_letter_has_a_limit() -> None:
    refused(lambda: open_letter(LETTER + bytes(9 << 20), [OWN.identity]), "size")
    long = b"age-encryption.org/v1\n-> X25519 A\n" + b"A" * 64 + (b"\n" + b"A" * 64) * 10_000
    refused(lambda: open_letter(long, [OWN.identity]), "form")


def test_only_the_coordinator_signs() -> None:
    stranger = site(9)
    refused(lambda: accept(view=forged_view(stranger.signing)), "signature")
    refused(lambda: accept(view=forged_view(WORLD.first.signing)), "signature")
    forged = Manifest.parse(sign("manifest", body_of(MANIFEST), stranger.signing).text)
    assert forged == MANIFEST, "by its hash"
    refused(lambda: accept(forged), "signature")
    misnamed = Manifest.parse(sign("manifest", body_of(MANIFEST) | {"coordinator": WORLD.first.card.hash}, WORLD.coordinator.signing).text)
    refused(lambda: accept(misnamed, forged_view(manifest=misnamed.hash)), "signature")
    others, view = next_manifest(None, keys=stranger, chain=[stranger.card])
    refused(lambda: accept(others, view), "chain")


def test_the_chain_leads_on_from_the_pinned_card() -> None:
    assert accept(pinned=WORLD.coordinator.card) == WORLD.coordinator.card
    refused(lambda: accept(pinned=rotated(WORLD.coordinator).card), "rollback")
    refused(lambda: accept(pinned=rotated(WORLD.first).card), "fork")
    refused(lambda: accept(pinned=WORLD.south.card), "chain")
    refused(lambda: accept(view=forged_view(chain=[])), "chain")
    refused(lambda: accept(view=forged_view(WORLD.first.signing, chain=[WORLD.first.card.text])), "signature")


def test_each_check_has_its_name() -> None:
    newer = rotated(OWN)
    refused(lambda: accept(project="f" * 32), "other-project")
    refused(lambda: accept(view=forged_view(project="f" * 32)), "other-project")
    refused(lambda: accept(view=forged_view(manifest="0" * 64)), "other-manifest")
    refused(lambda: accept(view=forged_view(version=2)), "other-manifest")
    refused(lambda: accept(view=forged_view(identity=Identity.generate().text)), "other-group")
    refused(lambda: accept(view=forged_view(salt="0" * 32)), "not-member")
    refused(lambda: accept(own=WORLD.south.card), "other-card")
    refused(lambda: accept(own=newer.card), "other-card")
    refused(lambda: accept(view=forged_view(card=newer.card.text), own=newer.card), "not-member")
    refused(lambda: forged_view(card=OWN.card.text.replace("Site 2", "Site 4")), "signature")


@given(st.integers(0, 4), st.integers(0, 4))
def test_versions_only_go_up(kept: int, shown: int) -> None:
    manifest, view = versions()[shown]
    if shown < kept:
        assert "is kept" in str(refused(lambda: accept(manifest, view, highest=versions()[kept][0]), "rollback"))
    else:
        accept(manifest, view, highest=versions()[kept][0])


def test_another_manifest_of_a_kept_version_and_one_that_does_not_follow() -> None:
    twin, view = next_manifest(MANIFEST)
    refused(lambda: accept(twin, view, highest=versions()[1][0]), "fork")
    third, view = next_manifest(twin)
    assert accept(third, view, highest=MANIFEST), "some may have been missed"
    refused(lambda: accept(third, view, highest=versions()[1][0]), "gap")


def test_a_site_is_a_member_once() -> None:
    twin = new_keys(uid=OWN.card.uid, name="Twin", created=NOW).card
    for members in ([OWN.card, OWN.card], [OWN.card, twin], [rotated(WORLD.coordinator).card]):
        refused(lambda members=members: next_manifest(None, members=members), "fork")
    assert next_manifest(None, members=[WORLD.coordinator.card, OWN.card])


def test_what_no_manifest_is_made_of() -> None:
    refused(lambda: next_manifest(None, chain=[WORLD.first.card]), "chain")
    refused(lambda: next_manifest(None, keys=WORLD.first), "chain")
    refused(lambda: next_manifest(MANIFEST, project="f" * 32), "other-project")
    refused(lambda: next_manifest(None, terms=replace(TERMS, description="x" * (2 << 20))), "value")
    refused(lambda: next_manifest(None, terms=replace(TERMS, definition={"x": float("nan")})), "value")


def task(**changes: Any) -> dict[str, Any]:
    return {**TERMS.tasks[0], **changes}


STRANGE: list[tuple[Kind, dict[str, Any]]] = [
    ("manifest", {"promises": {"quorum": 1}}),
    ("manifest", {"promises": []}),
    ("manifest", {"version": 2}),
    ("manifest", {"version": 0}),
    ("manifest", {"previous": "0" * 64}),
    ("manifest", {"members": list(MANIFEST.members[:63])}),
    ("manifest", {"members": list(MANIFEST.members[::-1])}),
    ("manifest", {"members": [MANIFEST.members[0], *MANIFEST.members[:63]]}),
    ("manifest", {"members": "0" * 64}),
    ("manifest", {"tasks": [task(seq=2)]}),
    ("manifest", {"tasks": [task(), task()]}),
    ("manifest", {"tasks": [task(seq=True)]}),
    ("manifest", {"tasks": [task(config={})]}),
    ("manifest", {"tasks": [task(config={"total_round": 0})]}),
    ("manifest", {"tasks": [task(more=1)]}),
    ("manifest", {"tasks": [[]]}),
    ("manifest", {"tasks": {}}),
    ("manifest", {"name": ""}),
    ("manifest", {"definition": []}),
    ("manifest", {"group": OWN.card.recipient.upper()}),
    ("manifest", {"more": 1}),
    ("view", {"identity": OWN.card.recipient}),
    ("view", {"chain": "x"}),
    ("view", {"chain": [1]}),
    ("view", {"chain": ["x"] * 1001}),
    ("view", {"salt": "0"}),
    ("view", {"more": 1}),
    ("order", {"batch": 0}),
    ("order", {"batch": True}),
    ("order", {"nonce": "0" * 31}),
    ("order", {"expires": body_of(WORLD.order)["created"]}),
    ("order", {"created": "2026-11-24"}),
    ("order", {"more": 1}),
]


@pytest.mark.parametrize(("kind", "changes"), STRANGE, ids=range(len(STRANGE)))
def test_values_that_they_cannot_have(kind: Kind, changes: dict[str, Any]) -> None:
    known: Manifest | View | Order = {"manifest": MANIFEST, "view": VIEW, "order": WORLD.order}[kind]  # type: ignore[assignment]
    text = sign(kind, body_of(known) | changes, WORLD.coordinator.signing).text
    refused(lambda: type(known).parse(text), "value")


def check(order: Order, **changes: Any) -> None:
    known: Mapping[str, Any] = {"coordinator": WORLD.coordinator.card, "manifest": MANIFEST, "batch": order.batch, "now": NOW, "kept": None}
    check_order(order, **{**known, **changes})


def order_of(batch: int, manifest: Manifest = MANIFEST) -> Order:
    return make_order(keys=WORLD.coordinator, manifest=manifest, batch=batch, created=NOW, expires=NOW + HOUR)


def test_an_order_is_opened_by_the_group() -> None:
    sealed = WORLD.order.sealed(MANIFEST.group)
    assert open_order(sealed, WORLD.group) == WORLD.order
    check(open_order(sealed, VIEW.identity))
    refused(lambda: open_order(sealed, OWN.identity), "decryption")
    refused(lambda: open_order(sealed + bytes(1 << 15), WORLD.group), "size")
    for spoiled in (*flips(sealed, some(sealed, 5)), *(sealed[:end] for end in range(0, len(sealed), 7))):
        refused(lambda spoiled=spoiled: open_order(spoiled, WORLD.group), "decryption", "form")


def test_each_check_of_an_order_has_its_name() -> None:
    order = WORLD.order
    other, _ = next_manifest(None)
    refused(lambda: check(order, batch=2), "other-batch")
    refused(lambda: check(order, manifest=other), "other-manifest")
    refused(lambda: check(order, manifest=versions()[1][0]), "other-manifest")
    refused(lambda: check(order, manifest=next_manifest(None, project="f" * 32)[0]), "other-project")
    refused(lambda: check(order, coordinator=WORLD.first.card), "signature")
    refused(lambda: check(Order.parse(sign("order", body_of(order), OWN.signing).text)), "signature")
    refused(lambda: check(order, now=NOW + HOUR), "expired")
    check(order, now=NOW + HOUR - timedelta(seconds=1))
    refused(lambda: make_order(WORLD.first, MANIFEST, 1, NOW, NOW + HOUR), "keys")


@given(st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_no_number_is_taken_twice_but_by_the_very_same_order(kept: int, shown: int, late: bool) -> None:
    now = NOW + 2 * HOUR if late else NOW
    old, new = order_of(kept), order_of(shown)
    if shown > kept and not late:
        check(new, kept=old, now=now)
    else:
        code = "expired" if shown > kept else "fork" if shown == kept else "rollback"
        refused(lambda: check(new, kept=KeptOrder(batch=kept, hash=old.hash), now=now), code)
    check(old, kept=KeptOrder(batch=kept, hash=old.hash), now=now)


def test_two_orders_of_one_number_differ() -> None:
    assert order_of(1) != order_of(1)
