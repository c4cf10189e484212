"""What a participant refuses to compute, in the words that its people read."""

from dataclasses import replace
from datetime import timedelta

import pytest

from starfish.controller.errors import NotNow
from starfish.controller.trust.admission import announce, newest_manifest, refuse_strangers
from starfish.controller.trust.errors import Untrusted
from tests.controller.trust.conftest import UID, World


def refused(world: World, home: object, code: str, **changes: object) -> str:
    """What is said to a site that is to compute its present run."""
    with pytest.raises(Untrusted) as caught:
        world.admit(home, **changes)  # type: ignore[arg-type]
    assert caught.value.code == code
    return str(caught.value)


def test_not_approved_yet_taken_back_and_left(world: World) -> None:
    south, west = world.site("South"), world.site("West")
    for home in (south, west):
        world.ask(home, world.invite(home))
    with pytest.raises(Untrusted) as caught:
        newest_manifest(south.trusted, world.known(south))
    assert str(caught.value) == (
        f"The coordinator of 'heart' has not approved this site yet. Its fingerprint is {south.keys.current().card.fingerprint}."
    )
    world.heart.refuse("South")
    with pytest.raises(Untrusted, match="^The coordinator of 'heart' has taken the invitation of this site back.$"):
        newest_manifest(south.trusted, world.known(south))
    south.real_store.forget_project(UID)
    with pytest.raises(Untrusted, match="^This site has left 'heart'. Its coordinator's people can invite it anew.$"):
        newest_manifest(south.trusted, world.known(south))


def test_an_order_for_another_run(world: World) -> None:
    south = world.member("South")
    backup = world.router.snapshot()
    first = world.open()
    world.admit(south)
    world.router.roll_back(backup)
    assert world.open() == first
    assert refused(world, south, "order-again") == (
        "The Routing Server offers the order of batch 1 again, for another run: it was rolled back, or restored."
    )


def test_an_older_manifest(world: World) -> None:
    south = world.member("South")
    world.open()
    world.admit(south)
    old = dict(world.router.letters) | {
        south.site_id: {version: data for (_, version, to), data in world.router.state.letters.items() if to == south.site_id}
    }
    world.router.end(world.project)
    world.member("West")
    world.open()
    world.admit(south)
    world.open()
    world.router.letters = old
    assert refused(world, south, "rolled-back") == (
        "The Routing Server offers manifest 2, and this site has accepted manifest 3: it was rolled back."
    )
    world.router.letters = {south.site_id: {3: old[south.site_id][2]}}
    assert refused(world, south, "rollback") == (
        "The manifest of 'heart' is refused: Version 3 of the manifest is kept, and version 2 was shown."
    )
    world.router.letters = {south.site_id: {}}
    assert refused(world, south, "rolled-back").startswith("The Routing Server offers manifest none, ")


def test_a_version_that_is_called_another(world: World) -> None:
    south = world.member("South")
    world.open()
    world.router.letters = {south.site_id: {7: world.router.state.letters[world.project, 2, south.site_id]}}
    assert refused(world, south, "wrong-version") == "The Routing Server offers manifest 2 as manifest 7."


def test_anothers_letter_opens_to_nobody_else(world: World) -> None:
    south, west = world.member("South"), world.member("West")
    world.open()
    world.router.letters = {south.site_id: {3: world.router.state.letters[world.project, 3, west.site_id]}}
    assert refused(world, south, "decryption").startswith("The manifest of 'heart' is refused: ")


def test_orders_of_other_batches(world: World) -> None:
    south = world.member("South")
    world.open()
    world.admit(south)
    first = world.router.state.orders[world.project, 1]
    world.open()
    world.router.orders[world.run(south).id] = first
    assert "it is for batch 1." in refused(world, south, "other-batch")


def test_an_expired_order(world: World) -> None:
    south = world.member("South")
    world.open()
    world.clock.time += timedelta(days=7)
    assert refused(world, south, "expired") == (
        "The order of batch 1 is refused: The order for batch 1 of 'heart' is refused: it had expired when this site first saw it."
    )


def test_a_batch_that_goes_on_after_its_order_expired_and_its_keys_were_rotated(world: World) -> None:
    south = world.member("South")
    world.open()
    begun = world.admit(south)
    world.clock.time += timedelta(days=30)
    south.rotate()
    world.owner.rotate()
    again = world.admit(south)
    assert (again.order, again.manifest, again.own.card) == (begun.order, begun.manifest, begun.own.card)


def test_a_batch_that_the_coordinator_has_not_ordered(world: World) -> None:
    world.open()
    run = world.run(world.owner)
    assert refused(world, world.owner, "no-order", batch=2) == (
        "This site, the coordinator, has ordered no batch 2; the Routing Server has opened it by itself."
    )
    assert world.admit(world.owner, run)


def test_other_tasks_and_more_rounds(world: World) -> None:
    south = world.member("South")
    world.open()
    other = [{"seq": 1, "model": "Evil", "config": {"total_round": 3, "current_round": 1}}]
    assert refused(world, south, "tasks-changed", tasks=other) == (
        "The Routing Server's tasks are not those of manifest 2: Evil instead of LogisticRegression."
    )
    more = [{"seq": 1, "model": "LogisticRegression", "config": {"total_round": 30, "current_round": 1}}]
    assert refused(world, south, "rounds-changed", tasks=more) == "The Routing Server gives task 1 more rounds than manifest 2 does (3)."


def test_strangers_in_a_batch_and_members_out_of_it(world: World) -> None:
    south, west = world.member("South"), world.site("West")
    world.open()
    sealed = world.admit(world.owner)
    runs = world.router.active(world.project)
    refuse_strangers(sealed, runs, {})
    with pytest.raises(Untrusted) as caught:
        refuse_strangers(sealed, [*runs, replace(runs[0], site_uid=west.uid)], {west.uid: "West"})
    assert str(caught.value) == "The Routing Server has put West into batch 1, whom manifest 2 does not know."
    with pytest.raises(Untrusted) as caught:
        refuse_strangers(sealed, [run for run in runs if run.site_uid != south.uid], {})
    assert str(caught.value) == "The Routing Server has left South out of batch 1, though manifest 2 has them."


def test_cards_in_this_sites_name(world: World) -> None:
    south, west = world.site("South"), world.site("West")
    world.router.cards[south.uid] = [card.text for card in west.keys.chain()]
    with pytest.raises(Untrusted, match="^The Routing Server shows cards in this site's name that are not its own.$"):
        announce(south.trusted, south.site_id)


def test_joining_is_refused_in_words(world: World) -> None:
    south, west = world.site("South"), world.site("West")
    line = world.invite(south, timedelta(days=1))
    for spoiled, words in (
        (line[:-1], "This is no whole invitation: "),
        ("x", "This is no whole invitation: "),
        (line.replace(line[60], "A" if line[60] != "A" else "B", 1), "This is no whole invitation: "),
    ):
        with pytest.raises(NotNow) as caught:
            world.ask(south, spoiled)
        assert str(caught.value).startswith(words)
        assert str(caught.value).endswith("Copy the line again, from 'starfish-invitation-' to its end.")
    with pytest.raises(NotNow, match="^This invitation is for 'South', and this site is 'West'.$"):
        world.ask(west, line)
    world.router.cards[world.owner.uid] = [card.text for card in west.keys.chain()]
    with pytest.raises(Untrusted) as swapped:
        world.ask(south, line)
    assert swapped.value.code == "card-swapped"
    assert west.keys.current().card.fingerprint in str(swapped.value)
    assert world.owner.keys.current().card.fingerprint in str(swapped.value)
    assert south.real_store.projects() == []
    world.router.honest()
    world.heart.refuse("South")
    with pytest.raises(NotNow, match="^This invitation was taken back. Ask the coordinator's people for a new one.$"):
        world.ask(south, line)
    world.clock.time += timedelta(days=2)
    with pytest.raises(NotNow, match="^This invitation ended on 2026-11-25. Ask the coordinator's people for a new one.$"):
        world.ask(south, line)


def test_keys_rotated_on_either_side_of_the_answer(world: World) -> None:
    south = world.site("South")
    world.ask(south, world.invite(south))
    world.heart.approve()
    south.rotate()
    world.open()
    assert world.admit(south).own.card.version == 2


def test_invited_anew_after_the_coordinators_rotation(world: World) -> None:
    """The card that was pinned by the first invitation leads to that of the second; an older one leads nowhere."""
    south = world.site("South")
    first = world.invite(south)
    world.ask(south, first)
    world.owner.rotate()
    world.ask(south, world.invite(south))
    world.heart.approve()
    with pytest.raises((NotNow, Untrusted)):
        world.ask(south, first)
    world.open()
    assert world.admit(south).coordinator.version == 2
