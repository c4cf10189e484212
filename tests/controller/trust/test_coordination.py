"""Who is let in, who is not, and that whatever was interrupted can be done again: as the coordinator's people see it."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from starfish.controller.errors import NotNow
from starfish.controller.trust.coordination import Coordination
from starfish.controller.trust.errors import Untrusted
from starfish.sdk import Conflict, Invalid
from starfish.sealing.keys import new_keys
from tests.controller.trust.conftest import UID, World, new_world
from tests.controller.trust.fakes import FOREVER, ROUTER, TERMS


def said(refused: pytest.ExceptionInfo[Exception]) -> str:
    return str(refused.value)


def test_from_the_invitation_to_the_manifest(world: World) -> None:
    south = world.site("South")
    assert world.heart.candidates() == []
    line = world.invite(south)
    assert (world.candidate("South").state, world.candidate("South").fingerprint) == ("open", None)
    world.ask(south, line)
    asked = world.candidate("South")
    assert (asked.state, asked.fingerprint, asked.problem) == ("asked", south.keys.current().card.fingerprint, None)
    assert world.heart.manifest.version == 1
    assert [card.name for card in world.heart.approve()] == ["South"]
    assert world.heart.manifest.version == 2
    assert world.candidate("South").state == "approved"
    assert world.heart.approve() == []
    assert world.heart.manifest.version == 2
    world.open()
    assert world.admit(south).manifest == world.heart.manifest == world.admit(world.owner).manifest


def test_approving_names_one_of_those_who_have_asked(world: World) -> None:
    south, west = world.site("South"), world.site("West")
    for home in (south, west):
        world.ask(home, world.invite(home))
    assert world.heart.approve("Nobody") == []
    assert [card.name for card in world.heart.approve("West")] == ["West"]
    assert world.candidate("South").state == "asked"


def test_who_is_in_is_not_invited_again(world: World) -> None:
    south = world.member("South")
    with pytest.raises(NotNow) as refused:
        world.invite(south)
    assert said(refused) == "'South' is in 'heart' already."


def test_an_invitation_that_the_server_refuses_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(Invalid):
        world.heart.invite("North", router=ROUTER, valid=FOREVER)
    assert [it.state for it in world.heart.candidates()] == ["withdrawn"]
    assert world.heart.approve() == []


def test_an_invitation_that_never_reached_the_server_is_named_and_can_be_taken_back(world: World) -> None:
    south = world.site("South")
    line = world.invite(south)
    del world.router.state.invitations[next(iter(world.router.state.invitations))]
    assert world.candidate("South").problem == (
        "The Routing Server does not know the invitation of 'South': it never arrived, or the server was rolled back. "
        "Take it back with 'starfish project refuse', and invite anew."
    )
    with pytest.raises(NotNow, match="knows no such invitation"):
        world.ask(south, line)
    world.heart.refuse("South")
    assert world.candidate("South").state == "withdrawn"
    world.ask(south, world.invite(south))
    assert [card.name for card in world.heart.approve()] == ["South"]


def test_what_came_in_a_sites_name_by_somebody_without_the_line(world: World) -> None:
    south = world.site("South")
    world.invite(south)
    (invitation,) = world.router.state.invitations.values()
    south.client.ask_to_join(invitation.id, south.site_id, "anything")
    assert (
        world.candidate("South").problem
        == "What came in the name of 'South' is refused: A request to join is no canonical JSON: Expecting value: line 1 column 1 (char 0)."
    )
    assert world.candidate("South").state == "open"
    assert world.heart.approve() == []


def test_a_request_that_comes_too_late(world: World) -> None:
    south = world.site("South")
    world.ask(south, world.invite(south, timedelta(days=1)))
    world.clock.time += timedelta(days=2)
    assert world.candidate("South").state == "expired"
    assert world.heart.approve() == []


def test_one_that_came_in_time_can_be_approved_later(world: World) -> None:
    south = world.site("South")
    world.ask(south, world.invite(south, timedelta(days=1)))
    assert world.candidate("South").state == "asked"
    world.clock.time += timedelta(days=2)
    assert [card.name for card in world.heart.approve()] == ["South"]


@pytest.mark.parametrize("looked", [False, True], ids=["before it was seen", "after it was seen"])
def test_a_rotation_ends_open_invitations_and_no_others(world: World, looked: bool) -> None:
    south = world.site("South")
    world.ask(south, world.invite(south))
    assert not looked or world.candidate("South").state == "asked"
    world.owner.rotate()
    newer = world.invite(south)
    ended, opened = world.heart.candidates()
    assert (ended.state, ended.problem) == ("withdrawn", "This site's keys were rotated since.")
    assert (opened.state, opened.problem) == ("open", None)
    assert world.heart.approve() == []
    world.ask(south, newer)
    assert [card.name for card in world.heart.approve()] == ["South"]
    world.open()
    assert world.admit(south).coordinator == world.owner.keys.current().card


def test_two_invitations_to_one_site(world: World) -> None:
    south = world.site("South")
    lines = [world.invite(south), world.invite(south)]
    for line in lines:
        world.ask(south, line)
    assert [card.name for card in world.heart.approve()] == ["South", "South"]
    assert [member.name for member in world.owner.real_store.members(UID)] == ["South"]
    world.open()
    assert world.admit(south)


def test_nobody_asks_with_the_uuid_of_another_who_has_asked(world: World) -> None:
    south, west = world.site("South"), world.site("West")
    world.ask(south, world.invite(south))
    line = world.invite(west)
    assert world.candidate("South").state == "asked"
    west.keys.folder.rename(west.folder / "true-keys")
    west.keys.make(south.uid, "West")
    world.ask(west, line)
    assert world.candidate("West").problem == (
        "What came in the name of 'West' is refused: A request to join has the UUID of 'South', who is in the project already."
    )
    assert [card.name for card in world.heart.approve()] == ["South"]


def test_refusing(world: World) -> None:
    south = world.site("South")
    with pytest.raises(NotNow) as refused:
        world.heart.refuse("South")
    assert said(refused) == "No invitation of 'South' to 'heart' is open."
    world.ask(south, world.invite(south))
    world.heart.refuse("South")
    assert world.candidate("South").state == "withdrawn"
    assert world.heart.approve() == []
    assert world.owner.real_store.invitations(UID)[0].line == "", "a secret that serves no more is forgotten"


def test_removing(world: World) -> None:
    south, west = world.member("South"), world.member("West")
    with pytest.raises(NotNow) as refused:
        world.heart.remove("Nobody")
    assert said(refused) == "'Nobody' is not in 'heart'."
    world.open()
    with pytest.raises(Conflict, match="A batch of this project is active"):
        world.heart.remove("South")
    world.router.end(world.project)
    world.heart.remove("South")
    assert [card.name for card in world.owner.real_store.members(UID)] == ["West"]
    world.open()
    assert world.router.runs_of(south.uid) == []
    assert world.admit(west).manifest == world.heart.manifest
    world.router.end(world.project)
    world.ask(south, world.invite(south))
    world.heart.approve()
    world.open()
    assert world.admit(south).manifest == world.heart.manifest


def test_a_member_that_has_left(world: World) -> None:
    south, west = world.member("South"), world.site("West")
    gone = (
        "South can't be reached in 'heart' any more: it has left, or the Routing Server has dropped it. Ask there; "
        "'starfish project remove heart --site NAME' makes a manifest without it."
    )
    (membership,) = [it for it in south.client.participants(world.project) if it.site.uid == south.uid]
    south.client.leave(membership.id)
    with pytest.raises(NotNow) as refused:
        world.open()
    assert said(refused) == gone
    world.ask(west, world.invite(west))
    with pytest.raises(NotNow) as refused:
        world.heart.approve()
    assert said(refused) == gone
    world.heart.remove("South")
    world.open()
    assert world.admit(west)


def test_a_stranger_at_the_server(world: World) -> None:
    stranger = world.site("Stranger")
    world.router.state.members[world.router.new_id()] = world.project, stranger.site_id
    with pytest.raises(NotNow) as refused:
        world.open()
    assert said(refused) == ("The Routing Server has Stranger in 'heart', whom this site has never let in. No batch is opened.")


def test_a_members_cards_that_do_not_follow(world: World) -> None:
    south = world.member("South")
    world.router.cards[south.uid] = [new_keys(uid=south.uid, name="South", created=world.clock.time).card.text]
    with pytest.raises(NotNow) as refused:
        world.open()
    assert said(refused).startswith("The cards of 'South' at the Routing Server don't follow from the approved one: ")


def test_a_members_new_keys_come_with_the_next_batch(world: World) -> None:
    south = world.member("South")
    south.rotate()
    world.open()
    assert world.admit(south).own.card == south.keys.current().card
    assert world.heart.manifest.version == 3


def test_a_server_that_was_rolled_back_gets_no_order(world: World) -> None:
    world.member("South")
    backup = world.router.snapshot()
    for _ in range(2):
        world.open()
        world.admit(world.owner)
    world.router.roll_back(backup)
    with pytest.raises(NotNow) as refused:
        world.open()
    assert said(refused) == (
        "The Routing Server says that the last batch was 0, and this site has ordered batch 2: "
        "the server was rolled back. Its operator has to restore it, or the project has to be made anew."
    )


def test_an_order_that_opened_nothing_is_sent_again_as_long_as_it_holds(world: World) -> None:
    world.member("South")
    first = world.heart.order(0)
    assert world.heart.order(0) == first
    world.clock.time += timedelta(days=8)
    second = world.heart.order(0)
    assert second != first
    assert second.batch == 1
    world.member("West")
    third = world.heart.order(0)
    assert third.manifest == world.heart.manifest.hash


def test_an_automatic_project_lets_in_whom_it_invited(world: World) -> None:
    made = world.owner.client.create_project("open-door", "", world.owner.site_id, [], {}, uid="ab" * 16, joining="invitation")
    door = Coordination.begin(world.owner.trusted, "ab" * 16, made.id, TERMS, automatic=True)
    south = world.site("South")
    world.ask(south, door.invite("South", router=ROUTER, valid=FOREVER))
    assert door.order(0).manifest == door.manifest.hash
    assert [card.name for card in world.owner.real_store.members("ab" * 16)] == ["South"]


def test_begun_again_after_a_crash_it_has_one_first_manifest(world: World) -> None:
    first = world.heart.manifest
    again = Coordination.begin(world.owner.trusted, UID, world.project, TERMS)
    assert again.manifest == first


def test_the_number_of_another_project(world: World) -> None:
    """A server that was restored gives its numbers a second time."""
    with pytest.raises(Untrusted) as refused:
        Coordination.begin(world.owner.trusted, "cd" * 16, world.project, TERMS)
    assert said(refused) == (
        f"The Routing Server has given the project 'heart' the number {world.project}, which is that of 'heart': "
        "it was rolled back, or restored."
    )


@pytest.mark.parametrize("act", ["invite", "approve", "refuse", "remove", "open"])
def test_whatever_was_interrupted_is_done_again(act: str) -> None:
    """Whole, once, and without leaving a way shut: for every moment at which the process can end."""
    for step in itertools.count():
        with new_world() as world:
            world.member("West")
            if _interrupted(world, act, step):
                continue
        assert step > 5
        return


def _interrupted(world: World, act: str, step: int) -> bool:
    """Whether the process did end at that step."""
    site = world.site("South")
    if act != "invite":
        world.ask(site, world.invite(site))
    if act in ("remove", "open"):
        world.heart.approve()
    acts: dict[str, Callable[[], object]] = {
        "invite": lambda: world.invite(site),
        "approve": lambda: world.heart.approve(),
        "refuse": lambda: _unless_done(lambda: world.heart.refuse("South")),
        "remove": lambda: _unless_done(lambda: world.heart.remove("South")),
        "open": world.open,
    }
    done = world.owner.repeated(acts[act], step)
    if act == "invite":
        world.ask(site, str(done))
        world.heart.approve()
    inside = act not in ("refuse", "remove")
    world.heart.settle()
    version = world.heart.manifest.version
    world.heart.settle()
    assert world.heart.manifest.version == version
    assert [card.name for card in world.owner.real_store.members(UID)].count("South") == inside
    world.open()
    assert len(world.router.runs_of(site.uid)) == inside
    assert not inside or world.admit(site).manifest == world.heart.manifest
    return not world.owner.survived


def _unless_done(act: Callable[[], object]) -> None:
    with suppress(NotNow):
        act()
