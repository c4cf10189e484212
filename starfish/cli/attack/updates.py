"""Attacks on what a site sends in a round: the coordinator must notice, and must not add it to the others."""

import base64
import hashlib
from collections.abc import Callable, Sequence

from starfish.cli.attack import forging
from starfish.cli.attack.attack import Attack, Outcome
from starfish.cli.attack.database import Row
from starfish.cli.attack.scenes import heard, in_batch, last_batch, left, project_uid
from starfish.cli.attack.traffic import Rule, runs, sent_files
from starfish.cli.attack.world import Study, World
from starfish.sealing.envelope import Context

UPDATE = "mid_artifacts"
FIRST, SECOND = (1, 1), (1, 2)
Change = Callable[[World, Study, bytes], bytes | None]


def _update(title: str, does: str, *, names: str, change: Change, at: tuple[int, int] = FIRST, site: str = "South") -> Attack:
    """On a site's update of a round, before it is stored: digests, sizes and ETags are those of what is handed on."""

    def rules(world: World, study: Study) -> Sequence[Rule]:
        return [sent_files(UPDATE, at, lambda envelope: change(world, study, envelope), sites=[site])]

    place = f"{at[0]}-{at[1]}"
    nothing = (f"updates/{place}/{{{site}}}.update", f"models/{place}.model", "report.json")
    return in_batch(title, does, notices="North", names=names, rules=rules, nothing=nothing)


def _of(batch: Callable[[World, Study], tuple[int, int]], site: str = "South", at: tuple[int, int] = FIRST) -> Change:
    """What that site has truly sent: in another project's or batch's round."""
    return lambda world, study, envelope: world.database.file(*batch(world, study), site, UPDATE, at)


def _signed_by_the_attacker(world: World, study: Study, envelope: bytes) -> bytes:
    """It knows all that is sealed in the context, as a member in league would tell it."""
    keys = forging.impostor(world.south.home.keys.current().card)
    return forging.resigned(envelope, keys.signing, _context(world, study, "South"))


def _signed_by_another_member(world: World, study: Study, envelope: bytes) -> bytes:
    """South's ciphertext as West's own update: West is in league, and signs."""
    stolen = world.database.file(study.id, last_batch(world, study), "South", UPDATE, FIRST)
    return forging.resigned(stolen, world.sites["West"].home.keys.current().signing, _context(world, study, "South"))


def _context(world: World, study: Study, sender: str) -> Context:
    order = world.north.trusted.store.order(project_uid(world, study), last_batch(world, study))
    assert order is not None
    card = world.sites[sender].home.keys.current().card
    return Context(project=order.project, manifest=order.manifest, batch=order.hash, task=1, round=1, kind="update", sender=card.hash)


def _swapped(world: World, study: Study) -> Sequence[Rule]:
    """The coordinator is told of both at once, each under the other's name."""
    other = {world.uid("South"): "West", world.uid("West"): "South"}

    def change(run: Row) -> Row:
        if run["status"] != "Pending Aggregating" or run["site_uid"] not in other:
            return run
        try:
            data = world.database.file(study.id, run["batch"], other[run["site_uid"]], UPDATE, FIRST)
        except LookupError:
            return {key: value for key, value in run.items() if key != "update"} | {"status": "Running"}
        file = {"task_seq": 1, "round_seq": 1, "name": "mid-artifacts", "sha256": hashlib.sha256(data).hexdigest()}
        return {**run, "update": {**file, "data": base64.b64encode(data).decode()}}

    return [runs(study.id, change, sites=["North"])]


def _of_an_earlier_attempt(world: World) -> Outcome:
    """The first attempt is broken off by West's update, once the coordinator has South's; in the second it gets South's of the first."""
    folder, south = world.study.folder("North", world.study.batch + 1), world.uid("South")

    def broken(envelope: bytes) -> bytes:
        world.wait_for((folder / "updates" / "1-1" / f"{south}.update").exists, "South's update")
        return forging.flipped(envelope)

    return _again(world, sent_files(UPDATE, FIRST, broken, sites=["West"]), "North", "was seen, and this is attempt 1")


def _of_an_attempt_never_seen(world: World) -> Outcome:
    """The first attempt is broken off by South's own update, so that the coordinator has never opened that one as it was."""
    return _again(world, sent_files(UPDATE, FIRST, forging.flipped, sites=["South"]), "South", "this site's own update is not in it")


def _again(world: World, breaking: Rule, notices: str, names: str) -> Outcome:
    study, old = world.study, list[bytes]()

    def keep(envelope: bytes) -> bytes:
        old.append(envelope)
        return envelope

    with world.proxy.under(breaking, sent_files(UPDATE, FIRST, keep, sites=["South"])):
        study.start()
        world.wait_for(study.ended, "the first attempt to fail")
    before = len(study.lines(notices))
    with world.proxy.under(sent_files(UPDATE, FIRST, lambda _: old[0], sites=["South"])):
        world.north.runs.restart(str(study.id))
        words = heard(study, notices, names)
        study.calm()
    return Outcome(
        words=words[before:], computed=left(world, study.folder(notices), ("models/*.model", "updates/1-2/*.update", "report.json"))
    )


DAMAGED = "The update of task 1, round 1, by 'South' does not open: it was sealed to somebody else, damaged or cut"
ATTACKS = (
    _update(
        "drop an update",
        "keeps South's update, and says that it was sent",
        names="South sent no update for task 1, round 1",
        change=lambda world, study, envelope: None,
    ),
    _update("flip a bit of an update", "changes one bit in the middle", names=DAMAGED, change=lambda w, s, it: forging.flipped(it)),
    _update("cut an update at its end", "keeps its last byte", names=DAMAGED, change=lambda w, s, it: forging.cut_at_the_end(it)),
    _update(
        "cut an update in the middle",
        "keeps half of it, and puts the signature behind the rest",
        names=DAMAGED,
        change=lambda w, s, it: forging.cut_in_the_middle(it),
    ),
    _update(
        "replay an update of an earlier round",
        "hands South's update of round 1 in round 2",
        names="it is of task 1, round 1",
        change=lambda world, study, envelope: world.database.file(study.id, last_batch(world, study), "South", UPDATE, FIRST),
        at=SECOND,
    ),
    _update(
        "replay an update of an earlier batch",
        "hands South's update of the same round in batch 1",
        names="it was made for another batch",
        change=_of(lambda world, study: (study.id, 1)),
    ),
    _update(
        "replay an update of another project",
        "hands South's update of the same round in another project",
        names="it is of another project",
        change=_of(lambda world, study: (world.other.id, 1)),
    ),
    in_batch(
        "swap two senders' updates",
        "hands West's update as South's and South's as West's",
        notices="North",
        names="is refused: somebody else sealed it",
        rules=_swapped,
        nothing=("updates/1-1/{South}.update", "updates/1-1/{West}.update", "models/*.model", "report.json"),
    ),
    Attack(
        title="replay an update of an earlier attempt",
        does="after a restart hands South's update of the attempt that failed",
        notices="North",
        names="was seen, and this is attempt 1",
        carry_out=_of_an_earlier_attempt,
    ),
    Attack(
        title="replay an update that the coordinator has never seen",
        does="keeps South's update of the first attempt, and hands it on in the second",
        notices="South",
        names="this site's own update is not in it",
        carry_out=_of_an_attempt_never_seen,
    ),
    _update(
        "sign an update anew as the attacker",
        "strips South's signature and puts its own, right for the ciphertext, in its place",
        names="it is not signed by the key of 'South'",
        change=_signed_by_the_attacker,
    ),
    _update(
        "sign an update anew as another member",
        "hands South's ciphertext as West's update, signed by West, who is in league",
        names="by 'West' is refused: somebody else sealed it",
        change=_signed_by_another_member,
        site="West",
    ),
)
