"""A sealed study: by invitation, signed and in envelopes, with the same answer as in the open."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import seen
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
NAMES = ("North", "South", "West", "sealed-hearts", "LogisticRegressionStats", "admin", "admin@example.org")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_answer_and_nothing_to_read(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "open.yaml").write_text(PROJECT.replace("sealed-hearts", "open-hearts"))
    server = serve("serve")
    database = Path(server.settings["DATABASE_NAME"])
    with federation(server, tmp_path) as made:
        made.add("North", DATA / "cleveland.csv")
        made.add("South", DATA / "hungary.csv")
        made.add("West", DATA / "long_beach.csv")
        made.open_sealed_project(tmp_path / "project.yaml", "sealed-hearts")
        made.coordinator.run("run", "start", "sealed-hearts", "--wait")
        sealed = made.coordinator.json("run", "report", "sealed-hearts")
        logs = made.coordinator.json("run", "logs", "sealed-hearts")
        held = [(place, value, seen.kind_of(value, NAMES)) for place, value in seen.values(database)]
        files = [file for file in (server.folder / "artifacts").rglob("*") if file.is_file()]
        assert all(file.read_bytes().startswith(seen.ENVELOPE) for file in files)
        made.open_project(tmp_path / "open.yaml", "open-hearts")
        made.coordinator.run("run", "start", "open-hearts", "--wait")
        plain = made.coordinator.json("run", "report", "open-hearts")
    assert sealed["tasks"][0]["estimates"] == plain["tasks"][0]["estimates"]
    assert sealed["sites"] == plain["sites"]
    assert sealed["manifest"]
    assert plain["manifest"] is None
    assert {log["site"] for log in logs["sites"]} == {"North", "South", "West"}
    assert all("prepared" in log["text"] for log in logs["sites"])
    assert [(place, value) for place, value, kind in held if kind is None] == []
    assert files
    assert {kind for _, _, kind in held} == seen.listed_kinds()
    assert any(seen.kind_of(value, NAMES) is None for _, value in seen.values(database)), "the open study's terms are of no kind"
