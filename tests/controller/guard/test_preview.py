"""A dry run: it says what would leave and which rule is nearest, and nothing of it is written down."""

from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.config import Home, SiteConfig
from starfish.controller.datasets import Binding
from starfish.controller.guard import audit, egress, gate
from starfish.controller.guard.policy import preset
from starfish.controller.preview import Preview, preview
from starfish.controller.worker import steps
from tests.controller.guard.conftest import update

PROJECT = project_file.from_text(
    """
name: small
variables:
  age: {type: number}
  sex: {type: category, levels: [female, male]}
  ill: {type: binary, role: outcome}
tasks:
  - model: LogisticRegressionStats
    config: {formula: "ill ~ age + sex"}
  - model: SummaryStatistics
"""
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create(SiteConfig(router="http://127.0.0.1:1", uid="u", name="A", site_id=1, auth="token", policy="standard"), "s" * 43)
    return made


def tried(home: Home, rows: int, *, held: str = "standard", by_name: bool = False, males: int | None = None, missing: int = 0) -> Preview:
    source = home.path.parent / "data.csv"
    lines = [
        f"{20 + row * 7 % 40},{'male' if row % 2 and (males is None or row < 2 * males) else 'female'},{row % 3 % 2}" for row in range(rows)
    ]
    lines = [line if row >= missing else line.replace("male", "").replace("fe", "") for row, line in enumerate(lines)]
    source.write_text("age,sex,ill\n" + "\n".join(lines) + "\n")
    binding = Binding(project="small", dataset="data", source=str(source), mapping=None, mapping_version=0)
    return preview(home, PROJECT, binding, policy=preset(held), by_name=by_name)


def test_it_counts_the_numbers_of_each_round_and_names_the_nearest_rule(home: Home) -> None:
    found = tried(home, 48)
    logistic, summary = found.tasks
    assert (logistic.used, logistic.events) == (48, 16)
    assert len(logistic.numbers) > 3
    assert all(numbers > 0 for numbers in logistic.numbers + summary.numbers)
    assert found.refusals == []
    assert found.nearest is not None
    assert not found.nearest.refuses
    rows = next(measure for measure in logistic.measures if measure.rule == "min_rows")
    assert (rows.found, rows.limit) == (48, 10)


def test_which_rule_would_refuse(home: Home) -> None:
    few = tried(home, 9)
    assert any("9 rows" in refusal and "(rule min_rows)" in refusal for refusal in few.refusals)
    assert few.nearest is not None
    assert few.nearest.refuses
    assert any("(rule min_cell)" in refusal for refusal in tried(home, 60, males=1).refusals)
    assert any("(rule by_name)" in refusal for refusal in tried(home, 48, by_name=True).refusals)
    assert tried(home, 9, held="open", by_name=True).refusals == []


def test_it_says_that_a_person_would_be_asked(home: Home) -> None:
    assert tried(home, 48).waits == []
    assert tried(home, 90, held="strict").waits == ["The policy asks for a person's approval of each batch."]
    tried(home, 48)
    work = home.path.parent / "work"
    work.mkdir()
    with home.journal() as journal:
        key = gate.begin(journal, preset("standard"), (1, 1))
        terms = {"project": "small", "batch": 1, "tasks": PROJECT.tasks, "definition": PROJECT.definition}
        steps.BatchFolder.write_json(work / "terms.json", terms)
        counted = steps.prepare(str(work), "u", str(home.path.parent / "data.csv"), None, key.hex())
        gate.prepared(journal, preset("standard"), (1, 1), "data", terms, counted["tasks"], (work / "rows.marks").read_bytes())
        egress.release(journal, preset("standard"), (1, 1), "update", "u", update(), position=(1, 1))
    assert tried(home, 48).waits == [], "the same rows are no new ones"
    [reason] = tried(home, 47).waits
    assert "differ by 1 row from those of project 1, batch 1" in reason


def test_a_person_would_be_asked_of_tasks_whose_rows_differ_by_few(home: Home) -> None:
    assert tried(home, 48).waits == []
    [reason] = tried(home, 48, missing=3).waits
    assert reason.startswith("Its tasks 1 and 2 use rows that differ by 3 rows")
    assert tried(home, 48, missing=12).waits == []
    assert tried(home, 48, missing=3, held="open").waits == []


def test_nothing_of_it_is_written_down(home: Home) -> None:
    tried(home, 48)
    with home.journal() as journal, journal.read() as db:
        assert list(audit.rows(db)) == []
        assert [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("part", "answer", "hold", "frozen")] == [(0,)] * 4
