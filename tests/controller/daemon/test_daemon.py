"""Three daemons and a router in memory: whole batches, with everything going wrong that can."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import RouterUnreachable, Unauthorized
from tests.controller.daemon import child
from tests.controller.daemon.conftest import Member, World, until

TASKS = [("done", 9), ("limited", 3)]
"""The first ends by itself after two rounds, the second at its limit."""


@pytest.fixture
def answer(world: World, tmp_path: Path) -> dict[str, str]:
    """The models of an undisturbed batch, by task and round: the same steps, without a daemon."""
    work = tmp_path / "answer"
    work.mkdir()
    (work / "terms.json").write_text(json.dumps({"tasks": [{"model": model} for model, _ in TASKS]}))
    for seq, rounds in ((1, 2), (2, 3)):
        for turn in range(1, rounds + 1):
            for member in world.members:
                child.prepare(work, member.uid, str(tmp_path / f"{member.uid}.txt"), None)
                child.train(work, member.uid, seq, turn)
            child.aggregate(work, seq, turn)
    child.report(work, "aaaa", "", None)
    return dict(json.loads((work / "report.json").read_text())["models"])


def report(member: Member) -> dict[str, dict[str, str]]:
    return dict(json.loads((member.work() / "report.json").read_text()))


def finished_as(world: World, answer: dict[str, str]) -> None:
    world.until_reported()
    assert report(world.members[0])["models"] == answer
    for member in world.members[1:]:
        assert report(member)["models"] == answer, "a participant has each round's global model too"


def test_a_batch_of_two_tasks(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.up()
    world.until_reported()
    coordinator, *others = world.members
    assert sorted(report(coordinator)["models"]) == ["1-1", "1-2", "2-1", "2-2", "2-3"]
    assert report(coordinator)["names"] == {"aaaa": "Hospital A", "bbbb": "Hospital B", "cccc": "Hospital C"}
    for other in others:
        assert report(other)["models"] == report(coordinator)["models"]
        assert report(other)["names"] is None, "a participant is told of nobody"
    run = world.router.of("aaaa")
    assert [task["config"] for task in run.tasks] == [{"total_round": 2, "current_round": 2}, {"total_round": 3, "current_round": 3}]
    until(lambda: not any(member.workers() for member in world.members))


def test_sites_that_ask_plainly_take_a_batch_through_as_well(world: World, answer: dict[str, str]) -> None:
    for member in world.members:
        member.poll = 0.01
    world.router.open_batch(1, TASKS)
    world.up()
    finished_as(world, answer)
    assert world.router.calls["active_runs", "bbbb"] > 10


def test_a_round_takes_few_requests(world: World) -> None:
    world.router.open_batch(1, [("limited", 10)])
    world.up()
    world.until_reported()
    calls, rounds = world.router.calls, 10
    for uid in ("bbbb", "cccc"):
        assert calls["step", uid] <= 2 * rounds
        assert calls["get_artifact", uid] <= rounds
        assert calls["upload", uid] == 0
        until(lambda: calls["add_lines", uid] == 1)  # noqa: B023
    assert calls["step", "aaaa"] <= 2 * rounds + 2
    assert calls["get_artifact", "aaaa"] <= 2 * rounds
    assert calls["upload", "aaaa"] == 0


def test_whatever_left_is_in_the_journal(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.up()
    world.until_reported()
    member = world.members[1]
    assert member.journal is not None
    until(lambda: any(of == world.router.of("bbbb").id and "success" in text for of, text in world.router.lines))
    what = [departure[0] for departure in member.journal.departures((1, 1))]
    assert sorted(what, key=lambda it: it != "update")[:2] == ["update", "update"]
    assert 1 <= what.count("lines") == len(what) - 2 <= 5, "lines of quick rounds go together"
    run = world.router.of("bbbb").id
    kept = [len(one.data) for one in world.router.files if one.run == run] + [len(text) for of, text in world.router.lines if of == run]
    assert sorted(kept) == sorted(departure[2] for departure in member.journal.departures((1, 1)))


def test_every_participants_lines_reach_the_coordinator(world: World) -> None:
    world.router.open_batch(1, [("limited", 3)])
    world.up()
    world.until_reported()
    run = world.router.of("bbbb").id
    until(lambda: any(of == run and "success" in text for of, text in world.router.lines))
    lines = "".join(text for of, text in world.router.lines if of == run)
    assert "round 1: prepared" in lines
    assert lines.count("train took") == 3
    assert lines.count("prepare took") == 1, "each line is sent once"
    assert lines.count("success") == 1, "the last, too"


@pytest.mark.parametrize("method", ["step", "get_artifact", "add_lines", "active_runs", "batch_runs", "project", "participants"])
def test_lost_requests_and_lost_answers_change_nothing(world: World, answer: dict[str, str], method: str) -> None:
    world.router.open_batch(1, TASKS)
    world.router.fail(method, "before", "after")
    world.up()
    finished_as(world, answer)


@pytest.mark.parametrize("who", [0, 1])
def test_a_daemon_that_ends_anywhere_goes_on_from_there(world: World, answer: dict[str, str], who: int) -> None:
    """Ended after each of its steps in turn, over and over: the batch ends, with the same bytes."""
    world.router.open_batch(1, TASKS)
    for member in world.members:
        if member is not world.members[who]:
            member.up()
    victim = world.members[who]
    steps = -1
    while victim.journal is None or world.router.of(victim.uid).status is not S.SUCCESS:
        victim.up()
        until(lambda: world.router.calls["step", victim.uid] > steps or S.SUCCESS in world.states())  # noqa: B023
        steps = world.router.calls["step", victim.uid]
        victim.down()
    victim.up()
    finished_as(world, answer)


def test_a_worker_that_dies_is_started_again(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[1].has("die")
    world.up()
    world.until_reported()
    assert len(world.members[1].said("worker_died")) == 2, "once in each of two rounds"


def test_a_worker_that_always_dies_fails_the_run_with_a_reason(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[1].has("always die")
    world.up()
    world.until_all(S.FAILED)
    assert len(world.members[1].said("worker_died")) == 3
    until(lambda: world.members[0].said("Hospital B failed: The worker process ended unexpectedly 3 times during 'train'."))


def test_stop_during_a_training_ends_the_worker_at_once_and_restart_goes_on(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[2].has("hang")
    world.up()
    hanging = world.members[2]
    [worker] = until(lambda: (hanging.work() / "once-1-1").exists() and hanging.workers())
    coordinator = world.router.of("aaaa")
    world.members[0].client.action(coordinator.id, "coordinator", "stop", 1, 1)
    until(lambda: not worker.is_running() or worker.status() == "zombie", within=2)
    world.until_all(S.FAILED)
    until(lambda: not any(member.workers() for member in world.members))
    hanging.has("mended")
    world.members[0].client.action(coordinator.id, "coordinator", "restart", 1, 1)
    world.until_reported()


def test_a_failure_elsewhere_interrupts_the_coordinators_own_training(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[0].has("hang")
    world.members[1].has("always die")
    world.up()
    world.until_all(S.FAILED)
    until(lambda: not any(member.workers() for member in world.members))


def test_in_the_first_round_a_restart_reads_the_data_anew(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[1].has("refuse")
    world.up()
    world.until_all(S.FAILED)
    until(lambda: not any(member.workers() for member in world.members))
    world.members[1].has("mended")
    world.members[0].client.action(world.router.of("aaaa").id, "coordinator", "restart", 1, 1)
    world.until_reported()
    [update] = [one for one in world.router.files if one.kind == "mid_artifacts" and one.run == 2 and one.position == (1, 1)]
    assert b"mended" in update.data


def test_a_stop_and_a_restart_that_a_site_was_not_up_for_are_noticed(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[2].has("hang")
    world.up()
    until(lambda: world.router.of("bbbb").status is S.PENDING_AGGREGATING and (world.members[2].work() / "once-1-1").exists())
    world.members[1].down()
    coordinator = world.router.of("aaaa")
    world.members[0].client.action(coordinator.id, "coordinator", "stop", 1, 1)
    until(lambda: {world.router.of(uid).status for uid in ("aaaa", "cccc")} == {S.FAILED})
    until(lambda: not world.members[2].workers())
    world.members[1].has("mended")
    world.members[2].has("mended")
    world.members[0].client.action(coordinator.id, "coordinator", "restart", 1, 1)
    world.members[1].up()
    world.until_reported()
    [update] = [one for one in world.router.files if one.kind == "mid_artifacts" and one.run == 2 and one.position == (1, 1)]
    assert b"mended" in update.data


def test_later_rounds_use_the_rows_that_were_frozen(world: World) -> None:
    world.router.open_batch(1, [("limited", 3)])
    world.members[1].has("hang")
    world.members[2].has("as it was")
    world.up()
    until(lambda: (world.members[1].work() / "once-1-1").exists())
    world.members[2].has("changed since")
    coordinator = world.router.of("aaaa")
    world.members[1].down()
    world.members[1].up()
    until(lambda: (world.members[1].work() / "once-1-2").exists())
    world.members[0].client.action(coordinator.id, "coordinator", "stop", 1, 1)
    world.until_all(S.FAILED)
    until(lambda: all(not member.workers() for member in world.members))
    world.members[0].client.action(coordinator.id, "coordinator", "restart", 1, 1)
    until(lambda: (world.members[1].work() / "once-1-3").exists())
    world.members[1].down()
    world.members[1].up()
    world.until_reported()
    sent = [one.data for one in world.router.files if one.kind == "mid_artifacts" and one.run == 3]
    assert len(sent) == 3
    assert all(b"as it was" in data for data in sent)


def test_a_site_that_is_restarted_alone_is_waited_for_and_its_new_update_counts(world: World) -> None:
    """Its coordinator had its update already, and was not up when it was stopped: the others are further on in the round."""
    world.router.open_batch(1, [("limited", 1)])
    world.members[2].has("hang")
    world.up()
    fetched = world.members[0].work() / "updates/1-1/bbbb.update"
    until(lambda: fetched.exists() and (world.members[2].work() / "once-1-1").exists())
    world.members[0].down()
    alone = world.router.of("bbbb")
    world.members[1].client.action(alone.id, "participant", "stop", 1, 1)
    until(lambda: world.router.of("bbbb").status is S.FAILED)
    until(lambda: not world.members[1].workers())
    world.members[1].has("mended")
    world.members[1].client.action(alone.id, "participant", "restart", 1, 1)
    until(lambda: world.router.of("bbbb").status is S.PREPARING)
    world.members[0].up()
    world.members[2].down()
    world.members[2].up()
    world.until_reported()
    assert b"mended" in fetched.read_bytes()


def test_a_refusal_is_told_in_public_and_explained_in_private(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[1].has("refuse")
    world.up()
    world.until_all(S.FAILED)
    until(lambda: world.members[0].said("Hospital B failed: 'age' is no number in one row."))
    [notice] = [json.loads(one.data) for one in world.router.files if one.name == "failure.json"]
    assert notice == {"code": "code", "message": "'age' is no number in one row.", "variable": "age", "task_seq": 1}
    assert world.members[1].said("row 17: 'secret value'")
    assert not any(b"secret" in one.data for one in world.router.files)
    for other in (world.members[0], world.members[2]):
        assert not other.said("secret")
    assert not world.members[2].said("Hospital B"), "a participant is told of nobody"


def test_a_site_that_was_stopped_says_so_and_not_why_it_failed_before(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[1].has("refuse")
    world.up()
    world.until_all(S.FAILED)
    until(lambda: not any(member.workers() for member in world.members))
    assert world.members[0].said("Hospital B failed: 'age' is no number in one row.")
    world.members[1].has("hang")
    world.members[0].client.action(world.router.of("aaaa").id, "coordinator", "restart", 1, 1)
    until(lambda: (world.members[1].work() / "once-1-1").exists())
    world.members[1].client.action(world.router.of("bbbb").id, "participant", "stop", 1, 1)
    world.until_all(S.FAILED)
    until(lambda: world.members[0].said("Hospital B failed: It was stopped."))
    assert len(world.members[0].said("'age' is no number")) == 1
    [notice] = until(lambda: [json.loads(one.data) for one in world.router.files if one.name == "failure.json" and b"stopped" in one.data])
    assert notice == {"code": "stopped", "message": "It was stopped.", "variable": None, "task_seq": 1}


def test_the_coordinators_own_refusal_takes_the_batch_along(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[0].has("refuse")
    world.up()
    world.until_all(S.FAILED)
    assert world.members[0].said("row 17: 'secret value'")


def test_an_update_that_does_not_count_fails_the_batch_by_name(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[2].has("send garbage")
    world.up()
    world.until_all(S.FAILED)
    assert until(lambda: world.members[0].said("Hospital C: The update is not a Starfish payload."))
    assert not world.members[1].said("Hospital C")


def test_a_coordinator_without_data_sends_no_update(world: World) -> None:
    world.members[0].home.bind(1, "project 1", None)
    world.router.open_batch(1, TASKS)
    world.up()
    world.until_all(S.SUCCESS)
    until(lambda: (world.members[1].work() / "report.json").exists())
    assert {one.run for one in world.router.files if one.kind == "mid_artifacts"} == {2, 3}


def test_a_site_without_a_dataset_says_so(world: World) -> None:
    world.members[1].home.datasets.unbind(1)
    world.router.open_batch(1, TASKS)
    world.up()
    world.until_all(S.FAILED)
    until(lambda: world.members[0].said("Hospital B failed: No dataset has been given for this project."))


def test_large_updates_and_models_are_stored_before_the_step(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[1].has("big")
    world.up()
    world.until_reported()
    assert world.router.calls["put_artifact", "bbbb"] == 2


def test_a_large_update_of_a_failed_attempt_is_replaced(world: World) -> None:
    world.router.open_batch(1, [("limited", 1)])
    world.members[1].has("big")
    world.members[2].has("hang")
    world.up()
    until(lambda: world.router.of("bbbb").status is S.PENDING_AGGREGATING and (world.members[2].work() / "once-1-1").exists())
    coordinator = world.router.of("aaaa")
    world.members[0].client.action(coordinator.id, "coordinator", "stop", 1, 1)
    world.until_all(S.FAILED)
    until(lambda: not any(member.workers() for member in world.members))
    world.members[1].has("big, and mended")
    world.members[2].has("mended")
    world.members[0].client.action(coordinator.id, "coordinator", "restart", 1, 1)
    world.until_reported()
    [update] = [one for one in world.router.files if one.kind == "mid_artifacts" and one.run == 2]
    assert b"big, and mended" in update.data


def test_a_report_that_cannot_be_made_ends_the_batch_here_with_a_reason(world: World) -> None:
    world.router.open_batch(1, [("limited", 1)])
    world.members[1].has("no report")
    world.up()
    world.until_all(S.SUCCESS)
    until(lambda: world.members[1].said("There is no report here"))
    until(lambda: not world.members[1].workers())


def test_a_global_model_that_is_gone_fails_the_run(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    world.members[0].up()
    world.members[1].has("hang")
    world.members[1].up()
    world.members[2].up()
    until(lambda: (world.members[1].work() / "once-1-1").exists() and world.router.of("cccc").status is S.PENDING_AGGREGATING)
    world.members[2].down()
    world.members[1].down()
    world.members[1].up()
    until(lambda: world.router.of("cccc").position == (1, 2))
    world.router.files = [one for one in world.router.files if one.kind != "artifacts"]
    shutil.rmtree(world.members[2].work() / "models", ignore_errors=True)
    world.members[2].up()
    world.until_all(S.FAILED)
    until(lambda: world.members[0].said("failed: The Routing Server has no global model of task 1, round 1."))


def test_two_batches_at_once_do_not_wait_for_each_other(world: World) -> None:
    world.members[1].has("hang")
    world.router.open_batch(1, TASKS)
    world.up()
    until(lambda: (world.members[1].work() / "once-1-1").exists())
    world.members[1].has("quick")
    world.router.open_batch(2, TASKS)
    world.until_reported(project=2)
    assert world.router.of("bbbb", 1).status is S.RUNNING


def test_trouble_with_one_batch_holds_up_no_other(world: World) -> None:
    world.router.open_batch(1, TASKS)
    foreign = world.router.of("bbbb", 1)
    world.router.runs[foreign.id] = replace(foreign, cur_seq=99)
    world.router.damaged = {1}
    world.router.open_batch(2, TASKS)
    world.up()
    world.until_reported(project=2)
    assert world.members[0].said("The Routing Server refuses: The router failed.")
    assert world.members[1].said("Internal error ForeignAnswer")


def test_a_router_that_is_away_is_said_once_and_waited_for(world: World) -> None:
    world.router.away = RouterUnreachable("The Routing Server does not answer.")
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    until(lambda: world.router.calls["heartbeat", "aaaa"] >= 3)
    world.router.away = None
    world.until_reported()
    lines = [event.public for event in world.members[0].events(None)]
    assert lines == ["The Routing Server does not answer.", "That is over; the work goes on."]


def test_a_refused_token_is_said_clearly(world: World) -> None:
    world.router.away = Unauthorized("The token was revoked.")
    world.members[0].up()
    [line] = until(lambda: world.members[0].events(None))
    assert "refuses this site: The token was revoked." in line.public


def test_the_site_is_seen_while_it_is_up_and_not_after(world: World) -> None:
    world.members[0].up()
    until(lambda: world.router.beats == [("aaaa", True)])
    world.members[0].down()
    assert world.router.beats == [("aaaa", True), ("aaaa", False)]


def test_a_batch_that_ended_while_the_site_was_down_is_finished(world: World) -> None:
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    until(lambda: world.router.of("bbbb").status is S.PENDING_AGGREGATING or world.router.of("bbbb").status is S.SUCCESS)
    world.members[1].down()
    world.until_all(S.SUCCESS)
    (world.members[1].work() / "report.json").unlink(missing_ok=True)
    if world.members[1].journal is not None:
        world.members[1].up()
        assert world.members[1].journal is not None
    until(lambda: not world.members[1].journal.unfinished() if world.members[1].journal else False)


def test_a_run_that_is_gone_is_forgotten(world: World) -> None:
    world.router.open_batch(1, TASKS)
    world.members[0].up()
    journal = until(lambda: world.members[0].journal)
    until(journal.unfinished)
    world.router.runs.clear()
    until(lambda: not journal.unfinished())
