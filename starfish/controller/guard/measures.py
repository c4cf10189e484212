"""How near a task's design comes to each number of the policy; what `run preview` shows and `simulate` warns of."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from starfish.controller.guard.policy import Policy
from starfish.tasks.disclosure import DOMINANT, Design


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What was found, and the policy's number for it. `nearness`: 1 is on the line, above it the rule refuses."""

    rule: str
    what: str
    found: float
    limit: float
    nearness: float

    @property
    def refuses(self) -> bool:
        return self.nearness > 1


def nearest(measures: list[Measure]) -> Measure | None:
    """The one that leaves the least room; None where nothing is measured."""
    return max(measures, key=lambda measure: measure.nearness, default=None)


def measures(design: Design, policy: Policy) -> list[Measure]:
    """Each number of the policy that this design has anything to do with."""
    return [*_of_rows(design, policy), *_of_cells(design, policy), *_of_one_row(design, policy)]


def of_answers(same: int, dataset: int, policy: Policy) -> list[Measure]:
    """With so many answers about the same rows and variables, and about the dataset, once the batch is over."""
    found = []
    if policy.max_queries is not None:
        found.append(_most("max_queries", "answers about these rows and variables, this batch's included", same, policy.max_queries))
    if policy.max_rounds is not None:
        found.append(_most("max_rounds", "answers about this dataset, this batch's included", dataset, policy.max_rounds))
    return found


def _of_rows(design: Design, policy: Policy) -> Iterator[Measure]:
    used = {"rows": design.rows} if design.rows is not None else {}
    for name, rows in (used | dict(design.parts)).items():
        yield _least("min_rows", name, rows, policy.min_rows)
    if design.effective is not None and design.effective != design.rows:
        yield _least("min_rows", "rows that count, by the weights", design.effective, policy.min_rows)
    for name, (without, events) in design.outcomes.items():
        yield _least("min_events", f"{name}: events, or rows without one", min(without, events), policy.min_events)
    if design.rows and math.isfinite(policy.max_parameters):
        yield _most("max_parameters", "parameters for each row", design.parameters / design.rows, policy.max_parameters)


def _of_cells(design: Design, policy: Policy) -> Iterator[Measure]:
    filled = [cell for cell in design.cells if cell.rows > 0]
    if filled:
        smallest = min(filled, key=lambda cell: cell.rows)
        yield _least("min_cell", f"rows in the smallest cell ({smallest.name})", smallest.rows, policy.min_cell)


def _of_one_row(design: Design, policy: Policy) -> Iterator[Measure]:
    if design.shares and policy.max_share < 1:
        name = max(design.shares, key=lambda name: design.shares[name])
        yield _most("max_share", f"the largest part of {name} that one row makes up", design.shares[name], policy.max_share)
    if design.leverage and policy.oracle:
        yield _most("oracle", "the largest part that one row has in a combination of the columns", design.leverage, DOMINANT)


def _least(rule: str, what: str, found: float, limit: float) -> Measure:
    return Measure(rule=rule, what=what, found=found, limit=limit, nearness=limit / max(found, 1e-9))


def _most(rule: str, what: str, found: float, limit: float) -> Measure:
    return Measure(rule=rule, what=what, found=found, limit=limit, nearness=found / limit)
