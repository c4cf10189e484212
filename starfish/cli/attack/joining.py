"""Attacks on the exchange by which sites come to know each other's keys, and on the keys afterwards."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starfish.cli.attack import forging
from starfish.cli.attack.attack import Attack, Outcome
from starfish.cli.attack.scenes import at_the_start, newest_manifest, offered, on_a_look, project_uid, refused
from starfish.cli.attack.traffic import Rule, json_answers, requests
from starfish.cli.attack.world import Study, World

INVITATION = r"invitations/[0-9a-f]{32}/"
MUCH_LATER = 99


def _swap_the_coordinators_card(world: World) -> Outcome:
    study, line = _invited(world)
    false = forging.impostor(world.north.home.keys.current().card)
    with world.proxy.under(json_answers("GET", INVITATION, lambda it: {**it, "cards": [false.card.text]}, sites=["South"])):
        words = refused(lambda: world.south.projects.join(line, dataset="patients"))
    return Outcome(words=words, computed=_joined(world, study))


def _swap_the_joiners_card(world: World) -> Outcome:
    study, line = _invited(world)
    false = forging.impostor(world.south.home.keys.current().card)

    def swap(body: Mapping[str, Any]) -> dict[str, Any]:
        request = forging.swapped_card(json.loads(body["request"]), false.card)
        return {**body, "request": json.dumps(request, separators=(",", ":"))}

    with world.proxy.under(requests("PUT", f"{INVITATION}request/", swap, sites=["South"])):
        world.south.projects.join(line, dataset="patients")
    words = [it.problem for it in world.north.projects.candidates(study.name) if it.problem]
    let_in = world.north.projects.approve(study.name)
    return Outcome(words=words, computed=[f"{name} was let in" for name in let_in])


def _answer_in_the_coordinators_place(world: World) -> Outcome:
    study, line = _invited(world)
    world.south.projects.join(line, dataset="patients")
    answer = json.dumps({"approved": True, "mac": "0" * 64}, separators=(",", ":"))
    forged = json_answers("GET", INVITATION, lambda it: {**it, "state": "approved", "answer": answer}, sites=["South"])
    with world.proxy.under(forged):
        words = [world.south.projects.show(study.name).problem or ""]
    return Outcome(words=words, computed=_joined(world, study))


def _show_another_project(world: World) -> Outcome:
    honest = world.study
    study, line = _invited(world)
    other = {"id": honest.id, "name": honest.name, "uid": project_uid(world, honest)}
    with world.proxy.under(json_answers("GET", INVITATION, lambda it: {**it, "project": other}, sites=["South"])):
        words = refused(lambda: world.south.projects.join(line, dataset="patients"))
    return Outcome(words=words, computed=_joined(world, study))


def _show_false_cards_of_its_own(world: World) -> Outcome:
    false, study = forging.impostor(world.south.home.keys.current().card), world.study
    world.south.close()
    with world.proxy.under(json_answers("GET", "sites/cards/", lambda _: [false.card.text], sites=["South"])):
        words = refused(lambda: world.south.projects.show(study.name))
    world.south.close()
    return Outcome(words=words, computed=[] if newest_manifest(world, study) else ["the manifest is lost"])


def _rotated_participant(world: World, study: Study) -> Sequence[Rule]:
    true = world.south.home.keys.current().card
    false = forging.rotation(true)
    return [json_answers("GET", "sites/cards/", lambda cards: [*cards, false.card.text] if true.text in cards else cards, sites=["North"])]


def _rotated_coordinator(world: World, study: Study) -> Sequence[Rule]:
    true, reader = world.north.home.keys.chain(), world.south.home.keys.current().card
    false = forging.rotation(true[-1])
    return offered(study, forging.letter(reader, false, [*true, false.card], project_uid(world, study), MUCH_LATER), MUCH_LATER)


def _invited(world: World) -> tuple[Study, str]:
    """A new project, and the line that South gets of it, past the Routing Server."""
    study = world.made(world.new_name())
    return study, world.invited(study, "South")


def _joined(world: World, study: Study) -> list[str]:
    known = world.south.trusted.store.project_by_uid(project_uid(world, study))
    return [f"South believes to be in '{study.name}'"] if known is not None and known.joined else []


ATTACKS = (
    Attack(
        title="swap the coordinator's card at joining",
        does="shows the invited site a card of the coordinator's name with keys of the attacker's",
        notices="South",
        names="The coordinator's card at the Routing Server is not the invitation's",
        carry_out=_swap_the_coordinators_card,
    ),
    Attack(
        title="swap the joiner's card in its request",
        does="puts a card with keys of the attacker's into the request to join",
        notices="North",
        names="was not made with the invitation's secret, or was changed on its way",
        carry_out=_swap_the_joiners_card,
    ),
    Attack(
        title="answer in the coordinator's place",
        does="tells the site that has asked that it is let in",
        notices="South",
        names="The answer to this site's request is not the coordinator's",
        carry_out=_answer_in_the_coordinators_place,
    ),
    Attack(
        title="show another project to who is invited",
        does="answers with a project that the invitation is not for",
        notices="South",
        names="shows another project than the invitation's",
        carry_out=_show_another_project,
    ),
    Attack(
        title="show a site false cards of its own",
        does="shows others' keys in the site's name, and to the site, too",
        notices="South",
        names="shows cards in this site's name that are not its own",
        carry_out=_show_false_cards_of_its_own,
    ),
    at_the_start(
        "rotate a participant's keys",
        "appends a card of the attacker's to the participant's cards",
        names="The cards of 'South' at the Routing Server don't follow from the approved one",
        rules=_rotated_participant,
    ),
    on_a_look(
        "rotate the coordinator's keys",
        "hands a manifest that is signed by a card of the attacker's behind the coordinator's",
        names="The second signature of a card is not by the key that must sign it",
        rules=_rotated_coordinator,
    ),
)
