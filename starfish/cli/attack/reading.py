"""All that the attacker has: what it finds in it of what is sealed, and what it sees all the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starfish.cli.attack.canaries import SITES, estimates
from starfish.cli.attack.search import found_in, unfolded
from starfish.cli.attack.world import Study, World

STATES = ("Failed", "Pending Failed", "Standby", "Preparing", "Running", "Pending Success", "Pending Aggregating", "Aggregating", "Success")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one kind of thing: how many were looked for and found, in the sealed study and in the open one."""

    what: str
    sealed: int
    of_sealed: int
    open: int
    of_open: int
    leaves: bool
    """Whether an open study shows it: then not to find it there would mean that the search is blind."""

    @property
    def held(self) -> bool:
        return self.sealed == 0 and self.of_sealed > 0 and (self.open > 0 if self.leaves else self.open == 0)


def read_all(world: World) -> list[Found]:
    """After honest batches and failed ones: the whole database, the stored files, the server's log, all traffic."""
    world.failed  # noqa: B018 - the batch that has a reason to tell
    studies = (world.study, world.by_name)
    wanted = [list(_looked_for(world, study)) for study in studies]
    found = found_in(unfolded(everything(world)), {word for some in wanted for _, word, _ in some})
    kinds: dict[tuple[str, bool], list[int]] = {}
    for place, some in enumerate(wanted):
        for what, word, leaves in some:
            counts = kinds.setdefault((what, leaves), [0, 0, 0, 0])
            counts[2 * place] += word in found
            counts[2 * place + 1] += 1
    return [
        Found(what=what, sealed=counts[0], of_sealed=counts[1], open=counts[2], of_open=counts[3], leaves=leaves)
        for (what, leaves), counts in kinds.items()
    ]


def everything(world: World) -> Iterator[bytes]:
    """Row by row, file by file, request by request."""
    for _, row in world.database.tables():
        for value in row.values():
            yield value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    for path in world.database.files():
        yield path.read_bytes()
    yield (world.folder / "server.log").read_bytes()
    for exchange in list(world.proxy.recorded):
        yield from exchange.bytes()


def seen(world: World) -> Mapping[str, Sequence[str]]:
    """What anybody who owns the Routing Server sees of sealed projects, with examples."""
    database, study = world.database, world.study

    def column(query: str, *values: object) -> list[str]:
        return [", ".join(str(value) for value in row.values()) for row in database.rows(query, *values)]

    batches = [f"batch {batch}: " + ", ".join(_states(database.runs(study.id, batch))) for batch in (1, world.failed)]
    of_batch = "JOIN router_run r ON r.id = run_id JOIN router_batch b ON b.id = r.batch_id WHERE b.project_id = ? AND b.number = 1"
    return {
        "names of sites": column("SELECT name FROM router_site ORDER BY id"),
        "names of projects": column("SELECT name FROM router_project WHERE joining = 'invitation' ORDER BY id"),
        "who is in a project": column(
            "SELECT s.name FROM router_projectparticipant m JOIN router_site s ON s.id = m.site_id WHERE m.project_id = ?", study.id
        ),
        "task names": [task["model"] for task in world.north.client.project(study.id).tasks],
        "states": batches,
        "rounds and times": column(
            f"SELECT t.task_seq, t.round_seq, t.at FROM router_runtransition t {of_batch} ORDER BY t.id LIMIT 4", study.id
        ),
        "sizes": column(f"SELECT a.kind, a.size FROM router_artifact a {of_batch} ORDER BY a.id LIMIT 4", study.id),
        "addresses": sorted({value for it in world.proxy.recorded for name, value in it.request.headers if name.lower() == "host"}),
        "public cards": [text.split("\n")[1] for text in column("SELECT text FROM router_sitecard ORDER BY id LIMIT 1")],
    }


def _looked_for(world: World, study: Study) -> Iterator[tuple[str, str, bool]]:
    for what, word in study.canaries.words():
        yield what, word, True
    for what, word in estimates(study.folder("North", 1) / "report.json"):
        yield what, word, True
    yield "the reason of a failure", _reason(world, study), True
    for site in SITES:
        for what, word in study.canaries.secrets(world.data(site, study.canaries)):
            yield what, word, False


def _reason(world: World, study: Study) -> str:
    """As the coordinator's people read it."""
    state = world.north.runs.show(str(study.id), world.failed if study is world.study else study.batch)
    return next(site.reason or "no reason" for site in state.sites if site.site == "South")


def _states(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        yield f"{run['site']} {STATES[run['status']]}"
