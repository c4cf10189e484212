"""Who did what, what was refused, and who was shown how much: in the database, and as an operator reads it."""

import json
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from typer.testing import CliRunner

from starfish.cli.router import app
from starfish.cli.session import WrongUsage
from starfish.cli.trail import moment
from starfish.protocol.problems import NotFound
from starfish.router import trail
from starfish.router.actions import reads
from starfish.router.actions.enrolment import revoke
from starfish.router.models import AuditEvent, ReadCount
from tests.router.world import Http, World
from tests.support.servers import ADMIN, Server

ALL: dict[str, Any] = {"since": None, "account": None, "refused": False, "last": 100}


def counted(world: World) -> dict[tuple[str, str], int]:
    reads.flush()
    return {
        (row["sites"][0] if row["sites"] else row["account"], row["kind"]): row["count"]
        for row in trail.reads(since=None, account=None, last=99)
    }


def test_events_are_the_newest_with_the_newest_last(world: World) -> None:
    revoke("other")
    world.member.http.send("POST", "runs", {"project": world.project.pk})
    rows = trail.events(**ALL)
    assert [row["action"] for row in rows[-2:]] == ["site.revoke", "POST RunsWithoutSlash"]
    assert rows[-2]["account"] is None
    assert (rows[-1]["account"], rows[-1]["sites"], rows[-1]["refused"]) == ("account-of-member", ["member"], True)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert trail.events(**ALL | {"last": 2}) == rows[-2:]
    assert trail.events(**ALL | {"refused": True}) == rows[-1:]


def test_events_of_an_account_or_of_a_site_by_its_name(world: World) -> None:
    assert {row["account"] for row in trail.events(**ALL | {"account": "member"})} == {"account-of-member"}
    assert trail.events(**ALL | {"account": "member"}) == trail.events(**ALL | {"account": "account-of-member"}) != []
    with pytest.raises(NotFound, match="no account and no site named 'nobody'"):
        trail.events(**ALL | {"account": "nobody"})


def test_events_since_a_moment(world: World) -> None:
    AuditEvent.objects.update(at=timezone.now() - timedelta(days=2))
    revoke("other")
    assert [row["action"] for row in trail.events(**ALL | {"since": timezone.now() - timedelta(days=1)})] == ["site.revoke"]


def test_a_refusal_in_a_browser_names_its_account(world: World) -> None:
    browser = Client()
    assert world.member.site.owner is not None
    browser.force_login(world.member.site.owner)
    assert browser.get("/starfish/api/v1/users/").status_code == 403
    assert trail.events(**ALL | {"refused": True})[-1]["account"] == "account-of-member"


def test_a_wrong_password_is_written_down_and_what_is_no_account_is_not_repeated(world: World) -> None:
    for login in (f"{ADMIN[0]}:wrong", "my secret password:"):
        AuditEvent.objects.all().delete()
        wrong = Http(authorization="Basic " + b64encode(login.encode()).decode())
        assert [wrong.get("sites/").status_code for _ in range(3)] == [401] * 3
        [row] = trail.events(**ALL | {"refused": True})
        assert (row["action"], row["account"]) == ("login", None)
        assert row["subject"] == ("account admin, from 127.0.0.1" if ADMIN[0] in login else "no account of this name, from 127.0.0.1")


def test_permitted_reads_are_counted_by_account_kind_and_hour(world: World) -> None:
    runs = world.open()
    for _ in range(3):
        world.member.http.get("runs/")
    world.member.http.get("runs/active/")
    world.member.http.get(f"runs/{runs[1].pk}/")
    world.member.http.get(f"runs/{runs[1].pk}/lines/")
    world.member.http.send("HEAD", "sites/")
    world.admin.get("sites/lookup/", uid=world.other.site.uid)
    assert not ReadCount.objects.exists(), "a request writes nothing"
    assert counted(world) == {
        ("member", "run.list"): 3,
        ("member", "run.active"): 1,
        ("member", "run.retrieve"): 1,
        ("member", "run.lines"): 1,
        ("member", "site.list"): 1,
        ("admin", "site.lookup"): 1,
    }
    world.member.http.get("runs/")
    assert counted(world)["member", "run.list"] == 4
    assert {row.hour for row in ReadCount.objects.all()} <= {_hour(timezone.now()), _hour(timezone.now() - timedelta(minutes=5))}


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def test_what_was_refused_or_written_is_no_read(world: World) -> None:
    runs = world.open()
    for path in (f"runs/{runs[0].pk}/", "users/", f"runs/{runs[0].pk}/lines/", f"runs/active/?site_uid={world.other.site.uid}"):
        assert world.member.http.get(path).status_code in (403, 404)
    world.member.http.step(runs[1].pk, 2, [3])
    world.nobody.get("sites/")
    world.nobody.get("/healthz")
    assert counted(world) == {}


def test_each_hour_has_its_row_and_old_ones_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = world.member.site.owner
    assert owner is not None
    now = time.time()
    for hours in (100 * 24, 2, 2, 0):
        monkeypatch.setattr(time, "time", lambda hours=hours: now - 3600 * hours)
        reads.count(owner.pk, "run.list")
    reads.flush()
    assert [row["count"] for row in trail.reads(since=None, account="member", last=9)] == [2, 1]
    assert [row["count"] for row in trail.reads(since=timezone.now() - timedelta(minutes=1), account=None, last=9)] == [1]


def test_what_could_not_be_written_is_written_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.member.http.get("runs/")

    def away(*_: object) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(reads, "_write", away)
        with pytest.raises(DatabaseError):
            reads.flush()
    world.member.http.get("runs/")
    assert counted(world) == {("member", "run.list"): 2}


def test_an_account_that_is_gone_takes_its_counts_along_and_nobody_elses(world: World) -> None:
    world.other.http.get("runs/")
    world.member.http.get("runs/")
    assert world.member.site.owner is not None
    world.member.site.owner.delete()
    assert counted(world) == {("other", "run.list"): 1}


def test_counting_asks_the_database_nothing(world: World, django_assert_num_queries: Callable[..., Any]) -> None:
    with django_assert_num_queries(0):
        for _ in range(1000):
            reads.count(1, "run.list")
    assert connection.vendor in ("sqlite", "postgresql")


@pytest.mark.parametrize(
    ("text", "ago"), [("7d", timedelta(days=7)), ("12h", timedelta(hours=12)), ("30m", timedelta(minutes=30)), ("0d", timedelta())]
)
def test_since_so_long_ago(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - moment(text)) < timedelta(seconds=5)


def test_since_a_date() -> None:
    assert moment("2026-11-24") == datetime(2026, 11, 24, tzinfo=UTC)
    assert moment("2026-11-24T10:30") == datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
    assert moment("2026-11-24T10:30+01:00") == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "d", "-1d", "99999999999d", "2026-13-01", "٣d"])
def test_since_what_is_no_time(text: str) -> None:
    with pytest.raises(WrongUsage, match="7d, 12h or 30m"):
        moment(text)


def test_the_command_as_an_operator_types_it(serve: Callable[..., Server]) -> None:
    """A server's counts are there once it has stopped."""
    server = serve("serve")
    login = {"Authorization": "Basic " + b64encode(":".join(ADMIN).encode()).decode()}
    for _ in range(2):
        urllib.request.urlopen(urllib.request.Request(f"{server.api}sites/", headers=login), timeout=10).close()
    server.starfish("router", "enrol-code", "--name", "Hospital A")
    server.stop()
    [row] = json.loads(server.starfish("router", "audit", "--reads", "--json"))
    assert (row["account"], row["kind"], row["count"]) == (ADMIN[0], "site.list", 2)
    shown = server.starfish("router", "audit", "--reads")
    assert ADMIN[0] in shown
    assert "site.list" in shown
    assert "code.create" in server.starfish("router", "audit", "--since", "1h")
    assert server.starfish("router", "audit", "--refused").strip() == "Nothing of this kind was recorded."


def test_wrong_usage() -> None:
    for words in (["--refused", "--reads"], ["--since", "soon"], ["--last", "0"]):
        assert CliRunner().invoke(app, ["audit", *words]).exit_code == 2, words
