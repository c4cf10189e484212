"""A simulation lets nothing leave a site but by the egress that the daemon's sites have."""

from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.daemon.journal import Journal
from starfish.controller.guard.policy import preset
from starfish.controller.simulate import BATCH, SimulatedSite, Simulation, SimulationRefused

PROJECT = project_file.from_text("name: small\nvariables:\n  age: {type: number}\ntasks:\n  - model: SummaryStatistics\n")


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


@pytest.mark.parametrize(("rows", "sites", "reason"), [(9, "ABC", "9 rows"), (40, "AB", "3 sites at least")])
def test_what_the_policy_does_not_allow_ends_the_simulation(tmp_path: Path, rows: int, sites: str, reason: str) -> None:
    simulation, journal = simulated(tmp_path, "standard", rows, sites)
    with journal, pytest.raises(SimulationRefused, match=reason):
        simulation.run()
