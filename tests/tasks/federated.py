"""Runs a task over sites' rows in this process, through bytes as on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from starfish.tasks import registry
from starfish.tasks.api import Rows, Task, TaskReport
from starfish.tasks.disclosure import OPEN, Limits, Scrutiny, breaches, refuse
from starfish.tasks.errors import NoEstimate
from starfish.tasks.payload import Payload
from starfish.tasks.study import Study


def study(**variables: Mapping[str, Any]) -> Study:
    return Study.from_definition({"variables": variables})


def federated(
    task: Task, sites: Mapping[str, Rows], *, names: Mapping[str, str] | None = None, limits: Limits = OPEN
) -> tuple[TaskReport, int]:
    """The report and the number of rounds; every site holds back by `limits`. Raises NoEstimate, SiteRefusal."""
    for uid, part in sites.items():
        refuse(breaches(task.design(part, site=uid), limits), uid)
    before: Payload | None = None
    model: Payload | None = None
    updates: dict[str, Payload] = {}
    number = 0
    while number < task.config.total_round:
        number += 1
        watched = {uid: Scrutiny(limits=limits, model=before, update=updates.get(uid)) for uid in sites}
        trained = {uid: task.train(sites[uid], model, site=uid, scrutiny=watched[uid]) for uid in sorted(sites)}
        updates = {uid: Payload.from_bytes(update.to_bytes()) for uid, update in trained.items()}
        outcome = task.aggregate(updates.items(), model)
        before, model = model, Payload.from_bytes(outcome.model.to_bytes())
        if outcome.done:
            break
    assert model is not None
    return task.report(model, site_names=names), number


def failure(task: Task, sites: Mapping[str, Rows]) -> NoEstimate:
    """Why there is no answer. Raises AssertionError where there is one."""
    try:
        report, _ = federated(task, sites)
    except NoEstimate as error:
        return error
    raise AssertionError(f"there is an answer: {report.estimates}")


def build(name: str, described: Study, /, **config: Any) -> Task:
    return registry.build(name, config, described)


def rows(**columns: Any) -> Rows:
    made = {name: np.asarray(column) for name, column in columns.items()}
    return Rows(n=len(next(iter(made.values()))), columns=made)


def dealt(pooled: Rows, sizes: Sequence[int], *, seed: int | None = None) -> dict[str, Rows]:
    """The rows dealt to sites of these sizes, in order or shuffled."""
    assert sum(sizes) == pooled.n
    order = np.arange(pooled.n) if seed is None else np.random.default_rng(seed).permutation(pooled.n)
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return {f"{number:04d}": _at(pooled, part) for number, part in enumerate(parts)}


def even(total: int, sites: int) -> list[int]:
    return [total // sites + (number < total % sites) for number in range(sites)]


def by_term(report: TaskReport) -> dict[str, Mapping[str, Any]]:
    return {row["term"]: row for row in report.estimates}


def _at(pooled: Rows, places: np.ndarray) -> Rows:
    return Rows(n=len(places), columns={name: column[places] for name, column in pooled.columns.items()})
