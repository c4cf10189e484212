"""The run's state machine over the wire: who may move what, and when; the full product of states and requests."""

from typing import Any

import pytest

from tests.part_a.controller import (
    AGGREGATING,
    FAILED,
    PENDING_AGGREGATING,
    PENDING_FAILED,
    PENDING_SUCCESS,
    PREPARING,
    RUNNING,
    STANDBY,
    SUCCESS,
)
from tests.part_a.wire import Answer, Router
from tests.part_a.world import WORDS, Project, accepted

ALL = range(9)
LIVE = {PENDING_FAILED, STANDBY, PREPARING, RUNNING, PENDING_SUCCESS, PENDING_AGGREGATING, AGGREGATING}
OWN = {(STANDBY, PREPARING), (RUNNING, PENDING_SUCCESS), (PENDING_SUCCESS, PENDING_AGGREGATING)}
BARRIERS = {(PREPARING, RUNNING), (PENDING_AGGREGATING, AGGREGATING), (AGGREGATING, SUCCESS)}
FAILING = {(live, end) for live in LIVE for end in (PENDING_FAILED, FAILED)}


def refused(answer: Answer, state: int) -> None:
    """409, and it says where the run is."""
    assert answer.status == 409, f"{answer.status} {answer.body[:300]!r}"
    assert WORDS[state] in answer.body.decode()


@pytest.mark.parametrize("state", ALL)
def test_a_participants_own_moves(router: Router, project: Project, state: int) -> None:
    """From a participant's run `update_all` moves that run alone: the role is looked up."""
    legal = {asked for asked in ALL if (state, asked) in OWN | FAILING and asked != state}
    participant = project.open()[1]
    project.drive(state)
    before = router.get(f"runs/{participant}/").json()
    for asked in set(ALL) - legal:
        for update_all in (False, True):
            answer = router.status(participant, asked, update_all=update_all)
            accepted(answer) if asked == state else refused(answer, state)
    assert router.get(f"runs/{participant}/").json() == before, "neither a refusal nor a repeat changes anything"
    assert project.words() == [WORDS[state]] * 3
    for number, asked in enumerate(sorted(legal)):
        if number:
            project.end()
            participant = project.open()[1]
            project.drive(state)
        accepted(router.status(participant, asked, update_all=number % 2 == 0))
        assert project.words() == [WORDS[state], WORDS[asked], WORDS[state]]


@pytest.mark.parametrize("state", ALL)
def test_a_coordinators_moves_of_the_batch(router: Router, project: Project, state: int) -> None:
    legal = {asked for asked in ALL if (state, asked) in BARRIERS | FAILING and asked != state}
    repeats = {state} | ({RUNNING} if RUNNING <= state <= AGGREGATING else set())  # all are further on: none is left to move
    coordinator = project.open()[0]
    project.drive(state)
    before = project.runs()
    for asked in set(ALL) - legal:
        answer = router.status(coordinator, asked, update_all=True)
        accepted(answer) if asked in repeats else refused(answer, state)
    assert project.runs() == before, "neither a refusal nor a repeat changes anything"
    for number, asked in enumerate(sorted(legal)):
        if number:
            project.end() if project.words() != ["Failed"] * 3 else None
            coordinator = project.open()[0]
            project.drive(state)
        accepted(router.status(coordinator, asked, update_all=True))
        assert project.words() == [WORDS[asked]] * 3


@pytest.mark.parametrize(("state", "asked"), sorted(BARRIERS))
def test_a_barrier_needs_update_all(router: Router, project: Project, state: int, asked: int) -> None:
    coordinator, *_ = project.open()
    project.drive(state)
    refused(router.status(coordinator, asked), state)
    assert project.words() == [WORDS[state]] * 3


def test_a_new_round_needs_increase_round(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(AGGREGATING)
    refused(router.status(coordinator, STANDBY, update_all=True), AGGREGATING)
    refused(router.status(coordinator, STANDBY), AGGREGATING)


def test_running_waits_until_every_run_is_preparing(router: Router, project: Project) -> None:
    coordinator, first, second = project.open()
    for run in (coordinator, first):
        accepted(router.status(run, PREPARING))
        refused(router.status(coordinator, RUNNING, update_all=True), PREPARING)
    accepted(router.status(second, PREPARING))
    accepted(router.status(coordinator, RUNNING, update_all=True))
    assert project.words() == ["Running"] * 3


def test_running_repeated_moves_only_who_is_preparing(router: Router, project: Project) -> None:
    """A run further on in this round is not brought back by the coordinator's second poller."""
    coordinator, first, _ = project.open()
    project.drive(RUNNING)
    accepted(router.status(first, PENDING_SUCCESS))
    accepted(router.status(coordinator, RUNNING, update_all=True))
    assert project.words() == ["Running", "Pending Success", "Running"]
    accepted(router.status(first, PENDING_AGGREGATING))
    accepted(router.status(coordinator, RUNNING, update_all=True))
    assert project.words() == ["Running", "Pending Aggregating", "Running"]


def test_a_restarted_run_catches_up_with_its_round(router: Router, project: Project) -> None:
    coordinator, first, _ = project.open()
    project.drive(PENDING_AGGREGATING)
    accepted(router.status(first, FAILED))
    accepted(action(project, first, "participant", "restart"))
    assert router.status(coordinator, RUNNING, update_all=True).status == 409, "it is not Preparing yet"
    accepted(router.status(first, PREPARING))
    accepted(router.status(coordinator, RUNNING, update_all=True))
    assert project.words() == ["Pending Aggregating", "Running", "Pending Aggregating"]


def test_aggregating_waits_for_every_update(router: Router, project: Project) -> None:
    runs = project.open()
    project.drive(RUNNING)
    for run in runs:
        refused(router.status(runs[0], AGGREGATING, update_all=True), RUNNING if run == runs[0] else PENDING_AGGREGATING)
        accepted(router.status(run, PENDING_SUCCESS))
        accepted(router.status(run, PENDING_AGGREGATING))
    accepted(router.status(runs[0], AGGREGATING, update_all=True))
    assert project.words() == ["Aggregating"] * 3


def test_a_failed_run_holds_the_barrier(router: Router, project: Project) -> None:
    coordinator, participant, _ = project.open()
    project.drive(PENDING_AGGREGATING)
    accepted(router.status(participant, FAILED))
    assert router.status(coordinator, AGGREGATING, update_all=True).status == 409
    assert project.words() == ["Pending Aggregating", "Failed", "Pending Aggregating"]
    accepted(router.status(coordinator, FAILED, update_all=True))
    assert project.words() == ["Failed"] * 3


def test_failing_the_batch_leaves_a_finished_run_alone(router: Router, project: Project) -> None:
    coordinator, participant, _ = project.open()
    project.drive(RUNNING)
    accepted(router.status(participant, FAILED))
    accepted(router.status(coordinator, PENDING_FAILED, update_all=True))
    assert project.words() == ["Pending Failed", "Failed", "Pending Failed"]
    accepted(router.status(coordinator, FAILED, update_all=True))
    assert project.words() == ["Failed"] * 3


def rounds(project: Project) -> set[tuple[int, tuple[int, ...]]]:
    """The current task, and each task's current round, of all runs."""
    return {(run["cur_seq"], tuple(task["config"]["current_round"] for task in run["tasks"])) for run in project.runs()}


def test_increase_round_counts_through_all_tasks(router: Router) -> None:
    tasks: list[dict[str, Any]] = [
        {"seq": 1, "model": "A", "config": {"total_round": 2, "current_round": 1}},
        {"seq": 2, "model": "B", "config": {}},
        {"seq": 3, "model": "C", "config": {"total_round": 2}},
    ]
    project = Project.create(router, sites=2, tasks=tasks)
    project.open()
    expected: list[tuple[int, tuple[int, ...]]] = [(1, (1, 1, 1)), (1, (2, 1, 1)), (2, (2, 1, 1)), (3, (2, 1, 1)), (3, (2, 1, 2))]
    for place in expected:
        assert rounds(project) == {place}
        project.drive(AGGREGATING)
        if place != expected[-1]:
            project.next_round()
            assert project.words() == ["Standby"] * 2
    accepted(router.status(project.ids[0], SUCCESS, update_all=True))
    assert rounds(project) == {expected[-1]}
    assert project.read()["tasks"][0]["config"]["current_round"] == 1, "the project's tasks are a template, not a state"


def test_increase_round_repeated_counts_once(router: Router, project: Project) -> None:
    project.open()
    project.drive(AGGREGATING)
    project.next_round()
    project.next_round()
    assert rounds(project) == {(1, (2,))}


def test_there_is_no_round_after_the_last(router: Router) -> None:
    project = Project.create(router, sites=2, tasks=[{"seq": 1, "model": "A", "config": {}}])
    coordinator, _ = project.open()
    project.drive(AGGREGATING)
    refused(router.status(coordinator, STANDBY, update_all=True, increase_round=True), AGGREGATING)
    assert rounds(project) == {(1, (1,))}
    assert project.words() == ["Aggregating"] * 2


@pytest.mark.parametrize("wrong", [-1, 9, 1.5, "x", "", None, True, [], {}, "Running", 10**30])
def test_a_status_that_is_no_number_from_0_to_8(router: Router, project: Project, wrong: Any) -> None:
    coordinator, *_ = project.open()
    assert router.status(coordinator, wrong).status == 400
    assert router.status(coordinator, wrong, update_all=True).status == 400
    assert project.words() == ["Standby"] * 3


@pytest.mark.parametrize(
    "body", [{}, [], None, "x", {"update_all": True}, {"status": 3, "update_all": "x"}, {"status": 3, "increase_round": []}]
)
def test_a_status_request_that_is_none(router: Router, project: Project, body: Any) -> None:
    coordinator, *_ = project.open()
    assert router.put(f"runs/{coordinator}/status/", body).status == 400
    assert project.words() == ["Standby"] * 3


def test_flags_may_be_sent_though_false(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    accepted(router.put(f"runs/{coordinator}/status/", {"status": PREPARING, "update_all": False, "increase_round": False}))
    assert project.words() == ["Preparing", "Standby", "Standby"]


def action(project: Project, run: int, role: str, what: str, batch: int = 1) -> Answer:
    """`PUT runs-action/update/`."""
    return project.router.put("runs-action/update/", {"run": run, "role": role, "action": what, "project": project.id, "batch": batch})


@pytest.mark.parametrize("state", sorted(LIVE))
def test_stop_and_restart_of_the_batch(project: Project, state: int) -> None:
    coordinator, *_ = project.open()
    project.drive(state)
    accepted(action(project, coordinator, "coordinator", "stop"))
    assert project.words() == ["Pending Failed"] * 3
    accepted(action(project, coordinator, "coordinator", "stop"))
    accepted(action(project, coordinator, "coordinator", "restart"))
    assert project.words() == ["Standby"] * 3
    accepted(action(project, coordinator, "coordinator", "restart"))
    assert project.words() == ["Standby"] * 3


@pytest.mark.parametrize(("who", "role"), [(1, "participant"), (1, "coordinator"), (0, "participant")])
def test_a_requests_role_narrows_and_never_widens(project: Project, who: int, role: str) -> None:
    runs = project.open()
    accepted(action(project, runs[who], role, "stop"))
    assert project.words() == ["Pending Failed" if n == who else "Standby" for n in range(3)]
    accepted(action(project, runs[who], role, "restart"))
    assert project.words() == ["Standby"] * 3


def test_restart_comes_back_from_failed_in_the_same_round(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(AGGREGATING)
    project.next_round()
    project.drive(RUNNING)
    accepted(router.status(coordinator, FAILED, update_all=True))
    accepted(action(project, coordinator, "coordinator", "restart"))
    assert project.words() == ["Standby"] * 3
    assert rounds(project) == {(1, (2,))}
    project.drive(AGGREGATING)


def test_restart_only_while_no_newer_batch_exists(project: Project) -> None:
    coordinator, participant, _ = project.open()
    project.drive(FAILED)
    project.open()
    for run, role in ((coordinator, "coordinator"), (participant, "participant")):
        assert action(project, run, role, "restart").status == 409
    assert project.words() == ["Standby"] * 3


def test_what_ended_well_is_neither_stopped_nor_restarted(project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(SUCCESS)
    for what in ("stop", "restart"):
        refused(action(project, coordinator, "coordinator", what), SUCCESS)
    assert project.words() == ["Success"] * 3


@pytest.mark.parametrize("wrong", [{"action": "pause"}, {"action": None}, {"run": "x"}, {"run": None}, {"project": "x"}, {"batch": "x"}])
def test_an_action_that_makes_no_sense(router: Router, project: Project, wrong: dict[str, Any]) -> None:
    coordinator, *_ = project.open()
    body = {"run": coordinator, "role": "coordinator", "action": "stop", "project": project.id, "batch": 1, **wrong}
    assert router.put("runs-action/update/", body).status == 400
    assert project.words() == ["Standby"] * 3


def test_an_action_on_an_unknown_run(project: Project) -> None:
    assert action(project, 999_999_999, "coordinator", "stop").status == 404
