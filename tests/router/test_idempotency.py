"""An Idempotency-Key: once, the same answer again, never for another request, never for a refusal."""

import pytest

from starfish.router.models import Batch, IdempotencyRecord, Project, ProjectParticipant, Site
from tests.router.world import World

UID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def test_every_creating_post_takes_a_key(world: World) -> None:
    for number, (caller, path, body, model) in enumerate(
        (
            (world.admin, "sites/", {"uid": UID, "name": "new"}, Site),
            (world.owner.http, "projects/", {"name": "new", "site": world.owner.site.pk, "tasks": []}, Project),
            (
                world.member.http,
                "project-participants/",
                {"site": world.member.site.pk, "project": world.foreign.pk, "role": "PA"},
                ProjectParticipant,
            ),
            (world.owner.http, "runs", {"project": world.project.pk}, Batch),
        )
    ):
        before = model.objects.count()
        first, again = (caller.send("POST", path, body, **{"idempotency-key": f"key {number}"}) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201), (path, again.content)
        assert first.content == again.content
        assert model.objects.count() == before + 1


def test_a_steps_repeat_is_answered_as_the_step_was(world: World) -> None:
    runs = world.open()
    first = world.member.http.step(runs[1].pk, 2, [3], key="k")
    assert first.json()["status"] == "Preparing"
    world.owner.http.step(runs[0].pk, 2, [3])
    world.other.http.step(runs[2].pk, 2, [3])
    world.owner.http.step(runs[0].pk, 3, [4], all=True)
    again = world.member.http.step(runs[1].pk, 2, [3], key="k")
    assert again.status_code == 200
    assert again.json() == first.json() | {"active": again.json()["active"]}  # the run as it was then, the listing as it is now
    assert world.words() == ["Running"] * 3
    assert world.member.http.step(runs[1].pk, 2, [3]).status_code == 409, "without the key it is a delayed duplicate"


def test_the_same_key_with_another_body_is_422(world: World) -> None:
    world.owner.http.send("POST", "runs", {"project": world.project.pk}, **{"idempotency-key": "k"})
    for path, body in (("runs", {"project": world.foreign.pk}), ("projects/", {"name": "n", "site": world.owner.site.pk})):
        assert world.owner.http.send("POST", path, body, **{"idempotency-key": "k"}).status_code == 422


def test_a_key_is_its_callers_own(world: World) -> None:
    body = {"name": "mine", "site": world.owner.site.pk, "tasks": []}
    assert world.owner.http.send("POST", "projects/", body, **{"idempotency-key": "k"}).status_code == 201
    other = {"name": "ours", "site": world.member.site.pk, "tasks": []}
    assert world.member.http.send("POST", "projects/", other, **{"idempotency-key": "k"}).status_code == 201


def test_refusals_are_not_kept(world: World) -> None:
    Site.objects.filter(pk=world.other.site.pk).update(status=0)
    ask = {"project": world.project.pk}
    assert world.owner.http.send("POST", "runs", ask, **{"idempotency-key": "k"}).status_code == 400
    assert not IdempotencyRecord.objects.exists()
    Site.objects.update(status=1)
    assert world.owner.http.send("POST", "runs", ask, **{"idempotency-key": "k"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\tb"])
def test_a_key_that_is_none(world: World, key: str) -> None:
    assert world.owner.http.send("POST", "runs", {"project": world.project.pk}, **{"idempotency-key": key}).status_code == 400
    assert not Batch.objects.exists()


def test_a_late_repeat_of_a_keyed_stop_or_status_moves_nothing(world: World) -> None:
    """Part A's requests name no round: with a key they are told from new ones."""
    runs = world.open()
    prepare = {"status": 3, "update_all": False, "increase_round": False}
    stop = {"run": runs[1].pk, "role": "participant", "action": "stop", "project": world.project.pk, "batch": 1}
    restart = {**stop, "action": "restart"}
    for path, body, key in (
        (f"runs/{runs[1].pk}/status/", prepare, "a"),
        ("runs-action/update/", stop, "b"),
        ("runs-action/update/", restart, "c"),
    ):
        assert world.member.http.send("PUT", path, body, **{"Idempotency-Key": key}).status_code == 202
    assert world.words()[1] == "Standby"
    for path, body, key in ((f"runs/{runs[1].pk}/status/", prepare, "a"), ("runs-action/update/", stop, "b")):
        assert world.member.http.send("PUT", path, body, **{"Idempotency-Key": key}).status_code == 202
        assert world.words()[1] == "Standby"
