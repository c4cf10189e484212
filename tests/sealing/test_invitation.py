"""Joining: what the Routing Server passes on it cannot change, nor make itself."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.sealing import canonical
from starfish.sealing.errors import SealingError
from starfish.sealing.invitation import Invitation, answer, check_answer, check_request, new_invitation, request
from starfish.sealing.keys import Card, SiteKeys, new_keys, rotated
from tests.sealing.study import HOUR, NOW, PROJECT, flips, refused, study

COORDINATOR, JOINER, STRANGER = study().coordinator.card, study().north.card, study().south.card
INVITATION = new_invitation(
    project=PROJECT, router="https://rs.example.org:8443/x", site=JOINER.name, coordinator=COORDINATOR, expires=NOW + HOUR
)
REQUEST = request(INVITATION, COORDINATOR, JOINER)
ANSWER = answer(INVITATION, COORDINATOR, JOINER, True)
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)


def checked(text: str, *, now: datetime = NOW, invitation: Invitation = INVITATION, coordinator: Card = COORDINATOR) -> Card:
    return check_request(invitation, coordinator, text, now=now)


def named_as(card: Card) -> SiteKeys:
    """Somebody else's keys under the name of a site."""
    return new_keys(uid="00000000-0000-4000-8000-000000000099", name=card.name, created=NOW)


@given(TEXTS, st.timedeltas(timedelta(0), timedelta(days=9000)), st.from_regex(r"https?://[a-z0-9.:/-]{1,60}", fullmatch=True))
def test_an_invitation_is_one_line(name: str, after: timedelta, router: str) -> None:
    invitation = new_invitation(project=PROJECT, router=router, site=name, coordinator=COORDINATOR, expires=NOW + after)
    line = invitation.line()
    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    assert Invitation.parse(line) == invitation
    assert invitation.secret not in repr(invitation)


def test_two_invitations_have_nothing_in_common() -> None:
    other = new_invitation(project=PROJECT, router=INVITATION.router, site=JOINER.name, coordinator=COORDINATOR, expires=NOW + HOUR)
    assert {INVITATION.id, INVITATION.secret}.isdisjoint({other.id, other.secret})


def test_the_exchange() -> None:
    assert checked(REQUEST) == JOINER
    assert check_answer(INVITATION, COORDINATOR, JOINER, ANSWER)
    assert not check_answer(INVITATION, COORDINATOR, JOINER, answer(INVITATION, COORDINATOR, JOINER, False))
    assert INVITATION.secret not in REQUEST + ANSWER


def test_no_bit_of_a_line_can_be_flipped_and_nothing_cut() -> None:
    line = INVITATION.line()
    for spoiled in flips(line.encode()):
        with pytest.raises(SealingError):
            Invitation.parse(spoiled.decode("latin-1"))
    for end in range(len(line)):
        refused(lambda end=end: Invitation.parse(line[:end]), "form", "check")


def test_no_bit_of_a_request_or_an_answer_can_be_flipped_and_nothing_cut() -> None:
    for text, act in (
        (REQUEST, checked),
        (ANSWER, lambda text: check_answer(INVITATION, COORDINATOR, JOINER, text)),
    ):
        for spoiled in (*flips(text.encode()), *(text.encode()[:end] for end in range(len(text)))):
            with pytest.raises(SealingError):
                act(spoiled.decode("latin-1"))


def line_of(**changes: Any) -> str:
    """Of an invitation with other values, which need not be any, and right check digits."""
    import base64
    import hashlib

    body = {**INVITATION.public(), "secret": INVITATION.secret, **changes}
    payload = base64.urlsafe_b64encode(canonical.dumps({key: body[key] for key in body if body[key] is not ...}, "It").encode())
    text = payload.decode().rstrip("=")
    return f"starfish-invitation-1.{text}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"v": 1.0},
        {"more": 1},
        {"site": ...},
        {"site": ""},
        {"site": "x" * 101},
        {"site": "a\nb"},
        {"secret": "0" * 31},
        {"secret": "G" * 32},
        {"id": INVITATION.id.upper() + "A"},
        {"coordinator": "0" * 63},
        {"expires": "2026-11-24T16:05:00+00:00"},
        {"expires": "2026-13-24T16:05:00Z"},
        {"expires": 1},
        {"router": "ftp://rs"},
        {"router": "https://r s"},
        {"router": "javascript:alert(1)//https://x"},
        {"router": "https://" + "x" * 501},
        {"router": None},
    ],
)
def test_values_that_an_invitation_cannot_have(changes: dict[str, Any]) -> None:
    refused(lambda: Invitation.parse(line_of(**changes)), "value")


def test_forms_that_an_invitation_cannot_have() -> None:
    line = line_of()
    assert Invitation.parse(line) == INVITATION
    prefix, payload, check = line.split(".")
    strange = [f"{prefix}.{payload}=.{check}", f" {line}", f"{line}\n", f"{line}.", line.upper(), "", f"{prefix}..{check}"]
    for text in (*strange, line.replace("-1.", "-2."), line.replace(prefix, "ｓ" + prefix[1:]), f"{prefix}.{payload}.{check.upper()}X"):
        refused(lambda text=text: Invitation.parse(text), "form")
    refused(lambda: Invitation.parse(line + "A" * 4096), "size")
    refused(lambda: Invitation.parse(line_of(site=..., more="x")), "value")


@pytest.mark.parametrize("key", ["id", "project", "router", "expires", "secret", "site", "coordinator"])
def test_all_of_the_invitation_is_in_the_mac(key: str) -> None:
    other = replace(INVITATION, **{key: getattr(replace(INVITATION, id="0" * 32, project="1" * 32, secret="2" * 32), key)})
    other = {
        "router": replace(INVITATION, router="https://other"),
        "expires": replace(INVITATION, expires=NOW + 2 * HOUR),
        "site": replace(INVITATION, site=STRANGER.name),
        "coordinator": replace(INVITATION, coordinator=study().first.card.hash),
    }.get(key, other)
    assert other != INVITATION
    refused(lambda: checked(REQUEST, invitation=other), "mac", "not-invited")
    refused(lambda: check_answer(other, COORDINATOR, JOINER, ANSWER), "mac", "not-invited")


def test_neither_card_can_be_swapped() -> None:
    thief = named_as(JOINER).card
    swapped = canonical.dumps(json.loads(REQUEST) | {"card": thief.text}, "It")
    refused(lambda: checked(swapped), "mac")
    refused(lambda: check_answer(INVITATION, COORDINATOR, thief, ANSWER), "mac")
    false_coordinator = named_as(COORDINATOR).card
    refused(lambda: request(INVITATION, false_coordinator, JOINER), "not-invited")
    refused(lambda: answer(INVITATION, false_coordinator, JOINER, True), "not-invited")
    refused(lambda: check_answer(INVITATION, false_coordinator, JOINER, ANSWER), "not-invited")


def test_who_has_not_the_secret_can_make_neither_request_nor_answer() -> None:
    guess = replace(INVITATION, secret="0" * 32)
    refused(lambda: checked(request(guess, COORDINATOR, JOINER)), "mac")
    refused(lambda: check_answer(INVITATION, COORDINATOR, JOINER, answer(guess, COORDINATOR, JOINER, True)), "mac")


def test_a_request_is_no_answer() -> None:
    reflected = canonical.dumps({"approved": True, "mac": json.loads(REQUEST)["mac"]}, "It")
    refused(lambda: check_answer(INVITATION, COORDINATOR, JOINER, reflected), "mac")


def test_an_invitation_is_for_one_site() -> None:
    refused(lambda: request(INVITATION, COORDINATOR, STRANGER), "not-invited")
    for_another = request(replace(INVITATION, site=STRANGER.name), COORDINATOR, STRANGER)
    refused(lambda: checked(for_another), "not-invited")


def test_nobody_joins_with_the_coordinators_uid() -> None:
    twin = new_keys(uid=COORDINATOR.uid, name=JOINER.name, created=NOW).card
    refused(lambda: checked(request(INVITATION, COORDINATOR, twin)), "not-invited")


def test_nobody_joins_with_a_members_uid() -> None:
    """Or it would take that member's place."""
    twin = new_keys(uid=STRANGER.uid, name=JOINER.name, created=NOW).card
    text = request(INVITATION, COORDINATOR, twin)
    assert check_request(INVITATION, COORDINATOR, text, now=NOW, members=[JOINER]) == twin
    refused(lambda: check_request(INVITATION, COORDINATOR, text, now=NOW, members=[JOINER, STRANGER]), "not-invited")


def test_an_invitation_ends() -> None:
    checked(REQUEST, now=NOW + HOUR - timedelta(seconds=1))
    refused(lambda: checked(REQUEST, now=NOW + HOUR), "expired")


def test_open_invitations_end_when_the_coordinator_rotates() -> None:
    newer = rotated(study().coordinator, created=NOW).card
    refused(lambda: checked(REQUEST, coordinator=newer), "not-invited")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"approved":1}',
        '{"approved":"true"}',
        '{"approved":true}',
        '{"approved":false,"mac":""}',
        '{"approved": false}',
        '{"approved":null}',
    ],
)
def test_answers_that_are_none(text: str) -> None:
    refused(lambda: check_answer(INVITATION, COORDINATOR, JOINER, text), "form", "value")
    refused(lambda: check_answer(INVITATION, COORDINATOR, JOINER, text + " " * 20_000), "size")


@pytest.mark.parametrize("keys", [{"more": 1}, {"mac": None}, {"card": 1}, {"card": JOINER.text.replace("\n", "\r\n")}], ids=range(4))
def test_requests_that_are_none(keys: dict[str, Any]) -> None:
    text = canonical.dumps(json.loads(REQUEST) | keys, "It")
    refused(lambda: checked(text), "form", "value")
