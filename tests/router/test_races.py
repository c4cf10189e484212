"""Many at once, each on a connection of its own. On SQLite and on PostgreSQL (`--database postgresql`)."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from starfish.protocol.run_state import RunStatus
from starfish.router.models import Artifact, Batch, IdempotencyRecord, Project, RunTransition, Site
from tests.router.world import World

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Their results in order; all start together."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = calls[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_twenty_uploads_at_once_are_all_there(world: World) -> None:
    run = world.open()[1]
    answers = at_once(*[lambda n=n: world.member.http.upload(run.pk, "logs", b"%d" % n, name=f"part-{n}") for n in range(20)])
    assert [answer.status_code for answer in answers] == [200] * 20
    listed = world.member.http.get(f"runs/{run.pk}/").json()["logs"]
    assert sorted(listed) == sorted(f"logs/{run.pk}/1/1/{run.pk}-1-1-part-{n}" for n in range(20))


def test_the_same_name_at_once_is_one_file_and_no_other_stays(world: World, settings: Any) -> None:
    run = world.open()[1]
    answers = at_once(*[lambda n=n: world.member.http.upload(run.pk, "logs", b"%d" % n) for n in range(8)])
    assert [answer.status_code for answer in answers] == [200] * 8
    kept = Artifact.objects.get()
    assert [path.read_bytes() for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file()] == [
        (settings.ARTIFACTS_DIR / kept.key).read_bytes()
    ]


def test_eight_starts_at_once_open_one_batch(world: World) -> None:
    answers = at_once(*[lambda: world.owner.http.send("POST", "runs", {"project": world.project.pk})] * 8)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7
    assert Batch.objects.count() == 1
    assert Project.objects.get(pk=world.project.pk).batch == 1


def test_one_key_at_once_is_one_start_and_eight_times_its_answer(world: World) -> None:
    body = {"project": world.project.pk}
    answers = at_once(*[lambda: world.owner.http.send("POST", "runs", body, **{"idempotency-key": "k"})] * 8)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert (Batch.objects.count(), IdempotencyRecord.objects.count()) == (1, 1)


def test_a_status_racing_an_upload_loses_neither(world: World) -> None:
    runs = world.open()
    world.drive(RunStatus.PREPARING, RunStatus.RUNNING)
    http, run = world.member.http, runs[1].pk
    moved, uploaded = at_once(
        lambda: http.send("PUT", f"runs/{run}/status/", {"status": 5}), lambda: http.upload(run, "mid_artifacts", b"update")
    )
    assert (moved.status_code, uploaded.status_code) == (202, 200)
    shown = http.get(f"runs/{run}/").json()
    assert shown["status"] == "Pending Success"
    assert len(shown["middle_artifacts"]) == 1


def test_two_pollers_do_the_same_step_and_the_second_harms_nothing(world: World) -> None:
    runs = world.open()
    world.drive(RunStatus.PREPARING)
    body = {"status": 4, "update_all": True}
    answers = at_once(*[lambda: world.owner.http.send("PUT", f"runs/{runs[0].pk}/status/", body)] * 4)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert RunTransition.objects.filter(target=RunStatus.RUNNING).count() == 3


def test_one_name_at_once_is_one_site(world: World) -> None:
    body = {"uid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "name": "new", "description": ""}
    answers = at_once(*[lambda: world.admin.send("POST", "sites/", body)] * 6)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 5
    assert Site.objects.filter(name="new").count() == 1


def test_a_restart_racing_the_next_start_leaves_one_live_batch(world: World) -> None:
    runs = world.open()
    world.drive(RunStatus.FAILED)
    again = {"run": runs[0].pk, "role": "coordinator", "action": "restart", "project": world.project.pk, "batch": 1}
    restarted, started = at_once(
        lambda: world.owner.http.send("PUT", "runs-action/update/", again),
        lambda: world.owner.http.send("POST", "runs", {"project": world.project.pk}),
    )
    assert (restarted.status_code, started.status_code) in ((202, 400), (409, 201))
