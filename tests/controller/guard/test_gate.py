"""Whether a batch may begin: what the policy allows, the rows that others have asked about, and the person who approves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.controller.daemon.journal import Journal
from starfish.controller.data import Table
from starfish.controller.guard import audit, egress, gate, holds, rows
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Policy, preset
from starfish.controller.worker.marks import marks
from tests.controller.guard.conftest import update

STANDARD = preset("standard")
TERMS = {"project": "p", "tasks": [{"seq": 1, "model": "SummaryStatistics", "config": {}}], "definition": {}}
KEY = b"k" * 32


def table(cells: list[str]) -> Table:
    return Table(columns={"age": cells, "name": [f"n{cell}" for cell in cells]}, n=len(cells), source="a", lines=np.arange(len(cells)))


def marked(cells: list[str], key: bytes = KEY) -> bytes:
    return marks(table(cells), np.ones(len(cells), dtype=bool), key)


def prepare(
    journal: Journal, batch: tuple[int, int], cells: range, policy: Policy = STANDARD, terms: Mapping[str, Any] = TERMS
) -> list[str]:
    """Why the batch waits."""
    key = gate.begin(journal, policy, batch)
    tasks = [{"seq": 1, "used": len(cells), "variables": ["age"]}]
    return gate.prepared(journal, policy, batch, "data", terms, tasks, marked([str(cell) for cell in cells], key))


def answer(journal: Journal, batch: tuple[int, int]) -> None:
    egress.release(journal, STANDARD, batch, "update", "u", update(hash(batch) % 1000), position=(1, 1))


@pytest.mark.parametrize(
    ("policy", "how", "rule"),
    [
        (STANDARD, {"by_name": True}, "by_name"),
        (replace(STANDARD, tasks=("LinearRegression",)), {}, "tasks"),
        (replace(STANDARD, datasets=("other",)), {}, "datasets"),
        (preset("strict"), {"isolated": False}, "not_isolated"),
        (replace(STANDARD, not_isolated=("LinearRegression",)), {"isolated": False}, "not_isolated"),
    ],
)
def test_what_the_policy_does_not_allow_does_not_begin(policy: Policy, how: dict[str, bool], rule: str) -> None:
    with pytest.raises(Withheld) as refused:
        gate.admit(policy, TERMS, "data", **{"by_name": False, "isolated": True} | how)
    assert refused.value.rule == rule
    assert "'data'" not in refused.value.public, "a dataset's name is the site's own"


def test_what_it_allows_does() -> None:
    gate.admit(STANDARD, TERMS, "data", by_name=False, isolated=True)
    gate.admit(preset("open"), TERMS, "data", by_name=True, isolated=False)
    gate.admit(STANDARD, TERMS, "data", by_name=False, isolated=False)
    with pytest.raises(Withheld, match="isolate"):
        gate.admit(STANDARD, {"tasks": [{"model": "SomebodyElses"}]}, "data", by_name=False, isolated=False)


def test_the_same_rows_again_wait_for_nobody(journal: Journal) -> None:
    assert prepare(journal, (1, 1), range(50)) == []
    answer(journal, (1, 1))
    assert prepare(journal, (2, 1), range(50)) == []


def test_rows_that_differ_by_one_from_those_of_any_batch_before_wait(journal: Journal) -> None:
    prepare(journal, (1, 1), range(50))
    answer(journal, (1, 1))
    prepare(journal, (1, 2), range(200))
    answer(journal, (1, 2))
    [reason] = prepare(journal, (2, 1), range(1, 50))
    assert "differ by 1 row from those of project 1, batch 1" in reason
    assert not gate.cleared(journal, (2, 1))
    assert prepare(journal, (2, 2), range(60)) == [], "ten rows more are enough"
    assert gate.cleared(journal, (2, 2))


def test_rows_that_nobody_was_told_of_are_no_reason_to_wait(journal: Journal) -> None:
    prepare(journal, (1, 1), range(50))
    assert prepare(journal, (1, 2), range(49)) == []


def test_open_asks_nobody_and_strict_always(journal: Journal) -> None:
    prepare(journal, (1, 1), range(50))
    answer(journal, (1, 1))
    assert prepare(journal, (1, 2), range(49), preset("open")) == []
    assert prepare(journal, (1, 3), range(300), preset("strict")) == ["The policy asks for a person's approval of each batch."]


def test_an_approval_is_for_these_terms_and_these_rows(journal: Journal) -> None:
    strict, batch = preset("strict"), (1, 1)
    assert prepare(journal, batch, range(50), strict)
    with journal.write() as db:
        found = holds.find(db, batch)
        assert found is not None
        assert found.terms == gate.digest(TERMS)
        holds.approve(db, found, "mueller")
    assert gate.cleared(journal, batch)
    assert prepare(journal, batch, range(50), strict) == [], "a restart on the same rows goes on"
    assert prepare(journal, batch, range(90), strict), "other rows don't"
    with journal.write() as db:
        found = holds.find(db, batch)
        assert found is not None
        holds.approve(db, found, "mueller")
        approvals = [entry for row in audit.rows(db) if (entry := audit.entry(row)).kind == "approved"]
    assert [entry.detail["approver"] for entry in approvals] == ["mueller", "mueller"]
    assert approvals[0].detail["rows"] != approvals[1].detail["rows"]
    assert prepare(journal, batch, range(90), strict, TERMS | {"definition": {"eligibility": "age > 1"}}), "nor do other terms"


def test_what_was_approved_is_not_asked_again_unless_each_batch_is(journal: Journal) -> None:
    prepare(journal, (1, 1), range(50))
    answer(journal, (1, 1))
    assert prepare(journal, (1, 2), range(49))
    with journal.write() as db:
        found = holds.find(db, (1, 2))
        assert found is not None
        holds.approve(db, found, "mueller")
    assert prepare(journal, (1, 3), range(49)) == []
    assert gate.cleared(journal, (1, 3))
    assert prepare(journal, (1, 4), range(49), terms=TERMS | {"definition": {"missing": "refuse"}}), "other terms are another question"
    assert prepare(journal, (1, 5), range(48)), "and other rows are"
    assert prepare(journal, (1, 6), range(49), preset("strict"))


def test_until_a_batch_is_prepared_again_nothing_is_known_of_its_rows(journal: Journal) -> None:
    prepare(journal, (1, 1), range(50))
    assert gate.noted(journal, (1, 1))
    gate.begin(journal, STANDARD, (1, 1))
    assert not gate.noted(journal, (1, 1))


def test_which_rules_hold_is_in_the_audit_once_for_each_change(journal: Journal) -> None:
    for policy in (STANDARD, STANDARD, preset("strict"), STANDARD):
        gate.begin(journal, policy, (1, 1))
    with journal.read() as db:
        said = [entry.detail for row in audit.rows(db) if (entry := audit.entry(row)).kind == "policy"]
    assert [detail["preset"] for detail in said] == ["standard", "strict", "standard"]
    assert said[0]["rules"]["min_rows"] == "10"


@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_marks_tell_by_how_many_rows_two_sources_differ(one: list[int], other: list[int]) -> None:
    """Rows that are alike count as often as they stand there; the order does not matter."""
    first, second = (np.frombuffer(marked([str(cell) for cell in cells]), dtype=rows.MARK) for cells in (one, other))
    differ = sum(abs(one.count(cell) - other.count(cell)) for cell in range(6))
    assert np.setxor1d(first, second, assume_unique=True).size == differ


def test_marks_are_of_the_chosen_rows_by_all_their_cells_whatever_the_order_of_columns() -> None:
    cells = ["1", "2", "3"]
    swapped = Table(columns=dict(reversed(table(cells).columns.items())), n=3, source="b", lines=np.arange(3))
    assert marks(swapped, np.ones(3, dtype=bool), KEY) == marked(cells)
    assert marks(table(cells), np.array([True, False, True]), KEY) == marked(["1", "3"])
    assert marked(cells, b"x" * 32) != marked(cells), "without the key nobody can tell whose row a mark is"


def test_the_key_is_made_once(journal: Journal) -> None:
    assert gate.begin(journal, STANDARD, (1, 1)) == gate.begin(journal, STANDARD, (9, 9))
