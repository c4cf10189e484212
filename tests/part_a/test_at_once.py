"""Requests that arrive together: nothing is lost, nothing happens twice, nobody is told that the router failed."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.part_a.controller import PENDING_AGGREGATING, PENDING_SUCCESS, PREPARING, RUNNING
from tests.part_a.test_artifacts import file, members
from tests.part_a.wire import Answer, Router
from tests.part_a.world import Project, accepted, new_site


def at_once(asks: Sequence[Callable[[], Answer]]) -> list[int]:
    """The status of each answer; all requests leave together."""
    gate = threading.Barrier(len(asks))

    def ask(one: Callable[[], Answer]) -> int:
        gate.wait()
        return one().status

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


@pytest.mark.parametrize("kind", ["logs", "mid_artifacts"])
def test_20_uploads_at_once_to_one_run(router: Router, project: Project, kind: str) -> None:
    run = project.open()[1]
    project.drive(RUNNING)
    names = [f"part-{number}" for number in range(20)]
    assert at_once([partial(router.upload, run, 1, 1, [file(kind, name.encode(), name)]) for name in names]) == [200] * 20
    listed = project.runs()[1]["logs" if kind == "logs" else "middle_artifacts"]
    assert sorted(path.rsplit("/", 1)[1] for path in listed) == sorted(f"{run}-1-1-{name}" for name in names)
    assert members(router.download(run, kind, 1, 1)) == {f"{run}-1-1-{name}": name.encode() for name in names}


def test_20_uploads_at_once_under_one_name(router: Router, project: Project) -> None:
    run = project.open()[1]
    contents = [f"{number}".encode() * 50_000 for number in range(20)]
    assert at_once([partial(router.upload, run, 1, 1, [file("logs", data)]) for data in contents]) == [200] * 20
    (kept,) = members(router.download(run, "logs", 1, 1)).values()
    assert kept in contents, "one of them whole, none mixed"
    assert len(project.runs()[1]["logs"]) == 1


def test_8_starts_at_once_open_one_batch(router: Router, project: Project) -> None:
    statuses = at_once([partial(router.post, "runs", {"project": project.id})] * 8)
    assert sorted(statuses) == [201] + [400] * 7
    assert project.read()["batch"] == 1
    assert len(project.runs()) == 3
    assert len([run for run in router.get("runs/active/").json() if run["project"] == project.id]) == 3


def test_a_status_racing_an_upload(router: Router, project: Project) -> None:
    for _ in range(5):
        run = project.open()[1]
        project.drive(RUNNING)
        done = at_once(
            [partial(router.status, run, PENDING_SUCCESS), partial(router.upload, run, 1, 1, [file("mid_artifacts"), file("logs")])]
        )
        assert done == [202, 200]
        found = project.runs()[1]
        assert (found["status"], len(found["middle_artifacts"]), len(found["logs"])) == ("Pending Success", 1, 1)
        project.end()


def test_the_same_move_from_two_pollers_at_once(router: Router, project: Project) -> None:
    runs = project.open()
    for status, who in ((PREPARING, runs), (RUNNING, runs[:1]), (PENDING_SUCCESS, runs), (PENDING_AGGREGATING, runs)):
        moves = [partial(router.status, run, status, update_all=status == RUNNING) for run in who] * 3
        assert set(at_once(moves)) == {202}
    assert project.words() == ["Pending Aggregating"] * 3


def test_increase_round_from_two_pollers_at_once(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(7)
    assert set(at_once([partial(router.status, coordinator, 2, update_all=True, increase_round=True)] * 4)) == {202}
    assert {run["tasks"][0]["config"]["current_round"] for run in project.runs()} == {2}


def test_a_failure_racing_the_barrier_is_not_overwritten(router: Router, project: Project) -> None:
    for _ in range(5):
        coordinator, participant, _ = project.open()
        project.drive(PREPARING)
        at_once([partial(router.status, coordinator, RUNNING, update_all=True), partial(router.status, participant, 0)])
        assert project.words()[1] == "Failed"
        accepted(router.status(coordinator, 0, update_all=True))


def test_joining_at_once_is_joining_once(router: Router, project: Project) -> None:
    body = {"site": new_site(router)["id"], "project": project.id, "role": "PA", "notes": ""}
    assert sorted(at_once([partial(router.post, "project-participants/", body)] * 4)) == [201, 400, 400, 400]


def test_one_name_created_at_once_is_created_once(router: Router, project: Project) -> None:
    body = {"name": f"at once {project.id}", "description": "", "site": project.sites[0]["id"], "tasks": []}
    assert sorted(at_once([partial(router.post, "projects/", body)] * 4)) == [201, 400, 400, 400]
