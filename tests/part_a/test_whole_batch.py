"""Three sites, driven by controllers in the field, from an open batch to Success: on both servers, through failures and a kill -9."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.part_a.controller import Controller
from tests.part_a.wire import Router
from tests.part_a.world import THREE_ROUNDS, Project, accepted
from tests.support.servers import ADMIN, Databases, Server, serving

pytestmark = pytest.mark.xdist_group("whole batches")  # two servers, not two on each worker
NUMBERS = ([3.0, 5.0, 7.0], [11.0], [-2.0, 8.0, 16.0, 0.0])
MEAN = 6.0
DEADLINE_S = 60.0
TWO_TASKS: tuple[dict[str, Any], ...] = (
    {"seq": 1, "model": "Mean", "config": {"total_round": 2, "current_round": 1}},
    {"seq": 2, "model": "Mean", "config": {}},
)


@contextmanager
def controllers(project: Project, **changed: Any) -> Iterator[Sequence[Controller]]:
    """One for each site, running; nothing that went wrong in one is lost."""
    started = [Controller(router=project.router, uid=site["uid"], numbers=NUMBERS[n]) for n, site in enumerate(project.sites)]
    for name, value in changed.items():
        setattr(started[-1], name, value)
    for controller in started:
        controller.start()
    try:
        yield started
    finally:
        for controller in started:
            controller.stop()
    for controller in started:
        assert not controller.failures


def give_datasets(runs: Sequence[int], sites: Sequence[Controller]) -> None:
    """The coordinator last."""
    for controller, run in reversed(list(zip(sites, runs, strict=True))):
        controller.give_dataset(run)


def wait_for(project: Project, done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The runs, once they are `done`. Raises AssertionError with where they hang."""
    deadline = time.monotonic() + DEADLINE_S
    while not done(runs := project.runs()):
        assert time.monotonic() < deadline, [(run["status"], run["cur_seq"], run["tasks"]) for run in runs]
        time.sleep(0.05)
    return runs


def all_are(word: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda runs: {run["status"] for run in runs} == {word}


def final_model(project: Project, task_seq: int, round_seq: int) -> list[float]:
    """The last global model as each site reads it from its own run."""
    reader = [Controller(router=project.router, uid=site["uid"], numbers=()) for site in project.sites]
    end = {"cur_seq": task_seq, "tasks": [{"config": {"total_round": round_seq, "current_round": round_seq + 1}}] * task_seq}
    return [controller._last_model({"id": run, **end}) for controller, run in zip(reader, project.ids, strict=True)]


@pytest.fixture(scope="module", params=["runserver", "serve"])
def server(request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of each kind, for these tests alone."""
    with serving(request.param, tmp_path_factory.mktemp(request.param), databases) as started:
        yield started


def test_three_rounds(server: Server) -> None:
    project = Project.create(Router(url=server.url, account=ADMIN), tasks=THREE_ROUNDS)
    runs = project.open()
    with controllers(project) as sites:
        give_datasets(runs, sites)
        ended = wait_for(project, all_are("Success"))
    assert final_model(project, 1, 3) == [MEAN * (1 - 2**-3)] * 3
    for run in ended:
        assert run["cur_seq"] == 1
        assert run["tasks"][0]["config"] == {"total_round": 3, "current_round": 3}
        assert len(run["middle_artifacts"]) == len(run["logs"]) == 3


def test_two_tasks(server: Server) -> None:
    project = Project.create(Router(url=server.url, account=ADMIN), tasks=TWO_TASKS)
    runs = project.open()
    with controllers(project) as sites:
        give_datasets(runs, sites)
        ended = wait_for(project, all_are("Success"))
    assert final_model(project, 2, 1) == [MEAN * (1 - 2**-3)] * 3
    assert {run["cur_seq"] for run in ended} == {2}


def test_a_failure_ends_the_batch_and_a_restart_mends_it(server: Server) -> None:
    router = Router(url=server.url, account=ADMIN)
    project = Project.create(router)
    runs = project.open()
    with controllers(project, fail_in_round=2) as sites:
        give_datasets(runs, sites)
        wait_for(project, all_are("Failed"))
    assert "/1/2/" in project.runs()[-1]["logs"][-1], "what the failed site had to say is kept"
    restart = {"run": runs[0], "role": "coordinator", "action": "restart", "project": project.id, "batch": 1}
    accepted(router.put("runs-action/update/", restart))
    with controllers(project):
        wait_for(project, all_are("Success"))
    assert final_model(project, 1, 3) == [MEAN * (1 - 2**-3)] * 3


def test_kill_9_of_the_router_in_the_middle_of_a_round(server: Server) -> None:
    project = Project.create(Router(url=server.url, account=ADMIN))
    runs = project.open()
    with controllers(project) as sites:
        give_datasets(runs, sites)
        wait_for(project, lambda runs: any(run["tasks"][0]["config"]["current_round"] == 2 and run["middle_artifacts"] for run in runs))
        server.kill()
        server.start()
        wait_for(project, all_are("Success"))
    assert final_model(project, 1, 3) == [MEAN * (1 - 2**-3)] * 3
