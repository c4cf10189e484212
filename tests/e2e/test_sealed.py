"""A sealed study: by invitation, signed and in envelopes, with the same answer as in the open."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.federation import federation
from tests.support.servers import ROOT, Server

DATA = ROOT / "examples" / "heart_disease" / "data"
PROJECT = """
name: sealed-hearts
description: A canary-description that nobody else may read
variables:
  age:     {type: number, unit: years}
  sex:     {type: category, levels: [female, male]}
  exang:   {type: binary, positive: true}
  disease: {type: binary, role: outcome}
tasks:
  - model: LogisticRegressionStats
    config: {formula: "disease ~ age + sex + exang"}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_answer_and_nothing_to_read(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "open.yaml").write_text(PROJECT.replace("sealed-hearts", "open-hearts"))
    server = serve("serve")
    with federation(server, tmp_path) as made:
        made.add("North", DATA / "cleveland.csv")
        made.add("South", DATA / "hungary.csv")
        made.add("West", DATA / "long_beach.csv")
        made.open_sealed_project(tmp_path / "project.yaml", "sealed-hearts")
        made.coordinator.run("run", "start", "sealed-hearts", "--wait")
        sealed = made.coordinator.json("run", "report", "sealed-hearts")
        made.open_project(tmp_path / "open.yaml", "open-hearts")
        made.coordinator.run("run", "start", "open-hearts", "--wait")
        plain = made.coordinator.json("run", "report", "open-hearts")
    assert sealed["tasks"][0]["estimates"] == plain["tasks"][0]["estimates"]
    assert sealed["sites"] == plain["sites"]
    assert sealed["manifest"]
    assert plain["manifest"] is None
    with closing(sqlite3.connect(server.settings["DATABASE_NAME"])) as database:
        project = database.execute("SELECT description, tasks, definition FROM router_project WHERE name = 'sealed-hearts'").fetchone()
        lines = [text for (text,) in database.execute("SELECT text FROM router_runlines")]
    assert "formula" not in str(project)
    assert "canary" not in str(project)
    assert lines
