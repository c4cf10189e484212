"""kill -9 of each process in the middle of a round; started again, the batch ends with the same estimates to the last bit."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.federation import Federation, federation, until
from tests.part_a.wire import Router
from tests.support.servers import ADMIN, Server

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
  - model: Echo
    config: {bytes: 80000, total_round: 25, seed: 3}
  - model: Echo
    config: {bytes: 4000000, total_round: 10, seed: 4}
"""
MOMENTS = ((1, 2), (1, 4), (3, 6), (4, 3))
"""Task and round: estimates, arrays that go along with steps, arrays that go as streams."""
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
@pytest.mark.timeout(900)
def test_each_kill_leaves_the_estimates_as_they_were(study: Federation) -> None:
    north = study.coordinator
    north.run("run", "start", "kills", "--wait")
    undisturbed = answers(study)
    models = global_models(study, 1)
    assert len(models) > 35, "each round's is there"
    for number, (victim, kill) in enumerate(VICTIMS.items(), start=2):
        north.run("run", "start", "kills")
        for moment in MOMENTS:
            hit = until(partial(in_mid_round, study, number, moment), f"round {moment[1]} of task {moment[0]}")
            kill(study)
            assert hit[0] == moment[0], f"{victim} was killed in task {hit[0]}, round {hit[1]}, not in {moment}"
        until(lambda: study.status("kills")["ended"], f"the end of the batch after killing {victim}")
        report = answers(study)
        assert report["batch"] == number
        assert report["tasks"] == undisturbed["tasks"], f"after killing {victim} the estimates differ"
        assert global_models(study, number) == models, f"after killing {victim} a round's model differs"
        assert study.members["South"].json("run", "report", "kills")["tasks"][0]["estimates"] == report["tasks"][0]["estimates"]


def answers(study: Federation) -> dict[str, Any]:
    return dict(study.coordinator.json("run", "report", "kills"))


def admin(study: Federation) -> Router:
    """Whose plain questions are quicker than a command is."""
    return Router(url=study.server.url, account=ADMIN, headers={"Prefer": "return=minimal"})


def in_mid_round(study: Federation, batch: int, moment: tuple[int, int]) -> tuple[int, int] | None:
    """Where the batch is, once it is there or further on, and a site computes or sends."""
    runs = [run for run in admin(study).get("runs/active/").json() if run["batch"] == batch]
    assert runs, f"batch {batch} has ended before {moment}"
    assert not any(run["status"] == "Failed" for run in runs), runs
    here = runs[0]["cur_seq"], runs[0]["tasks"][runs[0]["cur_seq"] - 1]["config"]["current_round"]
    busy = any(run["status"] in ("Running", "Pending Success", "Aggregating") for run in runs)
    return here if here >= moment and busy else None


def global_models(study: Federation, batch: int) -> dict[tuple[int, int], str]:
    """The SHA-256 of each round's."""
    asked, uid = admin(study), study.coordinator.json("site", "status")["uid"]
    project = asked.get("projects/lookup/", name="kills").json()["id"]
    runs = asked.get("runs/detail/", project=project, batch=batch, site_uid=uid).json()["runs"]
    (run,) = [run["id"] for run in runs if run["role"] == "coordinator"]
    stored = asked.get(f"runs/{run}/artifacts/").json()
    return {(one["task_seq"], one["round_seq"]): one["sha256"] for one in stored if one["kind"] == "artifacts"}
