"""Attacks on the global model of a round: a participant must notice, and must not go on from it."""

from collections.abc import Callable, Sequence

from starfish.cli.attack import forging
from starfish.cli.attack.attack import Attack
from starfish.cli.attack.scenes import in_batch, last_batch, project_uid
from starfish.cli.attack.traffic import Rule, sent_files
from starfish.cli.attack.world import Study, World

MODEL, UPDATE = "artifacts", "mid_artifacts"
FIRST, SECOND = (1, 1), (1, 2)
Change = Callable[[World, Study, bytes], bytes | None]


def _model(title: str, does: str, *, names: str, change: Change, at: tuple[int, int] = FIRST) -> Attack:
    """On a round's global model, before it is stored: digests, sizes and ETags are those of what is handed on."""

    def rules(world: World, study: Study) -> Sequence[Rule]:
        return [sent_files(MODEL, at, lambda envelope: change(world, study, envelope), sites=["North"])]

    after = f"updates/{at[0]}-{at[1] + 1}/*.update"
    return in_batch(title, does, notices="South", names=names, rules=rules, nothing=(f"models/{at[0]}-{at[1]}.model", after, "report.json"))


def _without_souths_update(world: World, study: Study, envelope: bytes) -> bytes:
    """The coordinator is in league, and has sealed another one."""
    newest = world.north.trusted.store.newest(project_uid(world, study))
    assert newest is not None
    update = world.database.file(study.id, last_batch(world, study), "South", UPDATE, FIRST)
    return forging.model_without(envelope, update, world.north.home.keys.current(), newest[1].identity)


DAMAGED = "The global model of task 1, round 1, by 'North' does not open: it was sealed to somebody else, damaged or cut"
ATTACKS = (
    _model(
        "drop a global model",
        "keeps it, and says that the next round has begun",
        names="The Routing Server has no global model of task 1, round 1",
        change=lambda world, study, envelope: None,
    ),
    _model("flip a bit of a global model", "changes one bit in the middle", names=DAMAGED, change=lambda w, s, it: forging.flipped(it)),
    _model("cut a global model", "keeps its last byte", names=DAMAGED, change=lambda w, s, it: forging.cut_at_the_end(it)),
    _model(
        "hand the global model of another round",
        "hands that of round 1 again in round 2",
        names="it is of task 1, round 1",
        change=lambda world, study, envelope: world.database.file(study.id, last_batch(world, study), "North", MODEL, FIRST),
        at=SECOND,
    ),
    _model(
        "hand the global model of another batch",
        "hands that of the same round in batch 1",
        names="it was made for another batch",
        change=lambda world, study, envelope: world.database.file(study.id, 1, "North", MODEL, FIRST),
    ),
    _model(
        "hand the global model of another project",
        "hands that of the same round in another project of the same sites",
        names=DAMAGED,
        change=lambda world, study, envelope: world.database.file(world.other.id, 1, "North", MODEL, FIRST),
    ),
    _model(
        "hand an update as the global model",
        "hands South's own update in its place",
        names=DAMAGED,
        change=lambda world, study, envelope: world.database.file(study.id, last_batch(world, study), "South", UPDATE, FIRST),
    ),
    _model(
        "hand a global model without South's update",
        "hands one that the coordinator, who is in league, has sealed without it",
        names="this site's own update is not in it",
        change=_without_souths_update,
    ),
)
