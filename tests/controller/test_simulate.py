"""A simulation lets nothing leave a site but by the egress that the daemon's sites have."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from starfish.cli.main import app
from starfish.controller import project_file
from starfish.controller.daemon.journal import Journal
from starfish.controller.guard.policy import preset
from starfish.controller.simulate import BATCH, SimulatedSite, Simulation, SimulationRefused, would_refuse

TEXT = "name: small\nvariables:\n  age: {type: number}\ntasks:\n  - model: SummaryStatistics\n"
PROJECT = project_file.from_text(TEXT)


def simulated(folder: Path, held: str, rows: int = 40, sites: str = "AB") -> tuple[Simulation, Journal]:
    made = []
    for name in sites:
        (folder / f"{name}.csv").write_text("age\n" + "".join(f"{20 + age % 40}\n" for age in range(rows)))
        made.append(SimulatedSite(name=name, source=str(folder / f"{name}.csv")))
    journal = Journal(folder / "journal.sqlite3")
    return Simulation(PROJECT, made, folder, lambda line: None, policy=preset(held), journal=journal), journal


def test_each_update_and_each_model_passes_the_egress(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "open")
    with journal:
        (task,) = simulation.run()["tasks"]
        for batch in (*simulation.batches.values(), BATCH):
            left = [what for what, *_ in journal.departures(batch)]
            assert left == [("model" if batch == BATCH else "update")] * task["rounds"]


@pytest.mark.parametrize("held", ["standard", "strict"])
def test_a_proper_study_passes_under_the_presets_for_patients_data(tmp_path: Path, held: str) -> None:
    simulation, journal = simulated(tmp_path, held, sites="ABCD")
    with journal:
        assert simulation.run()["tasks"][0]["converged"]


def test_a_site_that_the_policy_keeps_out_ends_the_simulation(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "standard", rows=9, sites="ABC")
    with journal, pytest.raises(SimulationRefused, match="A: .* 9 rows"):
        simulation.run()


def test_a_pooled_result_of_too_few_sites_is_not_shown(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "standard", sites="AB")
    with journal:
        (task,) = simulation.run()["tasks"]
    assert "3 or more" in task["failure"]["message"]
    assert not task["tables"]


def test_what_standard_would_refuse_is_said(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "open", rows=9, sites="ABC")
    journal.close()
    said = would_refuse(PROJECT, simulation.sites)
    assert [sentence.split(":")[0] for sentence in sorted(said)] == ["A", "B", "C"]
    assert all("9 rows" in sentence for sentence in said)
    proper, journal = simulated(tmp_path, "open", sites="ABC")
    journal.close()
    assert would_refuse(PROJECT, proper.sites) == []
    assert any("3 or more" in sentence for sentence in would_refuse(PROJECT, proper.sites[:2]))


def typed(folder: Path, *more: str) -> Any:
    """What `starfish simulate --json` answers for three sites of nine rows."""
    simulated(folder, "open", rows=9, sites="ABC")[1].close()
    (folder / "project.yaml").write_text(TEXT)
    sites = [word for name in "ABC" for word in ("--site", f"{name}={folder / f'{name}.csv'}")]
    return CliRunner().invoke(app, ["simulate", str(folder / "project.yaml"), *sites, "--json", *more])


def test_the_command_says_on_stderr_what_standard_would_refuse_and_prints_the_answer(tmp_path: Path) -> None:
    result = typed(tmp_path)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["tasks"][0]["converged"]
    assert result.stderr.count("The policy 'standard' would refuse this.") == 3


def test_the_command_holds_to_a_policy_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("preset: standard\nmin_rows: 9\n")
    assert json.loads(typed(tmp_path, "--policy", str(tmp_path / "policy.yaml")).stdout)["tasks"][0]["converged"]
    (tmp_path / "policy.yaml").write_text("preset: standard\n")
    result = typed(tmp_path, "--policy", str(tmp_path / "policy.yaml"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "9 rows used; the policy wants 10" in result.stderr
