"""How attacks are staged: on a batch of the study, on a batch that is to be opened, on a look at the project."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from starfish.cli.attack.attack import Attack, Outcome
from starfish.cli.attack.traffic import Answer, Forward, Request, Rule, json_answers
from starfish.cli.attack.world import Study, World
from starfish.cli.session import expected_errors, sentence

LOOK_S, BATCH_S, GRACE_S = 0.05, 30, 1.0
UNTOUCHED = ("rows.payload", "updates/*/*.update", "models/*.model", "report.json")
"""Of a batch whose terms were refused: no row was read for it."""
Rules = Callable[[World, Study], Sequence[Rule]]


def in_batch(title: str, does: str, *, notices: str, names: str, rules: Rules, nothing: Sequence[str] = UNTOUCHED) -> Attack:
    """On a batch of the study: the rules hold from before it is opened until it is over.

    `nothing`: what must not be in the folder of the site concerned, as patterns; `{South}` is that site's uid.
    """

    def carry_out(world: World) -> Outcome:
        study = world.study
        with world.proxy.under(*rules(world, study)):
            study.start()
            words = heard(study, notices, names)
            study.calm()
            return Outcome(words=words, computed=left(world, study.folder(notices), nothing))

    return Attack(title=title, does=does, notices=notices, names=names, carry_out=carry_out)


def at_the_start(title: str, does: str, *, names: str, rules: Rules) -> Attack:
    """When the coordinator's people want to open a batch: none is opened."""

    def carry_out(world: World) -> Outcome:
        study = world.study
        with world.proxy.under(*rules(world, study)):
            return not_started(world, study)

    return Attack(title=title, does=does, notices="North", names=names, carry_out=carry_out)


def not_started(world: World, study: Study) -> Outcome:
    before = last_batch(world, study)
    words = refused(study.start)
    return Outcome(words=words, computed=[f"batch {before + 1} was opened"] if last_batch(world, study) != before else [])


def on_a_look(title: str, does: str, *, names: str, rules: Rules) -> Attack:
    """When South's people look at the project: what is wrong stands there, and no terms."""

    def carry_out(world: World) -> Outcome:
        kept = newest_manifest(world, world.study)
        with world.proxy.under(*rules(world, world.study)):
            page = world.south.projects.show(str(world.study.id))
        changed = newest_manifest(world, world.study) != kept
        return Outcome(words=[page.problem or ""], computed=["another manifest is kept"] if changed else [])

    return Attack(title=title, does=does, notices="South", names=names, carry_out=carry_out)


def offered(study: Study, letter: bytes, version: int) -> list[Rule]:
    """To South: a letter as that of the highest version that there is."""

    def hand(request: Request, forward: Forward) -> Answer:
        if request.matches("GET", rf"projects/{study.id}/manifests/\d+/[0-9a-f-]+/", ["South"]):
            return Answer(status=200, headers=[("Content-Type", "application/octet-stream")], body=letter)
        return forward(request)

    listed = [{"version": version, "size": len(letter), "sha256": "0" * 64}]
    return [json_answers("GET", rf"projects/{study.id}/manifests/", lambda _: listed, sites=["South"]), hand]


def refused(call: Callable[[], object]) -> list[str]:
    """The sentence with which a command of a site's people ends; empty where it goes through."""
    try:
        call()
    except expected_errors() as error:
        return [sentence(error)]
    return []


def heard(study: Study, site: str, names: str, batch: int | None = None) -> list[str]:
    """What a site's people read of a batch, once the awaited words are there, or the batch has been over for a while."""
    deadline, over = time.monotonic() + BATCH_S, 0.0
    while True:
        words = study.lines(site, batch)
        now = time.monotonic()
        over = over or (now if study.ended(batch) else 0.0)
        if any(names in line for line in words) or now > deadline or (over and now > over + GRACE_S):
            return words
        time.sleep(LOOK_S)


def left(world: World, folder: Path, patterns: Sequence[str]) -> list[str]:
    """What is in a batch's folder of what must not be there."""
    uids = {name: site.config.uid for name, site in world.sites.items()}
    found = {path for pattern in patterns for path in folder.glob(pattern.format(**uids)) if path.is_file()}
    return sorted(str(path.relative_to(folder)) for path in found)


def last_batch(world: World, study: Study) -> int:
    return int(world.database.rows("SELECT batch FROM router_project WHERE id = ?", study.id)[0]["batch"])


def project_uid(world: World, study: Study) -> str:
    return str(world.database.rows("SELECT uid FROM router_project WHERE id = ?", study.id)[0]["uid"])


def newest_manifest(world: World, study: Study) -> int:
    """South's."""
    newest = world.south.trusted.store.newest(project_uid(world, study))
    return newest[0].version if newest else 0


def order_of(world: World, study: Study, batch: int) -> bytes:
    return bytes(world.database.batch(study.id, batch)["order"])


def letters(world: World, study: Study, site: str) -> list[bytes]:
    """A member's, as they lie in the database, from the oldest."""
    query = "SELECT l.data FROM router_letter l JOIN router_site s ON s.id = l.site_id WHERE l.project_id = ? AND s.name = ?"
    return [bytes(row["data"]) for row in world.database.rows(f"{query} ORDER BY l.version", study.id, site)]
