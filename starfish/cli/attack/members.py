"""Attacks in the database: on who is in a project and in a batch, and with what was there once."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from starfish.cli.attack.attack import Attack, Outcome
from starfish.cli.attack.database import Row
from starfish.cli.attack.scenes import UNTOUCHED, Rules, heard, in_batch, left, not_started
from starfish.cli.attack.traffic import Rule, runs, runs_of
from starfish.cli.attack.world import Study, World

STANDBY = 2
MALLORY = "66666666-6666-4666-8666-666666666666"
BY_ITSELF = "the Routing Server has opened it by itself"


def _without(site: str) -> Rules:
    """Its run is in no answer to the coordinator."""

    def rules(world: World, study: Study) -> Sequence[Rule]:
        uid = world.uid(site)
        return [runs(study.id, lambda run: None if run["site_uid"] == uid else run, sites=["North"])]

    return rules


def _with_a_run_more(*, later: bool) -> Rules:
    """A run of the attacker's own site, where South is. `later`: only once South is prepared."""

    def rules(world: World, study: Study) -> Sequence[Rule]:
        south = world.uid("South")

        def add(found: list[Row]) -> list[Row]:
            model = next((run for run in found if run["site_uid"] == south), None)
            if model is None or (later and model["status"] == "Standby"):
                return found
            return [*found, {**model, "id": 10**6, "site_uid": MALLORY}]

        return [runs_of(study.id, add, sites=["North"])]

    return rules


def _a_member_more(world: World) -> Outcome:
    study = world.study
    with _mallory(world) as site:
        made = world.database.insert("router_projectparticipant", project_id=study.id, site_id=site, role="PA", notes="")
        try:
            return not_started(world, study)
        finally:
            world.database.do("DELETE FROM router_projectparticipant WHERE id = ?", made)


def _a_member_less(world: World) -> Outcome:
    study, query = world.study, "SELECT m.* FROM router_projectparticipant m JOIN router_site s ON s.id = m.site_id"
    found = world.database.rows(f"{query} WHERE m.project_id = ? AND s.name = 'West'", study.id)[0]
    world.database.do("UPDATE router_run SET participant_id = NULL WHERE participant_id = ?", found["id"])
    world.database.do("DELETE FROM router_projectparticipant WHERE id = ?", found["id"])
    try:
        return not_started(world, study)
    finally:
        world.database.copy_row("router_projectparticipant", found)


def _a_batch_of_its_own(site: str) -> Callable[[World], Outcome]:
    """Rows in the database: a batch, and a run for each member; shown to one site."""

    def carry_out(world: World) -> Outcome:
        study, last = world.study, world.database.batch(world.study.id, world.study.batch)
        hidden = runs(study.id, lambda run: None if run["batch"] == study.batch + 1 else run, sites=sorted(world.sites.keys() - {site}))
        with world.proxy.under(hidden), _opened(world, study, last, number=study.batch + 1, order=None) as number:
            words = heard(study, site, BY_ITSELF, number)
        return Outcome(words=words, computed=left(world, study.folder(site, number), UNTOUCHED))

    return carry_out


def _before_a_manifest(world: World) -> Outcome:
    """West is let in; then the database is what it was before."""
    study = world.sealed(world.new_name(), ("South",))
    world.south.projects.show(study.name)
    then = world.database.copy(world.folder / f"{study.name}.then")
    world.sites["West"].projects.join(world.invited(study, "West"), dataset="patients")
    world.north.projects.approve(study.name)
    world.south.projects.show(study.name)
    with world.database.rolled_back(then, world.folder / f"{study.name}.now"):
        return Outcome(words=[world.south.projects.show(study.name).problem or ""])


def _before_a_batch(world: World) -> Outcome:
    """The first batch has never been, as the database has it, and the coordinator's people want the next one."""
    other = world.other
    with world.database.rolled_back(world.before_other, world.folder / "now"):
        return not_started(world, other)


def _the_same_batch_again(world: World) -> Outcome:
    """The first batch has never been; it is opened again, with its true order."""
    other = world.other
    first = world.database.batch(other.id, 1)
    hidden = runs(other.id, lambda run: None, sites=["North", "West"])  # whoever notices first ends it for all
    with world.proxy.under(hidden), world.database.rolled_back(world.before_other, world.folder / "now"):
        with _opened(world, other, first, number=1, order=first["order"]) as number:
            words = heard(other, "South", "was rolled back, or restored", number)
    return Outcome(words=words, computed=left(world, other.folder("South", 1), UNTOUCHED))


@contextmanager
def _opened(world: World, study: Study, model: Row, *, number: int, order: bytes | None) -> Iterator[int]:
    """A batch with the tasks of another, until the end of the block."""
    tasks = [{**task, "config": {**task["config"], "current_round": 1}} for task in json.loads(model["tasks"])]
    places = world.database.rows("SELECT * FROM router_projectparticipant WHERE project_id = ?", study.id)
    batch = world.database.copy_row("router_batch", model, number=number, cur_seq=1, tasks=json.dumps(tasks), order=order, begins=0)
    for place in places:
        own = {"batch_id": batch, "participant_id": place["id"], "site_id": place["site_id"], "role": place["role"]}
        world.database.insert("router_run", **own, status=STANDBY, left_out="[]")
    world.proxy.restless = True
    try:
        yield number
    finally:
        world.proxy.restless = False
        world.database.delete_batch(batch)


@contextmanager
def _mallory(world: World) -> Iterator[int]:
    """The attacker's own site at the Routing Server."""
    made = world.database.insert("router_site", name="Mallory", description="", uid=MALLORY.replace("-", ""), status=1)
    try:
        yield made
    finally:
        world.database.do("DELETE FROM router_site WHERE id = ?", made)


def _database(title: str, does: str, *, notices: str, names: str, carry_out: Callable[[World], Outcome]) -> Attack:
    return Attack(title=title, does=does, notices=notices, names=names, carry_out=carry_out)


ATTACKS = (
    _database(
        "add a member before a batch",
        "writes its own site into the project's members in the database",
        notices="North",
        names="has Mallory in 'sealed-study', whom this site has never let in",
        carry_out=_a_member_more,
    ),
    _database(
        "drop a member before a batch",
        "deletes West from the project's members in the database",
        notices="North",
        names="West can't be reached in 'sealed-study' any more",
        carry_out=_a_member_less,
    ),
    in_batch(
        "add a run to a batch that was just opened",
        "puts a run of its own site among those that the coordinator is shown",
        notices="North",
        names=f"has put {MALLORY} into batch",
        rules=_with_a_run_more(later=False),
    ),
    in_batch(
        "add a run to a batch that is under way",
        "does so once the sites have prepared their rows",
        notices="North",
        names=f"has put {MALLORY} into batch",
        rules=_with_a_run_more(later=True),
        nothing=("models/*.model", "report.json"),
    ),
    in_batch(
        "drop a member's run",
        "hides West's run from the coordinator",
        notices="North",
        names="has left West out of batch",
        rules=_without("West"),
    ),
    _database(
        "open a batch itself, as a participant sees it",
        "writes a batch and its runs into the database",
        notices="South",
        names=BY_ITSELF,
        carry_out=_a_batch_of_its_own("South"),
    ),
    _database(
        "open a batch itself, as the coordinator sees it",
        "writes a batch and its runs into the database",
        notices="North",
        names=BY_ITSELF,
        carry_out=_a_batch_of_its_own("North"),
    ),
    _database(
        "roll the database back to before a manifest",
        "puts the database back to what it was before West was let in",
        notices="South",
        names="it was rolled back",
        carry_out=_before_a_manifest,
    ),
    _database(
        "roll the database back to before a batch",
        "puts the database back to what it was before the first batch",
        notices="North",
        names="the server was rolled back",
        carry_out=_before_a_batch,
    ),
    _database(
        "let a batch happen again",
        "rolls the database back, and opens the same batch again with its true order",
        notices="South",
        names="it was rolled back, or restored",
        carry_out=_the_same_batch_again,
    ),
)
