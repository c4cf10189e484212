"""kill -9 of each process in the middle of a round; started again, the batch ends with the same estimates to the last bit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.federation import Federation, federation, until
from tests.support.servers import Server

PROJECT = """
name: kills
variables:
  y: {type: binary, role: outcome}
  a: {type: number}
  b: {type: number}
  g: {type: category, levels: [low, mid, high]}
tasks:
  - model: LogisticRegressionStats
    config: {formula: "y ~ a * b + g"}
  - model: LinearRegression
    config: {formula: "a ~ b + g"}
"""
SIZES = {"North": 4_000, "East": 2_500, "South": 40}


def source(path: Path, rows: int, seed: int) -> Path:
    """A site's file with every kind of column."""
    random = np.random.default_rng(seed)
    a, b = random.normal(50, 12, rows), random.normal(0, 1, rows)
    group = random.choice(["low", "mid", "high"], rows)
    chance = 1 / (1 + np.exp(-(-2 + 0.04 * a + 0.5 * b - 0.01 * a * b + (group == "high"))))
    y = (random.random(rows) < chance).astype(int)
    lines = [f"{y[i]},{a[i]:.3f},{b[i]:.4f},{group[i]}" for i in range(rows)]
    path.write_text("y,a,b,g\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def study(serve: Callable[..., Server], tmp_path: Path) -> Iterator[Federation]:
    """Three sites that are up, and a project of two tasks."""
    with federation(serve("serve"), tmp_path) as made:
        for seed, (name, rows) in enumerate(SIZES.items()):
            made.add(name, source(tmp_path / f"{name}.csv", rows, seed))
        (tmp_path / "project.yaml").write_text(PROJECT)
        made.open_project(tmp_path / "project.yaml", "kills")
        yield made


def kill_router(study: Federation) -> None:
    study.server.kill()
    study.server.start()


def kill_daemon(name: str) -> Callable[[Federation], None]:
    def kill(study: Federation) -> None:
        study.members[name].kill_daemon()
        study.members[name].up()

    return kill


def kill_worker(name: str) -> Callable[[Federation], None]:
    return lambda study: study.members[name].kill_workers()


VICTIMS = {
    "the router": kill_router,
    "the coordinator's daemon": kill_daemon("North"),
    "the coordinator's worker": kill_worker("North"),
    "a participant's daemon": kill_daemon("South"),
    "a participant's worker": kill_worker("East"),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_kill_leaves_the_estimates_as_they_were(study: Federation) -> None:
    north = study.coordinator
    north.run("run", "start", "kills", "--wait")
    undisturbed = answers(study)
    for number, (victim, kill) in enumerate(VICTIMS.items(), start=2):
        north.run("run", "start", "kills")
        for at in (2, 4):
            until(lambda at=at: _in_round(study, at), f"round {at} of task 1")
            kill(study)
        until(lambda: study.status("kills")["ended"], f"the end of the batch after killing {victim}")
        report = answers(study)
        assert report["batch"] == number
        assert report["tasks"] == undisturbed["tasks"], f"after killing {victim} the estimates differ"
        assert study.members["South"].json("run", "report", "kills")["tasks"][0]["estimates"] == report["tasks"][0]["estimates"]


def answers(study: Federation) -> dict[str, Any]:
    return dict(study.coordinator.json("run", "report", "kills"))


def _in_round(study: Federation, at: int) -> bool:
    sites = study.status("kills")["sites"]
    assert not any(site["status"] == "Failed" for site in sites), sites
    return any(site["task"] > 1 or site["round"] >= at for site in sites)
