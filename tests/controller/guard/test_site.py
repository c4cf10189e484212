"""What a site's people see of its guard, by the command line and from Python; no Routing Server is asked."""

import json
import os
import pwd
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from starfish.cli.main import app
from starfish.controller.api import Site
from starfish.controller.config import Home, SiteConfig
from starfish.controller.errors import HomeError, NotNow
from starfish.controller.guard import egress, gate
from starfish.controller.guard.policy import preset
from starfish.controller.guard.presets import RULES
from tests.controller.guard.conftest import update

TERMS: dict[str, Any] = {"project": "p", "tasks": [], "definition": {}}
BATCH = (1, 1)
runner = CliRunner()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create(SiteConfig(router="http://127.0.0.1:1", uid="u", name="A", site_id=1, auth="token", policy="standard"), "s" * 43)
    return made


@pytest.fixture
def filled(home: Home) -> Home:
    """A batch under `strict` that waits, was approved, and has sent one update."""
    with home.journal() as journal:
        gate.begin(journal, preset("strict"), BATCH)
        tasks = [{"seq": 1, "used": 50, "variables": ["age"]}]
        gate.prepared(journal, preset("strict"), BATCH, "data", TERMS, tasks, np.arange(50, dtype="<u8").tobytes())
    Site(home.path).guard.approve(1, "p", 1)
    with home.journal() as journal:
        egress.release(journal, preset("strict"), BATCH, "update", "mid-artifacts", update(7), position=(1, 1))
        egress.release(journal, preset("strict"), BATCH, "lines", "lines", b"task 1, round 1: sent\n")
    return home


def starfish(home: Home, *words: str) -> Any:
    return runner.invoke(app, ["site", *words, "--home", str(home.path)], env={"COLUMNS": "400"})


def test_the_policy_is_shown_with_the_reason_of_each_rule_and_what_was_changed(home: Home) -> None:
    home.policy_file.write_text("preset: standard\nmin_rows: 20\nmax_rounds: none\n")
    shown = starfish(home, "policy").stdout
    assert "min_rows: 20   (the preset says 10)" in shown
    assert "max_rounds: none   (the preset says 5000)" in shown
    assert all(rule.why in shown for rule in RULES)
    found = json.loads(starfish(home, "policy", "--json").stdout)
    assert found["preset"] == "standard"
    assert {rule["name"]: rule["value"] for rule in found["rules"]} | {"min_rows": 20, "max_rounds": None, "tasks": "all"} == {
        rule["name"]: rule["value"] for rule in found["rules"]
    }


def test_a_policy_that_is_wrong_is_refused_with_its_line(home: Home) -> None:
    home.policy_file.write_text("preset: standard\nmin_row: 20\n")
    result = starfish(home, "policy")
    assert result.exit_code == 1
    assert "line 2: 'min_row' is no rule of a policy. Did you mean 'min_rows'?" in result.stderr


def test_the_audit_tells_who_approved_and_what_left(filled: Home) -> None:
    shown = starfish(filled, "audit").stdout
    assert f"approved by {pwd.getpwuid(os.getuid()).pw_name}: The policy asks for a person's approval of each batch." in shown
    assert "task 1, round 1, 3 numbers" in shown
    assert "[7.0, 8.0, 9.0]" not in shown
    assert "[7.0, 8.0, 9.0]" in starfish(filled, "audit", "--contents").stdout
    lines = json.loads(starfish(filled, "audit", "--json", "--contents").stdout)
    assert [line["kind"] for line in lines] == ["policy", "approved", "departure", "departure"]
    assert lines[2]["content"]["arrays"] == {"score": [7.0, 8.0, 9.0]}
    assert lines[3]["content"] == "task 1, round 1: sent\n"


def test_an_empty_audit_says_so(home: Home) -> None:
    assert "Nothing has left this site." in starfish(home, "audit").stdout
    assert starfish(home, "audit", "--verify").exit_code == 0


def test_the_audit_is_verified_and_a_noted_head_tells_a_cut_end(filled: Home) -> None:
    verdict = json.loads(starfish(filled, "audit", "--verify", "--json").stdout)
    assert verdict["faults"] == []
    assert verdict["head"] in starfish(filled, "audit").stdout
    assert starfish(filled, "audit", "--verify", "--head", verdict["head"]).exit_code == 0
    with sqlite3.connect(filled.journal_file) as db:
        db.execute("DELETE FROM audit WHERE nr = 4")
    db.close()
    assert starfish(filled, "audit", "--verify").exit_code == 0, "which is why a head is to be noted elsewhere"
    cut = starfish(filled, "audit", "--head", verdict["head"])
    assert cut.exit_code == 1
    assert "entries were cut off at the end" in cut.stdout


def test_an_altered_entry_is_named_and_the_command_fails(filled: Home) -> None:
    with sqlite3.connect(filled.journal_file) as db:
        db.execute("UPDATE audit SET entry = replace(entry, 'strict', 'open') WHERE nr = 1")
    db.close()
    result = starfish(filled, "audit", "--verify")
    assert (result.exit_code, result.stdout) == (1, "Entry 1 was altered.\n")


def test_what_waits_is_told_with_the_way_on_until_it_is_approved_or_over(filled: Home) -> None:
    filled.datasets.add("data", str(filled.path))
    filled.bind(1, "p", "data")
    guard = Site(filled.path).guard
    with filled.journal() as journal:
        for batch in (2, 3):
            journal.take_up(10 + batch, (1, batch), coordinates=False)
            tasks = [{"seq": 1, "used": 50, "variables": ["age"]}]
            gate.prepared(journal, preset("strict"), (1, batch), "data", TERMS, tasks, np.arange(50, dtype="<u8").tobytes())
        assert len(guard.waiting()) == 2
        journal.mark(12, finished=True)
    assert guard.waiting() == ["Batch 3 of 'p': 'starfish run approve 1 --batch 3'"]
    guard.approve(1, "p", 3)
    assert guard.waiting() == []


def test_what_does_not_wait_can_not_be_approved(filled: Home) -> None:
    with pytest.raises(NotNow, match="was approved already, by"):
        Site(filled.path).guard.approve(1, "p", 1)
    with pytest.raises(NotNow, match="does not wait"):
        Site(filled.path).guard.approve(1, "p", 2)


def test_a_folder_that_is_no_home_gets_no_journal(tmp_path: Path) -> None:
    with pytest.raises(HomeError):
        Site(tmp_path).guard.audit()
    assert list(tmp_path.iterdir()) == []
