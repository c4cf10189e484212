"""What the vectors say is what the code does: each is read from its file, as any other implementation would."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starfish.sealing.envelope import Expectation, open_bytes
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import parse_time
from starfish.sealing.invitation import Invitation, check_answer, check_request
from starfish.sealing.keys import Card, Identity, fingerprint, follow, short_code
from starfish.sealing.manifest import KeptOrder, Manifest, check_letter, check_order, open_letter, open_order

FOLDER = Path(__file__).parent
Case = dict[str, Any]


def card(case: Case) -> Case:
    card = Card.parse(case["card"])
    return {"hash": card.hash, "fingerprint": fingerprint(card)}


def chain(case: Case) -> Case:
    return {"hash": follow(Card.parse(case["known"]) if case["known"] else None, case["chain"]).hash}


def invitation(case: Case) -> Case:
    invitation = Invitation.parse(case["line"])
    assert invitation.line() == case["line"]
    return {"invitation": {**invitation.public(), "secret": invitation.secret}}


def request(case: Case) -> Case:
    invitation, coordinator = Invitation.parse(case["line"]), Card.parse(case["coordinator"])
    return {"hash": check_request(invitation, coordinator, case["request"], now=parse_time(case["now"])).hash}


def answer(case: Case) -> Case:
    cards = Card.parse(case["coordinator"]), Card.parse(case["own"])
    return {"approved": check_answer(Invitation.parse(case["line"]), *cards, case["answer"])}


def letter(case: Case) -> Case:
    manifest, view = open_letter(base64.b64decode(case["letter"]), [identity(text) for text in case["identities"]])
    coordinator = check_letter(
        manifest,
        view,
        own=Card.parse(case["own"]),
        pinned=Card.parse(case["pinned"]),
        project=case["project"],
        highest=Manifest.parse(case["highest"]) if case["highest"] else None,
    )
    known = {"hash": manifest.hash, "short_code": short_code(manifest.hash)}
    return {**known, "coordinator": coordinator.hash, "group": view.identity.recipient}


def order(case: Case) -> Case:
    order = open_order(base64.b64decode(case["order"]), identity(case["identity"]))
    check_order(
        order,
        coordinator=Card.parse(case["coordinator"]),
        manifest=Manifest.parse(case["manifest"]),
        batch=case["batch"],
        now=parse_time(case["now"]),
        kept=KeptOrder(**case["kept"]) if case["kept"] else None,
    )
    return {"hash": order.hash}


def envelope(case: Case) -> Case:
    expected = Expectation(**(case["expected"] | {"sender": Card.parse(case["expected"]["sender"])}))
    data, identities = base64.b64decode(case["envelope"]), [identity(text) for text in case["identities"]]
    opened, content = open_bytes(data, identities, expected)
    return {"sha256": opened.sha256, "context": opened.context.line().decode(), "content": base64.b64encode(content).decode()}


READERS: dict[str, Callable[[Case], Case]] = {
    "cards": card,
    "chains": chain,
    "invitations": invitation,
    "requests": request,
    "answers": answer,
    "letters": letter,
    "orders": order,
    "envelopes": envelope,
}


def identity(text: str) -> Identity:
    return Identity.parse(base64.b64decode(text).decode())


def cases(name: str) -> list[Case]:
    read: list[Case] = json.loads((FOLDER / f"{name}.json").read_text())
    return read


EVERY = [(name, number) for name in READERS for number in range(len(cases(name)))]


@pytest.mark.parametrize(("name", "number"), EVERY, ids=[f"{name}: {cases(name)[number]['name']}" for name, number in EVERY])
def test_vectors(name: str, number: int) -> None:
    case = cases(name)[number]
    if "error" in case:
        with pytest.raises(SealingError) as caught:
            READERS[name](case)
        assert caught.value.code == case["error"]
    else:
        result = READERS[name](case)
        assert result == {key: case[key] for key in result}


def test_there_is_no_other_file_and_each_kind_has_failures() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(READERS)
    for name in READERS:
        assert {"error" in case for case in cases(name)} == {True, False}


def test_they_are_what_the_script_writes() -> None:
    """But for what is sealed, which is new each time."""
    from tests.vectors.generate import everything

    sealed = ("letter", "order", "envelope", "sha256")
    for name, made in everything().items():
        kept = [{key: value for key, value in case.items() if key not in sealed} for case in cases(name)]
        assert kept == [{key: value for key, value in case.items() if key not in sealed} for case in json.loads(json.dumps(made))]
