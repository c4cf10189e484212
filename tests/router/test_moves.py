"""A batch moves: history, counters, left-out runs, and the step that does several things at once."""

import base64

import pytest

from starfish.protocol.problems import Conflict
from starfish.protocol.run_state import Event, RunStatus
from starfish.router.actions import moves
from starfish.router.models import Artifact, Batch, Run, RunTransition
from tests.router.world import ROUND, World

S = RunStatus
INLINE = {"kind": "mid_artifacts", "name": "mid-artifacts", "data": base64.b64encode(b"update").decode()}


def position(world: World) -> tuple[int, int]:
    return world.batch.position


def test_each_change_leaves_a_row_with_who_and_where(world: World) -> None:
    runs = world.open()
    world.drive(*ROUND, S.STANDBY, S.PREPARING)
    rows = RunTransition.objects.filter(run=runs[1]).values_list("source", "target", "task_seq", "round_seq", "account__username")
    own, owners = "account-of-member", "account-of-owner"
    assert list(rows) == [
        (2, 3, 1, 1, own),
        (3, 4, 1, 1, owners),
        (4, 5, 1, 1, own),
        (5, 6, 1, 1, own),
        (6, 7, 1, 1, owners),
        (7, 2, 1, 1, owners),
        (2, 3, 1, 2, own),
    ]


def test_rounds_then_tasks_are_counted_and_the_last_is_the_last(world: World) -> None:
    runs = world.open()
    seen = []
    for _ in range(3):
        seen.append(position(world))
        world.drive(*ROUND)
        if position(world) != (2, 1):
            world.drive(S.STANDBY)
    assert seen == [(1, 1), (1, 2), (2, 1)]
    with pytest.raises(Conflict, match=r"move to \"Success\" \(8\)"):
        world.drive(S.STANDBY)
    assert world.words() == ["Aggregating"] * 3
    assert position(world) == (2, 1)
    world.drive(S.SUCCESS)
    assert world.words() == ["Success"] * 3
    assert RunTransition.objects.filter(run=runs[0], target=S.STANDBY).count() == 2
    world.project.refresh_from_db()
    assert world.project.tasks[0]["config"]["current_round"] == 1, "the project's own tasks are not counted"


def test_a_second_writer_that_was_too_late_changes_nothing(world: World) -> None:
    runs = world.open()
    it = moves.lock(world.member.caller, runs[1].pk)
    Run.objects.filter(pk=runs[1].pk).update(status=S.FAILED)
    moves.move(it, Event.PREPARE, whole=False)
    with pytest.raises(Conflict, match="at the same moment"):
        moves.write(it)
    assert world.words()[1] == "Failed"
    assert not RunTransition.objects.exists()


def test_a_step_stores_and_moves_in_one(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    answer = world.member.http.step(runs[1].pk, 4, [5, 6], artifact=INLINE)
    assert answer.status_code == 200
    shown = answer.json()
    listing = shown.pop("active")
    assert listing == world.member.http.get("runs/active/").json()
    assert answer.headers["ETag"] == world.member.http.get("runs/active/").headers["ETag"]
    assert (shown["id"], shown["status"], shown["project"]) == (runs[1].pk, "Pending Aggregating", world.project.pk)
    assert shown["middle_artifacts"] == [f"mid_artifacts/{runs[1].pk}/1/1/{runs[1].pk}-1-1-mid-artifacts"]
    assert shown == world.member.http.get("runs/active/").json()[0]


def test_a_step_that_fails_anywhere_does_nothing(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    answer = world.member.http.step(runs[1].pk, 4, [5, 6, 7], artifact=INLINE)
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["state"]) == ("conflict", "Pending Aggregating")
    assert world.words() == ["Running"] * 3
    assert not Artifact.objects.exists()
    assert not RunTransition.objects.filter(target=S.PENDING_SUCCESS).exists()


@pytest.mark.parametrize("late", [{"batch": 2}, {"task_seq": 2}, {"round_seq": 2}, {"source": 3}])
def test_a_step_for_another_place_moves_nothing_and_says_where_the_run_is(world: World, late: dict[str, int]) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    answer = world.member.http.step(runs[1].pk, **{"source": 4, "to": [5], **late})
    assert answer.status_code == 409
    place = {name: answer.json()[name] for name in ("state", "batch", "task_seq", "round_seq")}
    assert place == {"state": "Running", "batch": 1, "task_seq": 1, "round_seq": 1}
    assert world.words() == ["Running"] * 3


def test_a_step_may_refer_to_what_is_stored(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    assert world.member.http.upload(runs[1].pk, "mid_artifacts", b"update").status_code == 200
    stored = Artifact.objects.get()
    reference = {"kind": "mid_artifacts", "name": "mid-artifacts", "sha256": "0" * 64}
    assert world.member.http.step(runs[1].pk, 4, [5], artifact=reference).status_code == 404
    assert world.words()[1] == "Running"
    assert world.member.http.step(runs[1].pk, 4, [5], artifact={**reference, "sha256": stored.sha256}).status_code == 200


def test_end_task_ends_it_for_old_clients_too(world: World) -> None:
    runs = world.open()
    world.drive(*ROUND)
    answer = world.owner.http.step(runs[0].pk, 7, [2], all=True, end_task=True)
    assert answer.status_code == 200
    assert world.words() == ["Standby"] * 3
    assert position(world) == (2, 1)
    for member, run in zip(world.members, runs, strict=True):
        shown = member.http.get(f"runs/{run.pk}/").json()
        assert shown["cur_seq"] == 2
        assert shown["tasks"][0]["config"] == {"total_round": 1, "current_round": 1}


def test_end_task_in_the_last_task_needs_success(world: World) -> None:
    runs = world.open()
    world.drive(*ROUND, S.STANDBY, *ROUND, S.STANDBY, *ROUND)
    late = {"all": True, "end_task": True, "task_seq": 2}
    refused = world.owner.http.step(runs[0].pk, 7, [2], **late)
    assert refused.status_code == 409
    assert "Success" in refused.json()["detail"]
    assert world.owner.http.step(runs[0].pk, 7, [8], **late).status_code == 200
    assert world.words() == ["Success"] * 3


def test_a_coordinators_chain_takes_the_batch_over_the_barrier_and_itself_further(world: World) -> None:
    runs = world.open()
    world.drive(*ROUND)
    assert world.owner.http.step(runs[0].pk, 7, [2, 3], all=True).status_code == 200
    assert world.words() == ["Preparing", "Standby", "Standby"]
    assert position(world) == (1, 2)


def test_left_out_runs_are_not_waited_for_and_come_along(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    for run, member in ((runs[0], world.owner), (runs[1], world.member)):
        assert member.http.step(run.pk, 4, [5, 6]).status_code == 200
    held = world.owner.http.step(runs[0].pk, 6, [7], all=True)
    assert held.status_code == 409
    assert f'run {runs[2].pk} is "Running"' in held.json()["detail"]
    assert world.owner.http.step(runs[0].pk, 6, [7], all=True, without=[runs[2].pk]).status_code == 200
    assert world.words() == ["Aggregating", "Aggregating", "Running"]
    assert world.owner.http.step(runs[0].pk, 7, [2], all=True).status_code == 200
    assert world.words() == ["Standby"] * 3
    world.drive(S.PREPARING)
    assert world.owner.http.step(runs[0].pk, 3, [4], all=True, round_seq=2).status_code == 200, "left out of one round only"


def test_a_failed_run_that_is_left_out_stays_behind_until_it_is_restarted(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    moves.set_status(world.other.caller, runs[2].pk, S.FAILED, update_all=False, increase_round=False)
    for run, member in ((runs[0], world.owner), (runs[1], world.member)):
        member.http.step(run.pk, 4, [5, 6])
    assert world.owner.http.step(runs[0].pk, 6, [7], all=True).status_code == 409, "a failed run holds the barrier"
    assert world.owner.http.step(runs[0].pk, 6, [7, 2], all=True, without=[runs[2].pk]).status_code == 200
    assert world.words() == ["Standby", "Standby", "Failed"]
    assert world.other.http.upload(runs[2].pk, "logs", b"why").status_code == 200, "its logs belong to the round it failed in"
    assert world.other.http.upload(runs[2].pk, "logs", b"why", turn=2).status_code == 409
    again = {"run": runs[2].pk, "role": "participant", "action": "restart", "project": world.project.pk, "batch": 1}
    assert world.other.http.send("PUT", "runs-action/update/", again).status_code == 202
    assert world.other.http.upload(runs[2].pk, "logs", b"more of it").status_code == 409
    world.drive(S.PREPARING, S.RUNNING)
    assert world.words() == ["Running"] * 3


def test_nobody_is_left_out_by_a_participant_nor_the_coordinator_itself(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING)
    for who, run, wrong in (
        (world.member, runs[1], {"without": [runs[2].pk]}),
        (world.owner, runs[0], {"all": True, "without": [runs[0].pk]}),
        (world.owner, runs[0], {"all": True, "without": [999_999]}),
        (world.owner, runs[0], {"end_task": True}),
        (world.owner, runs[0], {"all": True, "end_task": True}),
    ):
        assert who.http.step(run.pk, 3, [4], **wrong).status_code == 400
    assert world.member.http.step(runs[1].pk, 3, [4], all=True).status_code == 403
    assert not Run.objects.exclude(left_out=[]).exists()


def test_a_restart_after_a_newer_batch_is_too_late(world: World) -> None:
    runs = world.open()
    world.drive(S.FAILED)
    world.open()
    body = {"run": runs[0].pk, "role": "coordinator", "action": "restart", "project": world.project.pk, "batch": 1}
    answer = world.owner.http.send("PUT", "runs-action/update/", body)
    assert answer.status_code == 409
    assert "newer batch" in answer.json()
    assert [run.state for run in Run.objects.filter(batch__number=1)] == [S.FAILED] * 3


def test_a_round_begins_by_itself_once_all_are_prepared(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING)
    shown = world.owner.http.step(runs[0].pk, 6, [7, 2, 3], all=True, begin=True).json()
    assert (shown["status"], world.words()) == ("Preparing", ["Preparing", "Standby", "Standby"])
    world.member.http.step(runs[1].pk, 2, [3], round_seq=2)
    assert world.words() == ["Preparing", "Preparing", "Standby"]
    last = world.other.http.step(runs[2].pk, 2, [3], round_seq=2).json()
    assert (last["status"], world.words()) == ("Running", ["Running"] * 3)
    assert RunTransition.objects.filter(target=S.RUNNING, round_seq=2).count() == 3
    assert not Batch.objects.get(runs=runs[0].pk).begins


def test_a_round_that_failed_begins_by_its_coordinators_word_alone(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING)
    world.owner.http.step(runs[0].pk, 6, [7, 2, 3], all=True, begin=True)
    world.member.http.send("PUT", f"runs/{runs[1].pk}/status/", {"status": 1, "update_all": False, "increase_round": False})
    stop = {"run": runs[1].pk, "role": "participant", "action": "restart", "project": world.project.pk, "batch": 1}
    assert world.member.http.send("PUT", "runs-action/update/", stop).status_code == 202
    for member, run in ((world.member, runs[1]), (world.other, runs[2])):
        assert member.http.step(run.pk, 2, [3], round_seq=2).status_code == 200
    assert world.words() == ["Preparing"] * 3
    assert world.owner.http.step(runs[0].pk, 3, [4], all=True, round_seq=2).status_code == 200


def test_only_a_coordinators_step_to_a_rounds_beginning_says_that_it_begins_by_itself(world: World) -> None:
    runs = world.open()
    assert world.member.http.step(runs[1].pk, 2, [3], begin=True).status_code == 400
    world.drive(S.PREPARING, S.RUNNING)
    assert world.owner.http.step(runs[0].pk, 4, [5], all=True, begin=True).status_code == 400
