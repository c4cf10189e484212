"""Before a batch may begin here: is it allowed at all, on which rows, and must a person approve it?"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import combinations
from types import MappingProxyType
from typing import Any

from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.guard import answers, audit, holds, rows
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Allowed, Policy
from starfish.controller.guard.presets import RULES, written

NONE: Mapping[int, bytes] = MappingProxyType({})


def admit(policy: Policy, terms: Mapping[str, Any], dataset: str, *, by_name: bool, isolated: bool) -> None:
    """What needs no look at the data. `terms` as terms.json has them. Raises Withheld."""
    if by_name and not policy.by_name:
        raise Withheld(
            "This site's policy allows no project that is joined by name: nobody can verify its terms, and nothing in it is sealed.",
            rule="by_name",
        )
    models = [str(task["model"]) for task in terms["tasks"]]
    for model in models:
        if not _allows(policy.tasks, model):
            raise Withheld(f"This site's policy does not allow the task {model}.", rule="tasks")
    if not _allows(policy.datasets, dataset):
        raise Withheld(
            "This site's policy does not allow the dataset that answers for this project.",
            rule="datasets",
            private=f"The policy does not allow the dataset '{dataset}' (datasets).",
        )
    for model in models:
        if not isolated and not _may_run_unisolated(policy.not_isolated, model):
            raise Withheld(
                f"This site can't isolate the code of {model}, and its policy does not allow it to run so.",
                rule="not_isolated",
                private=f"{model}: 'starfish site doctor' says why task code can't be isolated here; the policy decides (not_isolated).",
            )


def begin(journal: Journal, policy: Policy, batch: BatchKey) -> bytes:
    """Nothing is known yet of the rows; the key by which the worker is to mark them. A policy that is new goes into the audit."""
    with journal.write() as db:
        answers.forget(db, batch)
        _note(db, policy)
        return rows.key(db)


def prepared(
    journal: Journal,
    policy: Policy,
    batch: BatchKey,
    dataset: str,
    terms: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    marks: bytes,
    apart: Mapping[int, bytes] = NONE,
) -> list[str]:
    """Note what the batch reads; why it waits for a person, if it does.

    `tasks` and `marks` are the worker's, who has prepared them; `apart` the marks of the tasks, by seq, that do not use all rows.
    """
    used = _used(tasks, marks, apart)
    names = {seq: _name(found) for seq, found in used.items()}
    with journal.write() as db:
        for seq, found in used.items():
            rows.remember(db, names[seq], found)
        reasons = _reasons(db, policy, digest(terms), used)
        waits = holds.hold(db, batch, terms=digest(terms), rows=_together(used), reasons=reasons)
        answers.prepared(db, batch, dataset, names, tasks)
    return reasons if waits else []


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a batch would meet here: why a person would be asked, and the answers given so far by task (of its rows, of the dataset)."""

    waits: list[str]
    given: Mapping[int, tuple[int, int]]


def outlook(
    journal: Journal,
    policy: Policy,
    dataset: str,
    terms: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    marks: bytes,
    apart: Mapping[int, bytes] = NONE,
) -> Outlook:
    """As `prepared`, and nothing is noted."""
    used = _used(tasks, marks, apart)
    with journal.read() as db:
        given = {task["seq"]: answers.given(db, answers.part_of(dataset, _name(used[task["seq"]]), task)) for task in tasks}
        return Outlook(waits=_reasons(db, policy, digest(terms), used), given=given)


def key(journal: Journal) -> bytes:
    """By which this site's rows are marked."""
    with journal.write() as db:
        return rows.key(db)


def noted(journal: Journal, batch: BatchKey) -> bool:
    """Whether it is known here what the batch reads."""
    with journal.read() as db:
        return answers.noted(db, batch)


def cleared(journal: Journal, batch: BatchKey) -> bool:
    """Whether it waits for nobody."""
    with journal.read() as db:
        return not holds.waits(db, batch)


def may_answer(journal: Journal, policy: Policy, batch: BatchKey, task: int) -> None:
    """Before a round is computed. Raises Withheld where its answer would be one too many."""
    with journal.read() as db:
        part = answers.part(db, batch, task)
        if part is not None:
            answers.may_answer(db, policy, part)


def digest(terms: Mapping[str, Any]) -> str:
    """Of what a person approves: the tasks with their parameters, and the variables."""
    tasks = [task | {"config": {key: value for key, value in task["config"].items() if key != "current_round"}} for task in terms["tasks"]]
    said = {"project": terms["project"], "tasks": tasks, "definition": terms["definition"]}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _used(tasks: Sequence[Mapping[str, Any]], marks: bytes, apart: Mapping[int, bytes]) -> dict[int, bytes]:
    """The marks of the rows that each task uses."""
    return {task["seq"]: apart.get(task["seq"], marks) for task in tasks}


def _name(marks: bytes) -> str:
    return hashlib.sha256(marks).hexdigest()


def _together(used: Mapping[int, bytes]) -> str:
    """One name for the rows of all tasks; where they use the same, it is the name of these."""
    names = [_name(marks) for marks in used.values()]
    return names[0] if len(set(names)) == 1 else _name(" ".join(names).encode())


def _reasons(db: sqlite3.Connection, policy: Policy, terms: str, used: Mapping[int, bytes]) -> list[str]:
    """Sentences for this site's people, who approve."""
    if policy.approve == "never" or (policy.approve == "close-rows" and holds.approved_before(db, terms, _together(used))):
        return []
    reasons = ["The policy asks for a person's approval of each batch."] if policy.approve == "each-batch" else []
    alone = f"and the policy's minimum is {policy.min_rows}: the difference of the two answers would be about these alone."
    for (one, its), (other, others) in combinations(used.items(), 2):
        count = rows.differ(its, others)
        if 0 < count < policy.min_rows:
            reasons.append(f"Its tasks {one} and {other} use rows that differ by {_count(count)}, {alone}")
    for marks in dict.fromkeys(used.values()):
        for near in rows.near(db, _name(marks), marks, policy.min_rows):
            before = ", ".join(f"project {project}, batch {batch}" for project, batch in near.batches) or "an earlier batch"
            reasons.append(f"Its rows differ by {_count(near.differ)} from those of {before}, {alone}")
    return list(dict.fromkeys(reasons))


def _count(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def _allows(allowed: Allowed, name: str) -> bool:
    return allowed == "all" or name in allowed


def _may_run_unisolated(allowed: Allowed, model: str) -> bool:
    if allowed in ("all", "none"):
        return allowed == "all"
    if allowed == "own":
        return any(found.dist is not None and found.dist.name == "starfish" for found in entry_points(group="starfish.tasks", name=model))
    return model in allowed


def _note(db: sqlite3.Connection, policy: Policy) -> None:
    """Which rules hold, whenever they are others than before."""
    last = db.execute("SELECT entry FROM audit WHERE json_extract(entry, '$.kind') = 'policy' ORDER BY nr DESC LIMIT 1").fetchone()
    if last is None or json.loads(last[0])["detail"]["policy"] != policy.digest:
        said = {rule.name: written(getattr(policy, rule.name)) for rule in RULES}
        audit.append(db, "policy", None, {"policy": policy.digest, "preset": policy.preset, "rules": said})
