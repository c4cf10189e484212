"""Invitation projects: what may be said of them, who knows of them, and how their batches begin."""

import base64
from typing import Any

import pytest

from starfish.protocol.run_state import RunStatus as S
from starfish.router.models import Batch, Project, ProjectParticipant, Run
from tests.router.trust import AGE, TASKS, Sealed, hex_id, sealed_project, start
from tests.router.world import World, expect, statuses


def test_a_project_by_name_gets_a_uid_of_the_routers_making(world: World) -> None:
    made = world.owner.http.send("POST", "projects/", {"name": "n", "site": world.owner.site.pk, "tasks": []}).json()
    assert (made["joining"], len(bytes.fromhex(made["uid"]))) == ("by-name", 16)
    assert made["uid"] != world.project.uid != world.foreign.uid
    given = {"name": "m", "site": world.owner.site.pk, "uid": hex_id()}
    assert world.owner.http.send("POST", "projects/", given).json()["uid"] == [
        "The router makes the uid of a project that is joined by name."
    ]


def test_an_invitation_project_is_what_its_creator_says_and_no_more(world: World) -> None:
    uid = hex_id()
    made = sealed_project(world.owner, uid=uid).json()
    assert (made["joining"], made["uid"], made["tasks"], made["definition"], made["description"]) == ("invitation", uid, TASKS, {}, "")
    assert world.owner.http.get(f"projects/{made['id']}/").json() == made
    assert world.owner.http.get("projects/lookup/", name="sealed").json() == made
    assert [it["project"]["uid"] for it in world.owner.http.get("projects/lookup/", site_id=world.owner.site.pk).json()][-1] == uid
    assert "uid" in sealed_project(world.outsider, "another", uid=uid).json(), "a uid is a project's own"
    assert "name" in sealed_project(world.outsider).json(), "names are not secret: one that is taken is refused"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "who has heart disease"),
        ("definition", {"variables": {}}),
        ("tasks", [{"seq": 1, "model": "A", "config": {"formula": "disease ~ age"}}]),
        ("tasks", [{"seq": 1, "model": "A", "config": {}, "note": "x"}]),
        ("tasks", [*TASKS, {"seq": 2, "model": "A", "config": {"total_round": 1, "current_round": 1, "x": None}}]),
    ],
)
def test_parameters_belong_into_the_manifest(world: World, field: str, value: Any) -> None:
    refused = sealed_project(world.owner, **{field: value})
    assert refused.status_code == 400
    assert refused.json().keys() == {field}
    assert "A sealed project's parameters travel in its manifest" in refused.json()[field][0]
    assert not Project.objects.filter(name="sealed").exists()
    assert sealed_project(world.owner, joining="by-name", uid=None, **{field: value}).status_code == 400
    body = {"name": "open", "site": world.owner.site.pk, "tasks": TASKS, field: value}
    assert world.owner.http.send("POST", "projects/", body).status_code == 201


@pytest.mark.parametrize(
    "more",
    [
        *[{"uid": uid} for uid in (None, "", "A" * 32, "a" * 31, "g" * 32, "a" * 33, 7, ["a"], "٣" * 32)],
        *[{"joining": joining} for joining in (None, "", "Invitation", "sealed", 1, [], {})],
    ],
)
def test_malformed_projects(world: World, more: dict[str, Any]) -> None:
    refused = sealed_project(world.owner, **more)
    assert refused.status_code == 400
    assert refused.json().keys() == more.keys()
    assert not Project.objects.filter(name="sealed").exists()


def test_a_project_keeps_the_way_in_which_it_is_joined(sealed: Sealed) -> None:
    http, path = sealed.world.owner.http, f"projects/{sealed.project.pk}/"
    assert [http.send(method, path, {"joining": "by-name"}).status_code for method in ("PUT", "PATCH", "POST")] == [405] * 3


def test_to_those_outside_there_is_no_such_project(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    sealed.open()
    member = ProjectParticipant.objects.get(project=pk, site=world.member.site).pk
    for path in (
        f"projects/{pk}/",
        "projects/lookup/?name=sealed",
        f"project-participants/lookup/?project={pk}",
        f"runs/lookup/?project={pk}",
    ):
        assert statuses(world, lambda http, path=path: http.get(path)) == expect(200, 200, 200, 404, 404), path
        missing = path.replace(f"{pk}", f"{pk + 1000}").replace("sealed", "nothing")
        assert world.other.http.get(path).content == world.other.http.get(missing).content
    assert statuses(world, lambda http: http.get(f"project-participants/{member}/")) == expect(200, 200, 200, 404, 404)
    for caller, seen in ((world.admin, True), (world.owner.http, True), (world.member.http, True), (world.other.http, False)):
        listed = caller.get("projects/").json()
        assert ("sealed" in {it["name"] for it in listed["results"]}) == seen
        assert listed["count"] == len(listed["results"]) == (3 if seen else 2)


def test_nobody_joins_by_name(sealed: Sealed) -> None:
    world = sealed.world

    def join(caller: Any, site: Any, project: int) -> Any:
        return caller.send("POST", "project-participants/", {"site": site.site.pk, "project": project, "role": "PA"})

    for joiner in (world.other, world.outsider):
        refused, missing = join(joiner.http, joiner, sealed.project.pk), join(joiner.http, joiner, sealed.project.pk + 1000)
        assert (refused.status_code, refused.content) == (404, missing.content)
    for caller, site in ((world.admin, world.other), (world.member.http, world.member), (world.owner.http, world.owner)):
        refused = join(caller, site, sealed.project.pk)
        assert (refused.status_code, "by invitation" in refused.json()) == (400, True)
    assert ProjectParticipant.objects.filter(project=sealed.project).count() == 2


def test_who_has_left_knows_its_own_past_and_nothing_of_the_project(sealed: Sealed) -> None:
    world, runs = sealed.world, sealed.open()
    membership = ProjectParticipant.objects.get(project=sealed.project, site=world.member.site)
    leave = f"project-participants/{membership.pk}/"
    assert world.member.http.send("DELETE", leave).status_code == 409
    Run.objects.update(status=S.FAILED)
    assert world.member.http.send("DELETE", leave).status_code == 204
    for path in (f"projects/{sealed.project.pk}/", "projects/lookup/?name=sealed", f"runs/lookup/?project={sealed.project.pk}"):
        assert world.member.http.get(path).status_code == 404
    assert world.member.http.get(f"runs/{runs[1].pk}/").json()["project"].keys() == {"id", "name", "site"}
    assert world.member.http.get(f"runs/{runs[0].pk}/").status_code == 404


def test_a_batch_begins_with_its_number_and_order(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    for more in ({}, {"batch": 1}, {"order": base64.b64encode(AGE).decode()}):
        for path in ("runs", "runs/"):
            refused = world.owner.http.send("POST", path, {"project": pk, **more})
            assert (refused.status_code, "This project is sealed" in refused.json()) == (400, True)
    for number in (2, 7):
        refused = world.owner.http.send("POST", "runs/", {"project": pk, "batch": number, "order": base64.b64encode(AGE).decode()})
        assert (refused.status_code, "is 1" in refused.json()) == (409, True)
    assert not Batch.objects.exists()
    assert Project.objects.get(pk=pk).batch == 0
    assert start(world.owner, pk, order=AGE + b"one").status_code == 201
    runs = [*Batch.objects.get().runs.order_by("id")]
    assert [run.site.name for run in runs] == ["owner", "member"]
    for run, seen in zip(runs, (expect(200, 200, 404, 404, 404), expect(200, 200, 200, 404, 404)), strict=True):
        assert statuses(world, lambda http, run=run: http.get(f"runs/{run.pk}/order/")) == seen
    told = world.member.http.get(f"runs/{runs[1].pk}/order/")
    assert (told.content, told["Content-Type"]) == (AGE + b"one", "application/octet-stream")
    assert start(world.owner, pk, order=AGE + b"one").status_code == 201, "the same again is that batch"
    assert start(world.owner, pk, order=AGE + b"two").status_code == 409
    assert start(world.owner, pk, 2, order=AGE + b"two").status_code == 400, "the first has not ended"
    Run.objects.update(status=S.FAILED)
    assert start(world.owner, pk, order=AGE + b"one").status_code == 201
    assert start(world.owner, pk, 1, order=AGE + b"two").status_code == 409
    assert start(world.owner, pk, 2, order=AGE + b"two").status_code == 201
    assert start(world.owner, pk, 1, order=AGE + b"one").status_code == 409, "the first is over, and not begun again"
    assert [(batch.number, bytes(batch.order or b"")) for batch in Batch.objects.order_by("number")] == [
        (1, AGE + b"one"),
        (2, AGE + b"two"),
    ]


def test_only_the_coordinator_starts(sealed: Sealed) -> None:
    world, body = sealed.world, {"project": sealed.project.pk, "batch": 1, "order": base64.b64encode(AGE).decode()}
    missing = world.other.http.send("POST", "runs/", {**body, "project": sealed.project.pk + 1000})
    for caller, status in ((world.member, 403), (world.other, 400), (world.outsider, 400)):
        refused = caller.http.send("POST", "runs/", body)
        assert refused.status_code == status
        assert status == 403 or refused.content == missing.content
    assert not Batch.objects.exists()


@pytest.mark.parametrize("order", [None, "", "x", "?" * 8, 7, [], "A" * 8196, base64.b64encode(b"open").decode(), "ä" * 8, "\0"])
def test_malformed_orders(sealed: Sealed, order: Any) -> None:
    body = {"project": sealed.project.pk, "batch": 1, "order": order}
    assert sealed.world.owner.http.send("POST", "runs/", body).status_code == 400
    assert not Batch.objects.exists()


@pytest.mark.parametrize("number", [0, -1, "x", 1.5, 2**31, [], None])
def test_malformed_numbers(sealed: Sealed, number: Any) -> None:
    body = {"project": sealed.project.pk, "batch": number, "order": base64.b64encode(AGE).decode()}
    assert sealed.world.owner.http.send("POST", "runs/", body).status_code == 400
    assert not Batch.objects.exists()


def test_a_batch_by_name_has_no_order_and_may_have_its_number(world: World) -> None:
    pk, http = world.project.pk, world.owner.http
    assert http.send("POST", "runs/", {"project": pk, "order": base64.b64encode(AGE).decode()}).status_code == 400
    assert http.send("POST", "runs/", {"project": pk, "batch": 2}).status_code == 409
    assert http.send("POST", "runs/", {"project": pk, "batch": 1}).status_code == 201
    run = Run.objects.filter(batch__project=pk).first()
    assert run is not None
    assert http.get(f"runs/{run.pk}/order/").status_code == 404
    for bad, status in (("x", 400), (10**30, 404), (run.pk + 1000, 404)):
        assert http.get(f"runs/{bad}/order/").status_code == status
