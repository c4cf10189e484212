"""What nobody should send, and what should not happen: an answer with a sentence, never a failure inside."""

from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, OperationalError
from django.test import Client

from starfish.protocol.run_state import RunStatus
from starfish.router import access, health, storage
from starfish.router.actions import audit, moves, sites
from starfish.router.api.errors import as_problem
from starfish.router.models import AuditEvent, Project, Site
from tests.router.world import ADMIN, BASE, ROUND, Http, World

S = RunStatus


def test_a_refusal_of_a_path_with_a_nul_is_written_down(world: World) -> None:
    for path in ("users/%00/", "groups/%00/"):
        assert world.member.http.get(path).status_code == 403
    assert [event.subject for event in AuditEvent.objects.filter(refused=True)] == [f"{BASE}users/%00/", f"{BASE}groups/%00/"]


def test_a_refusal_stands_where_it_cannot_be_written_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise DataError("nothing fits")

    monkeypatch.setattr(audit, "refused", fail)
    assert world.member.http.get("users/").status_code == 403


@pytest.mark.parametrize("cookie", ['"aaaaaaaaaa\\000"', '"\\355\\240\\200aaaaaaaa"', "aaaaaaaaaaaa", '"ü"'])
def test_a_cookie_that_is_no_session_is_nobodys(db: None, cookie: str) -> None:
    client = Client(raise_request_exception=False, headers={"cookie": f"sessionid={cookie}"})
    assert client.get(f"{BASE}sites/").status_code == 401
    assert client.get("/starfish/api-auth/login/").status_code == 200


def test_the_login_page_is_throttled_as_basic_is(world: World) -> None:
    client, page = Client(), "/starfish/api-auth/login/"
    assert client.post(page, {"username": ADMIN[0], "password": ADMIN[1]}).status_code == 302
    assert client.get(f"{BASE}sites/").status_code == 200
    User.objects.create_user("guessed", password="right")
    for number in range(30):
        assert client.post(page, {"username": "guessed", "password": f"wrong {number}"}).status_code == 200
    assert client.post(page, {"username": "guessed", "password": "right"}).status_code == 200, "not now"
    basic = Http(authorization="Basic " + b64encode(b"guessed:right").decode())
    assert basic.get("sites/").status_code == 429


def test_probes_come_by_address(db: None, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["router.example"]
    client = Client(raise_request_exception=False, headers={"host": "10.0.0.7:8000"})
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    assert client.get(BASE).status_code == 400
    assert Client(headers={"host": "router.example"}).get(BASE).status_code == 401


def test_a_database_that_is_away_is_503_on_any_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(ModelBackend, "authenticate", away)
    page = Client(raise_request_exception=False).post("/starfish/api-auth/login/", {"username": "new", "password": "new"})
    monkeypatch.setattr(health, "_gauges", away)
    for answer in (page, world.admin.get("/metrics")):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize("number", ["0_3", "٣", " 3", "+3", "3.0"])
def test_a_number_is_written_in_digits(world: World, number: str) -> None:
    run = world.open()[0]
    assert world.owner.http.send("PUT", f"runs/{run.pk}/status/", {"status": number}).status_code == 400
    assert world.owner.http.send("PUT", f"runs/{run.pk}/status/", {"status": "3"}).status_code == 202


def test_project_zero_does_not_exist(world: World) -> None:
    answer = world.owner.http.send("POST", "runs", {"project": 0})
    assert (answer.status_code, answer.json()) == (400, "Project not found")


def test_a_body_of_unknown_length_is_refused_by_that_name(world: World) -> None:
    answer = Client().post(
        f"{BASE}runs",
        headers={"transfer-encoding": "chunked", "content-length": "", "authorization": world.owner.http.authorization or ""},
    )
    assert (answer.status_code, "Content-Length" in answer.json()) == (400, True)


def test_too_many_parts_are_counted_for_the_sender(world: World) -> None:
    run = world.open()[0]
    form = {"run": run.pk, "task_seq": 1, "round_seq": 1, **dict.fromkeys(map(str, range(1001)), "x")}
    answer = Client().post(f"{BASE}runs-action/upload/", form, headers={"authorization": world.owner.http.authorization or ""})
    assert (answer.status_code, "1000 fields" in answer.json()) == (413, True)


@pytest.mark.parametrize(
    "tasks",
    [
        "x",
        {},
        [1],
        [{}],
        [{"seq": 1, "model": "m", "config": None}],
        [{"seq": 1, "model": "m", "config": []}],
        [{"seq": 1, "model": "m", "config": {"total_round": "3"}}],
        [{"seq": 2, "model": "m"}],
    ],
)
def test_tasks_that_came_by_another_way_are_looked_at_before_a_start(world: World, tasks: Any) -> None:
    project = Project.objects.create(name="by hand", site=world.owner.site, tasks=tasks)
    answer = world.owner.http.send("POST", "runs", {"project": project.pk})
    assert (answer.status_code, answer.json()[:7]) == (400, "tasks: ")
    project.refresh_from_db()
    assert project.batch == 0


def test_a_refused_round_names_the_state_that_the_run_is_in(world: World) -> None:
    run = world.open()[0]
    world.drive(*ROUND, S.STANDBY, *ROUND, S.STANDBY, *ROUND)
    body = {"status": 2, "update_all": True, "increase_round": True}
    answer = world.owner.http.send("PUT", f"runs/{run.pk}/status/", body, accept="application/problem+json")
    assert answer.status_code == 409
    assert (answer.json()["state"], answer.json()["task_seq"]) == ("Aggregating", 2)
    assert world.words() == ["Aggregating"] * 3


def test_a_batch_that_a_site_has_left_is_not_restarted(world: World) -> None:
    runs = world.open()
    moves.set_status(world.owner.caller, runs[0].pk, S.FAILED, update_all=True, increase_round=False)
    membership = world.project.memberships.get(site=world.member.site)
    assert world.member.http.send("DELETE", f"project-participants/{membership.pk}/").status_code == 204
    for who, run in ((world.owner, runs[0]), (world.member, runs[1])):
        answer = who.http.send("PUT", "runs-action/update/", {"run": run.pk, "role": "coordinator", "action": "restart"})
        assert (answer.status_code, "next batch" in answer.json()) == (409, True)
    assert world.words() == ["Failed"] * 3
    assert len(world.open()) == 2


def test_a_storage_that_fails_is_unavailable(world: World, settings: Any, tmp_path: Path) -> None:
    run = world.open()[0]
    assert world.owner.http.upload(run.pk, "logs", b"x").status_code == 200
    kept = settings.ARTIFACTS_DIR
    settings.ARTIFACTS_DIR = tmp_path / "file"
    settings.ARTIFACTS_DIR.write_text("no folder")
    for answer in (world.owner.http.upload(run.pk, "logs", b"y"), world.owner.http.get("runs-action/download/", run=run.pk, type="logs")):
        assert answer.status_code == 503
        assert "files" in answer.json()
    settings.ARTIFACTS_DIR = kept
    assert world.owner.http.upload(run.pk, "logs", b"y").status_code == 200


def test_a_file_that_was_lost_is_named_not_cut_off(world: World, settings: Any) -> None:
    run = world.open()[0]
    world.owner.http.upload(run.pk, "logs", b"x")
    storage.delete(str(path.relative_to(settings.ARTIFACTS_DIR)) for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file())
    answer = world.owner.http.get("runs-action/download/", run=run.pk, type="logs")
    assert answer.status_code == 404
    assert f"{run.pk}-1-1-logs.txt" in answer.json()


def test_a_site_that_goes_at_the_same_moment_is_not_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site.objects.create(name="short-lived", owner=world.owner.site.owner)
    found = access.site_by_id

    def meanwhile(*arguments: Any) -> Site:
        seen = found(*arguments)
        Site.objects.filter(pk=site.pk).delete()
        return seen

    monkeypatch.setattr(sites, "site_by_id", meanwhile)
    assert world.admin.send("PATCH", f"sites/{site.pk}/", {"description": "new"}).status_code == 404


def test_what_the_database_refuses_is_the_requests_fault() -> None:
    changed, unfit = as_problem(IntegrityError("foreign key")), as_problem(DataError("NUL"))
    assert changed is not None
    assert unfit is not None
    assert (changed.status, unfit.status) == (409, 400)


def test_no_database_is_asked_for_a_session_key_that_is_none() -> None:
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    assert [store(key).session_key for key in ("abcdefgh\0", "ü" * 8, None, "abcdefgh12")] == [None, None, None, "abcdefgh12"]
