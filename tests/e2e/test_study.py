"""A study as three hospitals live it: one only coordinates, two bring data, and the two never learn of each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.simulate import SimulatedSite, simulate
from tests.e2e.federation import federation, until
from tests.support.servers import ROOT, Server

DATA = ROOT / "examples" / "heart_disease" / "data"
PROJECT = """
name: two-hospitals
description: Who has heart disease
variables:
  age:     {type: number, unit: years}
  sex:     {type: category, levels: [female, male]}
  exang:   {type: binary, positive: true}
  disease: {type: binary, role: outcome}
tasks:
  - model: SummaryStatistics
    config: {group: disease}
  - model: LogisticRegression
    config: {formula: "disease ~ age + sex + exang", site: fixed}
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_coordinator_without_data_and_two_hospitals(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(PROJECT)
    with federation(serve("serve"), tmp_path) as made:
        leader = made.add("Trial Office", DATA / "hungary.csv")
        first, second = made.add("Clinic North", DATA / "cleveland.csv"), made.add("Clinic South", DATA / "hungary.csv")
        leader.run("project", "create", str(tmp_path / "project.yaml"), "--no-data")
        for member in (first, second):
            member.run("project", "join", "two-hospitals", "--dataset", "patients")
        leader.run("run", "start", "two-hospitals", "--wait")
        report = leader.json("run", "report", "two-hospitals")
        assert [site["site"] for site in report["sites"]] == ["Clinic North", "Clinic South"]

        alone = simulate(
            project_file.from_text(PROJECT),
            [
                SimulatedSite(name="Clinic North", source=str(DATA / "cleveland.csv")),
                SimulatedSite(name="Clinic South", source=str(DATA / "hungary.csv")),
            ],
        )
        for mine, theirs in zip(report["tasks"][1]["estimates"], alone["tasks"][1]["estimates"], strict=True):
            assert mine["term"] == theirs["term"]
            assert mine["estimate"] == pytest.approx(theirs["estimate"], rel=1e-9)
        assert report["tasks"][0]["tables"]["levels"] == alone["tasks"][0]["tables"]["levels"]

        until(lambda: first.run("run", "report", "two-hospitals", ok=False).returncode == 0, "the participant's report")
        own = first.json("run", "report", "two-hospitals")
        assert [site["site"] for site in own["sites"]] == ["Clinic North"]
        assert {row["term"] for row in own["tasks"][1]["estimates"]} >= {"age", "site[site 2]"}
        told = "".join(first.run(*command).stdout for command in (("run", "show", "two-hospitals"), ("run", "logs", "two-hospitals")))
        first.run("run", "download", "two-hospitals", "--to", str(tmp_path / "results"))
        south = second.json("site", "status")["uid"]
        for folder in (first.home, tmp_path / "results"):
            for file in folder.rglob("*"):
                if file.is_file():
                    held = file.read_bytes()
                    assert b"Clinic South" not in held, file
                    assert south.encode() not in held, file
        assert "Clinic South" not in told
        refused = first.run("run", "stop", "two-hospitals", ok=False)
        assert refused.returncode == 1
        assert "coordinator" in refused.stderr
        first.run("project", "leave", "two-hospitals")
        assert first.json("project", "list") == []
