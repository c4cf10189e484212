"""Sites, heartbeats, projects and memberships: the contract's routes, codes and sentences."""

import time
import uuid
from collections.abc import Callable

import pytest

from tests.part_a.controller import SUCCESS
from tests.part_a.wire import Router
from tests.part_a.world import Project, made, new_site
from tests.support.servers import ADMIN, Server

UNKNOWN = 999_999_999


def test_a_taken_name_or_uid_is_a_field_error(router: Router) -> None:
    site = new_site(router)
    other = {"uid": str(uuid.uuid4()), "name": f"other {uuid.uuid4()}", "description": ""}
    taken_name = router.post("sites/", {**other, "name": site["name"]})
    assert taken_name.status == 400
    assert list(taken_name.json()) == ["name"]
    taken_uid = router.post("sites/", {**other, "uid": site["uid"]})
    assert taken_uid.status == 400
    assert list(taken_uid.json()) == ["uid"]
    assert router.post("sites/", {**other, "name": "x" * 101}).status == 400
    assert router.post("sites/", {**other, "uid": "no uuid"}).status == 400
    assert router.post("sites/", {**other, "name": ""}).status == 400


def test_put_sends_back_the_whole_object(router: Router) -> None:
    site = new_site(router)
    answer = router.put(f"sites/{site['id']}/", {**site, "description": "moved", "status": "Disconnected", "id": 0})
    assert answer.status == 200, answer.body
    changed = router.get(f"sites/{site['id']}/").json()
    assert changed == {**site, "description": "moved", "updated_at": changed["updated_at"]}
    assert router.patch(f"sites/{site['id']}/", {"description": "back"}).status == 200
    assert router.get(f"sites/{site['id']}/").json()["description"] == "back"


def test_the_uid_is_fixed_at_creation(router: Router) -> None:
    site = new_site(router)
    router.put(f"sites/{site['id']}/", {**site, "uid": str(uuid.uuid4())})
    router.patch(f"sites/{site['id']}/", {"uid": str(uuid.uuid4())})
    assert router.get(f"sites/{site['id']}/").json()["uid"] == site["uid"]


def test_site_lookup(router: Router) -> None:
    site = new_site(router)
    assert router.get("sites/lookup/", uid=site["uid"]).json() == site
    for query in ({"uid": "nonsense"}, {"uid": ""}, {}):
        answer = router.get("sites/lookup/", **query)
        assert (answer.status, answer.json()) == (400, "Invalid uid")
    answer = router.get("sites/lookup/", uid=uuid.uuid4())
    assert (answer.status, answer.json()) == (404, "Site not found")


def test_a_site_is_deleted_unless_it_has_runs(router: Router, project: Project) -> None:
    site = new_site(router)
    assert router.delete(f"sites/{site['id']}/").status == 204
    assert router.get(f"sites/{site['id']}/").status == 404
    project.open()
    project.drive(SUCCESS)
    for member in project.sites:
        assert router.delete(f"sites/{member['id']}/").status == 409
        assert router.get(f"sites/{member['id']}/").status == 200


def test_heartbeat(router: Router) -> None:
    site = new_site(router)
    answer = router.post("sites/heartbeat/", {"uid": site["uid"], "status": 0})
    assert (answer.status, answer.body) == (202, b"")
    assert router.get(f"sites/{site['id']}/").json()["status"] == "Disconnected"
    assert router.post("sites/heartbeat/", {"uid": site["uid"], "status": 1}).status == 202
    for wrong in ({"uid": site["uid"], "status": 2}, {"uid": site["uid"]}, {"uid": "x", "status": 1}, {"status": 1}, {}):
        assert router.post("sites/heartbeat/", wrong).status == 400, wrong
    assert router.get(f"sites/{site['id']}/").json()["status"] == "Connected"
    assert router.post("sites/heartbeat/", {"uid": str(uuid.uuid4()), "status": 1}).status == 404


def beat(project: Project) -> None:
    for site in project.sites:
        assert project.router.post("sites/heartbeat/", {"uid": site["uid"], "status": 1}).status == 202


def test_a_silent_site_is_disconnected_and_its_runs_are_not_touched(serve: Callable[..., Server]) -> None:
    server = serve("runserver", SITE_TIMEOUT_S="2")
    router = Router(url=server.url, account=ADMIN)
    project, other = Project.create(router), Project.create(router, sites=1)
    beat(project)
    project.open()
    deadline = time.monotonic() + 20
    while {router.get(f"sites/{site['id']}/").json()["status"] for site in project.sites} != {"Disconnected"}:
        assert time.monotonic() < deadline, "check_site_status left a silent site connected"
        server.manage("runjob", "check_site_status")
    assert project.words() == ["Standby"] * 3
    project.end()
    answer = router.post("runs", {"project": project.id})
    assert (answer.status, type(answer.json())) == (400, str), "not all sites are connected"
    beat(project)
    assert len(project.open()) == 3
    # a start looks for itself, before anybody runs the job
    beat(other)
    time.sleep(2.1)
    assert router.get(f"sites/{other.sites[0]['id']}/").json()["status"] == "Connected"
    answer = router.post("runs", {"project": other.id})
    assert (answer.status, type(answer.json())) == (400, str)
    assert other.read()["batch"] == 0


def test_creating_a_project_makes_its_site_the_coordinator(router: Router) -> None:
    site = new_site(router)
    project = made(router.post("projects/", {"name": f"p {uuid.uuid4()}", "description": "", "site": site["id"], "tasks": []}))
    (member,) = router.get("project-participants/lookup/", project=project["id"]).json()
    assert (member["site"]["id"], member["role"]) == (site["id"], "coordinator")


def test_nobody_joins_by_creating(router: Router, project: Project) -> None:
    body = {"name": project.read()["name"], "description": "", "site": new_site(router)["id"], "tasks": []}
    assert router.post("projects/", body).status == 400
    assert len(router.get("project-participants/lookup/", project=project.id).json()) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"site": 0},
        {"site": UNKNOWN},
        {"site": "x"},
        {"site": None},
        {"name": ""},
        {"name": None},
        {"tasks": "x"},
        {"tasks": [1]},
        {"tasks": [{"seq": "one", "model": "A", "config": {}}]},
        {"tasks": [{"seq": 1, "model": "A", "config": {"total_round": "many"}}]},
        {"tasks": [{"seq": 1, "model": "A", "config": {"total_round": -1}}]},
        {"tasks": [{"seq": 1, "model": "A", "config": []}]},
        {"tasks": [{"seq": 2, "model": "A", "config": {}}]},
        {"definition": "x"},
    ],
)
def test_a_project_that_makes_no_sense_is_refused(router: Router, wrong: dict[str, object]) -> None:
    body = {"name": f"p {uuid.uuid4()}", "description": "", "site": new_site(router)["id"], "tasks": [], **wrong}
    assert router.post("projects/", body).status == (404 if UNKNOWN in wrong.values() else 400)
    assert router.get("projects/lookup/", name=body["name"]).status in (400, 404)


def test_project_lookup(router: Router, project: Project) -> None:
    assert router.get("projects/lookup/", name=project.read()["name"]).json() == project.read()
    assert router.get("projects/lookup/", name="there is none").status == 404
    assert router.get("projects/lookup/").status == 400
    assert router.get("projects/lookup/", site_id="x").status == 400
    assert router.get("projects/lookup/", site_id=new_site(router)["id"]).json() == []
    assert router.get("project-participants/lookup/").status == 400
    assert router.get("project-participants/lookup/", project="x").status == 400


@pytest.mark.parametrize(
    "wrong", [{"role": "CO"}, {"role": "XX"}, {"role": None}, {"site": UNKNOWN}, {"project": UNKNOWN}, {"site": "x"}, {"project": 0}]
)
def test_a_membership_that_makes_no_sense_is_refused(router: Router, project: Project, wrong: dict[str, object]) -> None:
    body = {"site": new_site(router)["id"], "project": project.id, "role": "PA", "notes": "", **wrong}
    assert router.post("project-participants/", body).status == (404 if UNKNOWN in wrong.values() else 400)
    assert len(router.get("project-participants/lookup/", project=project.id).json()) == 3


def test_a_site_is_in_a_project_once(router: Router, project: Project) -> None:
    for site in project.sites:
        again = {"site": site["id"], "project": project.id, "role": "PA", "notes": ""}
        assert router.post("project-participants/", again).status == 400
    assert len(router.get("project-participants/lookup/", project=project.id).json()) == 3


def test_leaving_while_a_batch_is_active_is_refused(router: Router, project: Project) -> None:
    membership = router.get("project-participants/lookup/", project=project.id).json()[-1]["id"]
    project.open()
    assert router.delete(f"project-participants/{membership}/").status == 409
    project.end()
    assert router.delete(f"project-participants/{membership}/").status == 204
    members = router.get("project-participants/lookup/", project=project.id).json()
    assert [member["site"]["id"] for member in members] == [site["id"] for site in project.sites[:2]]


def test_a_member_that_left_comes_back(router: Router, project: Project) -> None:
    member = router.get("project-participants/lookup/", project=project.id).json()[-1]
    assert router.delete(f"project-participants/{member['id']}/").status == 204
    body = {"site": member["site"]["id"], "project": project.id, "role": "PA", "notes": ""}
    assert router.post("project-participants/", body).status == 201


def test_router_serve_disconnects_silent_sites_by_itself(serve: Callable[..., Server]) -> None:
    """Every 15 s; nobody calls the job, and nobody starts a batch."""
    router = Router(url=serve("serve", SITE_TIMEOUT_S="1").url, account=ADMIN)
    site = new_site(router)
    deadline = time.monotonic() + 25
    while router.get(f"sites/{site['id']}/").json()["status"] != "Disconnected":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_administrators_make_accounts(router: Router) -> None:
    name, password = f"user {uuid.uuid4().hex[:8]}".replace(" ", "-"), "a-password-of-the-tests"
    created = router.post("users/", {"username": name, "email": "", "groups": [], "password": password})
    assert created.status == 201, created.body
    assert password.encode() not in created.body
    assert router.get(f"users/{created.json()['id']}/").json()["username"] == name
    assert router.post("users/", {"username": name, "password": password}).status == 400
    own = Router(url=router.url, account=(name, password))
    assert own.get("runs/active/").json() == []
    assert own.get("users/").status == 403
    assert router.delete(f"users/{created.json()['id']}/").status == 204
    assert own.get("runs/active/").status in (401, 403)
    assert made(router.post("groups/", {"name": name}))["name"] == name
