"""Statements: strict before anybody looks at a signature, and then whose it is."""

from typing import Any

import pytest

from starfish.sealing.errors import SealingError
from starfish.sealing.fields import HASH, number
from starfish.sealing.keys import SCHEMA as CARD_SCHEMA
from starfish.sealing.keys import Card, SigningKey
from starfish.sealing.manifest import Manifest, Order, View, open_letter
from starfish.sealing.statements import LIMITS, Kind, read, sign, verify
from tests.sealing.study import flips, refused, some, study

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
SCHEMA = {"a": number(1), "h": HASH}
BODY = {"a": 1, "h": "ab" * 32}
TEXT = sign("order", BODY, KEY).text


def test_signed_and_read() -> None:
    statement = read("order", TEXT, SCHEMA)
    assert statement.body == BODY
    assert statement == sign("order", BODY, KEY) == read("order", TEXT.encode(), SCHEMA)
    verify(statement, KEY.public)
    refused(lambda: verify(statement, OTHER.public), "signature")
    refused(lambda: verify(statement, bytes(32)), "signature")
    refused(lambda: verify(statement, KEY.public, 1), "signature")


def test_the_hash_is_of_what_is_signed_whoever_signs() -> None:
    assert sign("order", BODY, KEY).hash == sign("order", BODY, OTHER).hash
    assert sign("order", BODY, KEY).hash != sign("view", BODY, KEY).hash


@pytest.mark.parametrize("other", ["card", "manifest", "view"])
def test_a_signature_of_one_kind_is_none_of_another(other: Kind) -> None:
    refused(lambda: read(other, TEXT, SCHEMA), "form")
    moved = read(other, TEXT.replace("starfish/order/1", f"starfish/{other}/1"), SCHEMA)
    refused(lambda: verify(moved, KEY.public), "signature")


@pytest.mark.parametrize("kind", ["card", "manifest", "view", "order"])
def test_limits_come_before_reading(kind: Kind) -> None:
    refused(lambda: read(kind, "x" * (LIMITS[kind] + 1), SCHEMA), "size")
    refused(lambda: sign(kind, {"a": "x" * LIMITS[kind]}, KEY), "size")
    nested = f"starfish/{kind}/1\n" + "[" * (LIMITS[kind] - 110) + f"\n{'A' * 86}==\n"
    refused(lambda: read(kind, nested, SCHEMA), "form")


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
FIRST, SECOND, SIGNATURE, _ = TEXT.split("\n")
STRANGE = {
    "empty": "",
    "no signature": f"{FIRST}\n{SECOND}\n",
    "no end": TEXT[:-1],
    "something behind": TEXT + " ",
    "a line behind": TEXT + "\n",
    "a second signature": TEXT + SIGNATURE + "\n",
    "a third signature": TEXT + (SIGNATURE + "\n") * 2,
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "a mark of byte order": "\ufeff" + TEXT,
    "a NUL": TEXT.replace("\n", "\0\n", 1),
    "version 2": TEXT.replace("/1", "/2"),
    "an umlaut": TEXT.replace('"a"', '"ä"'),
    "a blank": TEXT.replace(":1", ": 1"),
    "another key": TEXT.replace('"a":1', '"a":1,"b":1'),
    "a key less": TEXT.replace('"a":1,', ""),
    "text for a number": TEXT.replace('"a":1', '"a":"1"'),
    "truth for a number": TEXT.replace('"a":1', '"a":true'),
    "a broken number": TEXT.replace('"a":1', '"a":1.0'),
    "zero": TEXT.replace('"a":1', '"a":0'),
    "capitals": TEXT.replace("ab" * 32, "AB" * 32),
    "a short hash": TEXT.replace("ab" * 32, "ab" * 31),
    "no object": TEXT.replace(SECOND, "[]"),
    "a short signature": TEXT.replace(SIGNATURE, SIGNATURE[4:]),
    "Base64 with other last bits": TEXT.replace(SIGNATURE, SIGNATURE[:-3] + ALPHABET[ALPHABET.index(SIGNATURE[-3]) ^ 1] + "=="),
    "no Base64": TEXT.replace(SIGNATURE, "*" * 88),
}


@pytest.mark.parametrize("how", STRANGE)
def test_strange_forms_are_refused(how: str) -> None:
    refused(lambda: read("order", STRANGE[how], SCHEMA), "form", "value")


def test_invalid_utf_8_is_refused() -> None:
    refused(lambda: read("order", TEXT.encode().replace(b'"a"', b'"\xff"'), SCHEMA), "form")
    refused(lambda: read("order", TEXT.encode().replace(b'"a"', b'"\xed\xa0\x80"'), SCHEMA), "form")


def every_check(kind: str, text: bytes) -> None:
    """All that a reader does with a statement of this kind."""
    world = study()
    if kind == "card":
        card = Card.parse(text)
        verify(read("card", card.text, CARD_SCHEMA), world.first.signing.public, 1)
    elif kind == "manifest":
        Manifest.parse(text).verify(world.coordinator.card)
    elif kind == "order":
        Order.parse(text).verify(world.coordinator.card)
    else:
        View.parse(text).verify(world.coordinator.card)


def texts() -> dict[str, bytes]:
    world = study()
    _, view = open_letter(world.letters[world.north.card.hash], [world.north.identity])
    texts: dict[str, Any] = {"card": world.coordinator.card, "order": world.order, "manifest": world.manifest, "view": view}
    return {kind: value.text.encode() for kind, value in texts.items()}


@pytest.mark.parametrize("kind", ["card", "order", "manifest", "view"])
def test_no_bit_can_be_flipped_and_nothing_cut(kind: str) -> None:
    text = texts()[kind]
    every_check(kind, text)
    for spoiled in flips(text, some(text, 1 if len(text) < 2000 else 131)):
        with pytest.raises(SealingError):
            every_check(kind, spoiled)
    for end in range(0, len(text), 1 + len(text) // 250):
        with pytest.raises(SealingError):
            every_check(kind, text[:end])
