"""Rows are compared as each task uses them: a project can choose whom its tasks leave out, and subtract."""

from pathlib import Path
from typing import Any

from starfish.controller.daemon.journal import Journal
from starfish.controller.guard import egress, gate
from starfish.controller.guard.policy import preset
from starfish.controller.worker import steps
from tests.controller.guard.conftest import update

STANDARD = preset("standard")
TABLE_ONE: dict[str, Any] = {"seq": 1, "model": "SummaryStatistics", "config": {"variables": ["age"]}}
MODEL: dict[str, Any] = {"seq": 1, "model": "LogisticRegressionStats", "config": {"formula": "ill ~ age"}}


def begin(
    journal: Journal, folder: Path, number: int, *tasks: dict[str, Any], age: dict[str, Any] | None = None, gap: int | None = None
) -> list[str]:
    """Why a batch of these tasks waits, by the worker's own marks. `age` says more of the variable, `gap` which patient has none."""
    work = folder / str(number)
    work.mkdir()
    variables = {"age": {"type": "number", **(age or {})}, "name": {"type": "id"}, "ill": {"type": "binary", "role": "outcome"}}
    terms = {"project": "p", "batch": number, "tasks": list(tasks), "definition": {"variables": variables}}
    steps.BatchFolder.write_json(work / "terms.json", terms)
    source = folder / "patients.csv"
    lines = [f"{'' if row == gap else 20 + row},n{row},{row % 3 % 2}" for row in range(60)]
    source.write_text("\n".join(["age,name,ill", *lines, ""]))
    key = gate.begin(journal, STANDARD, (1, number))
    counted = steps.prepare(str(work), "u", str(source), None, key.hex())["tasks"]
    made = steps.BatchFolder(work)
    reasons = gate.prepared(journal, STANDARD, (1, number), "data", terms, counted, made.marks.read_bytes(), made.marks_apart())
    if not reasons:
        for task in tasks:
            egress.release(journal, STANDARD, (1, number), "update", "u", update(number), position=(task["seq"], 1))
    return reasons


def model(**config: Any) -> dict[str, Any]:
    return {"seq": 1, "model": "LogisticRegression", "config": {"formula": "ill ~ age", "seed": 3, **config}}


def test_a_patient_whose_value_the_project_calls_missing_is_missed(journal: Journal, tmp_path: Path) -> None:
    assert begin(journal, tmp_path, 1, MODEL) == []
    [reason] = begin(journal, tmp_path, 2, MODEL, age={"missing_codes": [47]})
    assert "differ by 1 row from those of project 1, batch 1" in reason


def test_so_is_one_who_is_held_out_by_a_little_more(journal: Journal, tmp_path: Path) -> None:
    asked = [begin(journal, tmp_path, number, model(test_fraction=0.29 + number / 100)) for number in range(1, 6)]
    assert asked[0] == []
    assert any("from those of project 1, batch 1" in reason for reasons in asked[1:] for reason in reasons)


def test_another_seed_is_no_near_question(journal: Journal, tmp_path: Path) -> None:
    assert begin(journal, tmp_path, 1, model(test_fraction=0.4)) == []
    assert begin(journal, tmp_path, 2, model(test_fraction=0.4, seed=4)) == []


def test_tasks_of_one_batch_are_compared_too(journal: Journal, tmp_path: Path) -> None:
    assert begin(journal, tmp_path, 1, TABLE_ONE, {**MODEL, "seq": 2}) == []
    [reason] = begin(journal, tmp_path, 2, {**TABLE_ONE, "config": {"variables": ["ill"]}}, {**MODEL, "seq": 2}, gap=5)[:1]
    assert reason.startswith("Its tasks 1 and 2 use rows that differ by 1 row,")


def test_a_task_that_uses_all_rows_has_no_marks_of_its_own(journal: Journal, tmp_path: Path) -> None:
    begin(journal, tmp_path, 1, TABLE_ONE, {**MODEL, "seq": 2})
    assert steps.BatchFolder(tmp_path / "1").marks_apart() == {}
    begin(journal, tmp_path, 2, TABLE_ONE, {**MODEL, "seq": 2}, gap=5)
    assert {seq: len(found) // 8 for seq, found in steps.BatchFolder(tmp_path / "2").marks_apart().items()} == {2: 59}
