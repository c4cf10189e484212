"""A simulation lets nothing leave a site but by the egress that the daemon's sites have."""

from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.daemon.journal import Journal
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import preset
from starfish.controller.simulate import BATCH, SimulatedSite, Simulation

PROJECT = project_file.from_text("name: small\nvariables:\n  age: {type: number}\ntasks:\n  - model: SummaryStatistics\n")


def simulated(folder: Path, held: str) -> tuple[Simulation, Journal]:
    sites = []
    for name in ("A", "B"):
        (folder / f"{name}.csv").write_text("age\n" + "".join(f"{age}\n" for age in range(20, 60)))
        sites.append(SimulatedSite(name=name, source=str(folder / f"{name}.csv")))
    journal = Journal(folder / "journal.sqlite3")
    return Simulation(PROJECT, sites, folder, lambda line: None, policy=preset(held), journal=journal), journal


def test_each_update_and_each_model_passes_the_egress(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "open")
    with journal:
        (task,) = simulation.run()["tasks"]
        left = [what for what, *_ in journal.departures(BATCH)]
    assert left == ["update", "update", "model"] * task["rounds"]


def test_what_the_policy_does_not_allow_ends_the_simulation(tmp_path: Path) -> None:
    simulation, journal = simulated(tmp_path, "standard")
    with journal, pytest.raises(HomeError, match="lets no update leave"):
        simulation.run()
