"""Passwords and tokens."""

from base64 import b64encode
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User

from starfish.router import credentials
from tests.router.world import ADMIN, Http, World


def basic(username: str, password: str) -> Http:
    return Http(authorization="Basic " + b64encode(f"{username}:{password}".encode()).decode())


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each password that is hashed."""
    entries: list[str] = []
    genuine = MD5PasswordHasher.encode

    def counted(self: Any, password: str, salt: str) -> str:
        entries.append(password)
        return genuine(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return entries


def test_a_password_is_hashed_once_not_at_every_poll(world: World, hashed: list[str]) -> None:
    hashed.clear()
    assert [world.admin.get("runs/active/").status_code for _ in range(5)] == [200] * 5
    assert hashed.count(ADMIN[1]) <= 1


def test_a_changed_password_ends_at_once(world: World) -> None:
    assert world.admin.get("sites/").status_code == 200
    user = User.objects.get(username=ADMIN[0])
    user.set_password("another")
    user.save()
    assert world.admin.get("sites/").status_code == 401
    assert basic(ADMIN[0], "another").get("sites/").status_code == 200


def test_a_deactivated_or_demoted_account_ends_at_once(world: World) -> None:
    assert world.admin.get("users/").status_code == 200
    User.objects.filter(username=ADMIN[0]).update(is_superuser=False)
    assert world.admin.get("users/").status_code == 403
    User.objects.filter(username=ADMIN[0]).update(is_active=False)
    assert world.admin.get("sites/").status_code == 401


def test_basic_and_token_are_the_same_site(world: World) -> None:
    owner = world.member.site.owner
    assert owner is not None
    owner.set_password("the member's")
    owner.save()
    by_password = basic(owner.username, "the member's")
    assert by_password.get("sites/").json() == world.member.http.get("sites/").json()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic /w==",
        "Basic eA==",
        "Bearer",
        "Bearer x",
        "Digest x",
        "Basic " + b64encode(b"a\0b:c").decode(),
        "Bearer \0",
    ],
)
def test_what_proves_nothing(world: World, header: str) -> None:
    for path in ("sites/", "/metrics", "runs/1/step/"):
        answer = Http(authorization=header).send("POST" if "step" in path else "GET", path)
        assert answer.status_code == 401
        assert "Basic" in answer["WWW-Authenticate"]


def test_a_browser_logs_in_and_sees_the_browsable_api(world: World) -> None:
    from django.test import Client

    browser = Client()
    browser.login(username=ADMIN[0], password=ADMIN[1])
    account = User.objects.get(username=ADMIN[0]).pk
    for path in ("", "sites/", f"sites/{world.owner.site.pk}/", "projects/", "runs/", "users/", f"users/{account}/"):
        answer = browser.get(f"/starfish/api/v1/{path}", headers={"accept": "text/html"})
        assert answer.status_code == 200, path
        assert b"<html" in answer.content
    assert browser.get("/static/rest_framework/css/bootstrap.min.css").status_code == 200
    assert Client(enforce_csrf_checks=True).post("/starfish/api-auth/login/", {"username": "x"}).status_code == 403


def test_a_session_cannot_be_ridden(world: World) -> None:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.login(username=ADMIN[0], password=ADMIN[1])
    run = world.open()[0]
    for path in ("runs", f"runs/{run.pk}/step/"):
        answer = browser.post(f"/starfish/api/v1/{path}", {"project": world.project.pk}, content_type="application/json")
        assert answer.status_code in (401, 403)


def test_guessing_is_slow_and_locks_nobody_out_who_is_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_failures", credentials._Failures())
    assert world.admin.get("sites/").status_code == 200
    guesses = [basic(ADMIN[0], f"guess {n}").get("sites/").status_code for n in range(credentials.FAILURES + 2)]
    assert guesses == [401] * credentials.FAILURES + [429] * 2
    assert basic(ADMIN[0], "guess").send("POST", "runs/1/step/").status_code == 429
    assert world.admin.get("sites/").status_code == 200
    assert basic("somebody else", "x").get("sites/").status_code == 401
    monkeypatch.setattr(credentials, "WITHIN_S", 0.0)
    assert basic(ADMIN[0], "guess").get("sites/").status_code == 401, "after a while it may be tried again"
