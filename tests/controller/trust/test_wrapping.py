"""What a sealed batch sends and opens: once, in order, in its place, and told as it is where the server plays tricks."""

import hashlib
from pathlib import Path

import pytest

from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.wrapping import Sealed
from tests.controller.trust.conftest import World

FIRST, SECOND = (1, 1), (1, 2)


@pytest.fixture
def pair(world: World) -> tuple[Sealed, Sealed]:
    """The coordinator's and a participant's side of one batch."""
    south = world.member("South")
    world.open()
    both = world.admit(world.owner), world.admit(south)
    for sealed in both:
        sealed.folder.path.mkdir(parents=True, exist_ok=True)
    return both


def update(of: Sealed, content: bytes = b"an update") -> tuple[Path, str]:
    file = of.folder.update(*FIRST, of.own.card.uid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file, hashlib.sha256(content).hexdigest()


def sent(of: Sealed, content: bytes = b"an update") -> bytes:
    file, sha256 = update(of, content)
    return of.outgoing("update", FIRST, file, sha256, parent=None).path.read_bytes()


def model(of: Sealed, content: bytes = b"a model") -> bytes:
    file = of.folder.model(*FIRST)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return of.outgoing("model", FIRST, file, hashlib.sha256(content).hexdigest(), parent=None).path.read_bytes()


def test_what_was_sealed_is_sent_again_as_it_was(pair: tuple[Sealed, Sealed]) -> None:
    _, south = pair
    once = sent(south)
    assert sent(south) == once
    (south.folder.path / "sealed" / "update.envelope").write_bytes(b"cut by a power failure")
    assert sent(south) != once
    before = sent(south)
    assert sent(south, b"another") != before


def test_an_update_and_the_model_that_is_of_it(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    uid = south.own.card.uid
    owner.incoming("update", FIRST, uid, sent(south), owner.folder.update(*FIRST, uid), parent=None)
    assert owner.folder.update(*FIRST, uid).read_bytes() == b"an update"
    assert owner.knows(owner.folder.update(*FIRST, uid))
    south.incoming("model", FIRST, None, model(owner), south.folder.model(*FIRST), parent=None)
    assert south.folder.model(*FIRST).read_bytes() == b"a model"


def test_a_model_without_this_sites_update(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    sent(south)
    with pytest.raises(Untrusted, match="this site's own update is not in it"):
        south.incoming("model", FIRST, None, model(owner), south.folder.model(*FIRST), parent=None)
    assert not south.folder.model(*FIRST).exists()


def test_a_model_whose_parent_is_not_here(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    with pytest.raises(Untrusted, match="follows from is not here"):
        south.incoming("model", SECOND, None, model(owner), south.folder.model(*SECOND), parent=FIRST)


def test_after_a_restart_the_attempt_before_is_refused(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    uid, first = south.own.card.uid, sent(south)
    south.begin_anew()
    owner.incoming("update", FIRST, uid, sent(south), owner.folder.update(*FIRST, uid), parent=None)
    with pytest.raises(Untrusted, match="attempt 2 was seen, and this is attempt 1"):
        owner.incoming("update", FIRST, uid, first, owner.folder.update(*FIRST, uid), parent=None)


def test_an_update_in_anothers_name_or_place(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    data, to = sent(south), owner.folder.update(*FIRST, "x")
    with pytest.raises(Untrusted, match="somebody else sealed it"):
        owner.incoming("update", FIRST, owner.own.card.uid, data, to, parent=None)
    with pytest.raises(Untrusted, match="it is of task 1, round 1"):
        owner.incoming("update", SECOND, south.own.card.uid, data, to, parent=None)
    with pytest.raises(Untrusted, match="is not in manifest"):
        owner.incoming("update", FIRST, "a-stranger", data, to, parent=None)
    assert not to.exists()


def test_lines_come_once_and_in_order(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    uid = south.own.card.uid
    first = south.tell(FIRST, "one\n")
    assert south.tell(FIRST, "one\ntwo\n") == first, "no answer came: the same again, as it was"
    second, third = south.tell(FIRST, "two\n"), south.tell(SECOND, "three\n")
    honest = [(FIRST, first.wire), (FIRST, first.wire), (FIRST, second.wire), (SECOND, third.wire)]
    assert owner.read_lines(uid, honest) == ["one\n", "two\n", "three\n"]
    assert owner.read_lines(uid, [honest[0], honest[3]])[1] == "(the Routing Server has withheld 1 batches of lines here)\n"
    assert "belong further up" in owner.read_lines(uid, [honest[0], honest[2], honest[0]])[2]
    assert "were put here" in owner.read_lines(uid, [(SECOND, first.wire)])[0]
    assert "were put here" in owner.read_lines(uid, [(FIRST, "in the open")])[0]


def test_lines_that_are_told_again_in_the_next_round(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    lost = south.tell(FIRST, "one\n")
    again = south.tell(SECOND, "one\ntwo\n")
    assert again.plain == "one\ntwo\n"
    assert owner.read_lines(south.own.card.uid, [(SECOND, again.wire)]) == ["one\ntwo\n"]
    both = owner.read_lines(south.own.card.uid, [(FIRST, lost.wire), (SECOND, again.wire)])
    assert "did not know what had arrived" in both[1]


def test_a_notice_is_for_the_coordinator_and_its_sender(pair: tuple[Sealed, Sealed]) -> None:
    owner, south = pair
    data = south.notice(FIRST, b"why")
    assert owner.read_notice(FIRST, south.own.card.uid, data) == b"why"
    assert south.read_notice(FIRST, south.own.card.uid, data) == b"why"
    with pytest.raises(Untrusted):
        owner.read_notice(SECOND, south.own.card.uid, data)
