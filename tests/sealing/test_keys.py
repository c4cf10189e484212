"""Keys in forms that other programs read, cards that only their owner can make, chains that only lead on."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.sealing import age
from starfish.sealing.keys import Card, Identity, SigningKey, SiteKeys, fingerprint, follow, new_keys, rotated, short_code
from starfish.sealing.statements import sign
from tests.sealing.study import NOW, refused, site, study

KEYS = [site(7)]
while len(KEYS) < 6:
    KEYS.append(rotated(KEYS[-1], created=NOW))
CARDS = [keys.card for keys in KEYS]
FORK = rotated(KEYS[2], created=NOW)
LOW_ORDER = [
    "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
    "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
    "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
]


def body_of(card: Card) -> dict[str, Any]:
    from starfish.sealing.canonical import loads

    return loads(card.text.split("\n")[1], "It")


def test_keys_survive_their_files() -> None:
    keys = site(1)
    assert SigningKey.from_pem(keys.signing.to_pem()) == keys.signing
    assert SigningKey.from_pem(keys.signing.to_pem()).sign(b"x") == keys.signing.sign(b"x")
    assert Identity.parse(keys.identity.text) == keys.identity
    assert re.fullmatch(r"AGE-SECRET-KEY-1[A-Z0-9]{58}", keys.identity.text)


def test_what_is_no_identity_and_no_key() -> None:
    text = study().north.identity.text
    for other in ("", "x", "ä", "AGE-SECRET-KEY-1", text.lower(), text + "\n", text[:-1], f" {text}"):
        with pytest.raises(ValueError, match="no age identity") as caught:
            Identity.parse(other)
        assert text[16:] not in str(caught.value).upper()
        with pytest.raises(ValueError, match="PKCS #8"):
            SigningKey.from_pem(other)


def test_another_kind_of_key_is_none() -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="Ed25519"):
        SigningKey.from_pem(pem)


def test_no_secret_is_shown() -> None:
    world = study()
    shown = repr(world) + str(world.north)
    for keys in (world.first, world.coordinator, world.north, world.south):
        assert keys.identity.text not in shown
        assert keys.signing.private.private_bytes_raw().hex() not in shown
    assert world.group.text not in shown
    assert "AGE-SECRET" not in shown


def test_keys_belong_to_their_card() -> None:
    one, other = site(1), site(2)
    refused(lambda: SiteKeys(card=one.card, signing=other.signing, identity=one.identity), "keys")
    refused(lambda: SiteKeys(card=one.card, signing=one.signing, identity=other.identity), "keys")


def test_a_fingerprint_is_a_hash_in_groups() -> None:
    card = CARDS[0]
    assert re.fullmatch(r"([A-Z2-7]{4}-){7}[A-Z2-7]{4}", fingerprint(card))
    assert fingerprint(card) == fingerprint(card.hash) == card.fingerprint
    assert fingerprint("00" * 32) == "-".join(["AAAA"] * 8)
    assert short_code("ff" * 32) == "-".join(["7777"] * 4)
    assert fingerprint(card).startswith(short_code(card.hash))


@pytest.mark.parametrize("name", ["", "x" * 101, " North", "North ", "No\nrth", "No\0rth", "North\u202e", "\u00a0"])
def test_names_that_a_card_cannot_have(name: str) -> None:
    refused(lambda: new_keys(uid=CARDS[0].uid, name=name, created=NOW), "value", "form")


@pytest.mark.parametrize("uid", ["", "1", "0" * 32, CARDS[0].uid.replace("-", ""), "{" + CARDS[0].uid + "}", "A" + CARDS[0].uid[1:]])
def test_uids_that_a_card_cannot_have(uid: str) -> None:
    refused(lambda: new_keys(uid=uid, name="North", created=NOW), "value")


def test_recipients_to_which_nothing_can_be_sealed_are_refused_in_the_card() -> None:
    own = CARDS[0].recipient
    for recipient in (*LOW_ORDER, "", "age1", own.upper(), own[:-1] + ("b" if own[-1] != "b" else "d"), f"{own} ", "ssh-ed25519 AAAA"):
        text = sign("card", body_of(CARDS[0]) | {"recipient": recipient}, KEYS[0].signing).text
        refused(lambda text=text: Card.parse(text), "value")
        refused(lambda recipient=recipient: age.seal_to(b"x", [recipient]), "recipients")


def test_a_card_signs_itself() -> None:
    text = sign("card", body_of(CARDS[0]), KEYS[1].signing).text
    refused(lambda: Card.parse(text), "signature")


def test_a_card_has_the_signatures_of_its_version() -> None:
    first, second = body_of(CARDS[0]), body_of(CARDS[1])
    refused(lambda: Card.parse(sign("card", first, KEYS[0].signing, KEYS[0].signing).text), "form")
    refused(lambda: Card.parse(sign("card", second, KEYS[1].signing).text), "form")
    refused(lambda: Card.parse(sign("card", second | {"previous": None}, KEYS[1].signing, KEYS[0].signing).text), "value")
    refused(lambda: Card.parse(sign("card", first | {"previous": "00" * 32}, KEYS[0].signing).text), "value")


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 6))
def test_a_chain_leads_on_from_the_known_card(known: int, start: int, end: int) -> None:
    chain = CARDS[start:end]
    if not chain:
        refused(lambda: follow(CARDS[known], chain), "chain")
    elif end - 1 < known:
        refused(lambda: follow(CARDS[known], chain), "rollback")
    elif start > known + 1:
        refused(lambda: follow(CARDS[known], chain), "chain")
    else:
        assert follow(CARDS[known], [card.text for card in chain]) == CARDS[end - 1]


@given(st.permutations(CARDS), st.integers(0, 6), st.booleans())
def test_a_shuffled_chain_or_one_with_gaps_is_none(cards: list[Card], length: int, pinned: bool) -> None:
    chain = cards[:length]
    if chain != CARDS[:length] or not chain:
        versions = [card.version for card in chain]
        inner = versions == list(range(versions[0], versions[0] + length)) if versions else False
        if not (pinned and inner):
            refused(lambda: follow(CARDS[0] if pinned else None, chain), "chain")


def test_a_chain_without_a_known_card_begins_with_version_1() -> None:
    assert follow(None, CARDS) == CARDS[-1]
    refused(lambda: follow(None, CARDS[1:]), "chain")
    refused(lambda: follow(None, [CARDS[0]] * 1001), "chain")


def test_another_card_of_a_known_version_is_a_fork() -> None:
    refused(lambda: follow(CARDS[3], [*CARDS[:3], FORK.card]), "fork")
    assert FORK.card != CARDS[3]


def test_only_who_holds_the_old_key_can_rotate() -> None:
    thief = rotated(KEYS[0], created=NOW)
    forged = sign("card", body_of(thief.card), thief.signing, site(9).signing).text
    assert Card.parse(forged) == thief.card, "by its hash it is the same"
    refused(lambda: follow(CARDS[0], [CARDS[0], forged]), "signature")
    refused(lambda: follow(CARDS[0], [forged]), "signature")
    refused(lambda: follow(None, [CARDS[0], forged]), "signature")


def test_a_chain_stays_with_its_site() -> None:
    stranger = site(8)
    body = body_of(CARDS[1]) | {"uid": stranger.card.uid}
    other = sign("card", body, KEYS[1].signing, KEYS[0].signing).text
    refused(lambda: follow(CARDS[0], [CARDS[0], other]), "chain")
    refused(lambda: follow(None, [CARDS[0], other]), "chain")
    refused(lambda: follow(stranger.card, [CARDS[0]]), "chain")
    refused(lambda: follow(stranger.card, CARDS[:2]), "chain")


def test_a_site_may_take_another_name_when_it_rotates() -> None:
    renamed = rotated(KEYS[-1], created=NOW, name="Elsewhere")
    assert follow(CARDS[-1], [renamed.card]).name == "Elsewhere"
    assert renamed.card.uid == CARDS[0].uid
    assert replace(renamed.card, name="x") == renamed.card, "a card is its hash"
