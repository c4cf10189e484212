"""Attacks on what a site tells while it works, and why it failed: the coordinator's people must see that something was done to it."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

from starfish.cli.attack.attack import Attack, Outcome
from starfish.cli.attack.database import Row
from starfish.cli.attack.traffic import Answer, Forward, Request, Rule, json_answers
from starfish.cli.attack.world import World

NOTICE = "failure.json"
Lines = list[Row]


def _lines(title: str, does: str, *, names: str, change: Callable[[World, Lines], Lines]) -> Attack:
    """On South's lines of the first batch, as the coordinator's people ask for them; no line stands there that is not South's."""

    def carry_out(world: World) -> Outcome:
        true = _log(world)
        run = _run(world, "South", 1)
        with world.proxy.under(_at_once(run, lambda lines: change(world, lines))):
            told = _log(world)
        foreign = [line for line in told if not line.startswith("(") and line not in true]
        twice = [line for line in told if told.count(line) > true.count(line) and not line.startswith("(")]
        return Outcome(words=[line for line in told if line.startswith("(")], computed=[*foreign, *twice])

    return Attack(title=title, does=does, notices="North", names=names, carry_out=carry_out)


def _at_once(run: int, change: Callable[[Lines], Lines]) -> Rule:
    """All pages in one, changed; then an empty one. Their ids ascend, as they must."""

    def renumbered(lines: Lines) -> Lines:
        return [{**line, "id": number} for number, line in enumerate(change(lines), start=1)] if lines else lines

    answer = json_answers("GET", rf"runs/{run}/lines/", renumbered, sites=["North"])

    def rule(request: Request, forward: Forward) -> Answer:
        if request.matches("GET", rf"runs/{run}/lines/", ["North"]) and "after=0" not in request.path:
            return Answer.of_json([])
        return answer(request, forward)

    return rule


def _log(world: World) -> list[str]:
    logs = world.north.runs.logs(str(world.study.id), 1)
    return next(log.text for log in logs if log.site == "South").splitlines()


def _run(world: World, site: str, batch: int) -> int:
    return int(next(run["id"] for run in world.database.runs(world.study.id, batch) if run["site"] == site))


def _of_west(world: World) -> list[Any]:
    query = "SELECT task_seq, round_seq, at, text FROM router_runlines WHERE run_id = ? ORDER BY id"
    rows = world.database.rows(query, _run(world, "West", 1))
    return [{"task_seq": row["task_seq"], "round_seq": row["round_seq"], "at": _time(row["at"]), "lines": row["text"]} for row in rows]


def _with_one_of_west(world: World, lines: Lines) -> Lines:
    place = lines[0]["task_seq"], lines[0]["round_seq"]
    stolen = next(line for line in _of_west(world) if (line["task_seq"], line["round_seq"]) == place)
    return [stolen, *lines]


def _with_one_of_its_own(world: World, lines: Lines) -> Lines:
    return [*lines[:1], {**lines[0], "lines": "all is well"}, *lines[1:]]


def _time(text: str) -> str:
    return text.replace(" ", "T") + "+00:00"


def _reason(title: str, does: str, *, names: str, change: Callable[[World, bytes], bytes | None]) -> Attack:
    """On why South has failed, as the coordinator's people ask for it."""

    def carry_out(world: World) -> Outcome:
        batch = world.failed
        with world.proxy.under(_notices(lambda data: change(world, data))):
            state = world.north.runs.show(str(world.study.id), batch)
        return Outcome(words=[site.reason or "nothing" for site in state.sites if site.site == "South"])

    return Attack(title=title, does=does, notices="North", names=names, carry_out=carry_out)


def _notices(change: Callable[[bytes], bytes | None]) -> Rule:
    """In the archives of notices that the coordinator loads."""

    def rule(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if not request.matches("GET", "runs-action/download/", ["North"]) or answer.status != 200:
            return answer
        files = {name: new for name, data in unzipped(answer.body) if (new := change(data) if name.endswith(NOTICE) else data) is not None}
        return answer.with_body(_zipped(files)) if files else Answer.not_found()

    return rule


def unzipped(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _an_update_instead(world: World, data: bytes) -> bytes:
    return world.database.file(world.study.id, 1, "South", "mid_artifacts", (1, 1))


ATTACKS = (
    _lines("drop log lines", "keeps South's second batch of lines", names="has withheld 1 ", change=lambda w, it: [*it[:1], *it[2:]]),
    _lines(
        "repeat log lines",
        "hands South's first lines again after the others",
        names="belong further up",
        change=lambda w, it: [*it, it[0]],
    ),
    _lines(
        "put log lines in another order",
        "hands South's second lines before the first",
        names="belong further up",
        change=lambda w, it: [it[1], it[0], *it[2:]],
    ),
    _lines(
        "swap log lines between sites",
        "puts lines of West's among South's",
        names="somebody else sealed it",
        change=_with_one_of_west,
    ),
    _lines("forge a log line", "puts a line of its own among South's", names="it is no Base64", change=_with_one_of_its_own),
    _reason("drop the reason of a failure", "keeps it", names="or the Routing Server has kept its reason", change=lambda world, data: None),
    _reason(
        "cut the reason of a failure",
        "keeps its last byte",
        names="it was sealed to somebody else, damaged or cut",
        change=lambda world, data: data[:-1],
    ),
    _reason(
        "swap the reason of a failure",
        "hands an update of South's, of another batch, in its place",
        names="it was made for another batch",
        change=_an_update_instead,
    ),
)
