"""One-time codes."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from starfish.protocol.problems import InvalidFields, NotFound
from starfish.router.actions.enrolment import make_code, revoke
from starfish.router.credentials import forget_sites
from starfish.router.models import AuditEvent, EnrolCode, Site, SiteToken
from tests.router.world import Http, World

TOKEN = "t" * 40
DAY = timedelta(days=1)


def enrol(world: World, code: str, changes: dict[str, Any] | None = None) -> Any:
    body = {"code": code, "uid": str(uuid.UUID(int=7)), "token": TOKEN}
    body.update(changes or {})
    return world.nobody.send("POST", "enrol/", body)


def test_a_code_becomes_a_site_whose_token_works(world: World) -> None:
    code = make_code("Hospital Ä", valid=DAY)
    answer = enrol(world, code, {"description": "north"})
    assert answer.status_code == 201
    site = answer.json()
    assert (site["name"], site["description"], site["uid"], site["status"]) == ("Hospital Ä", "north", str(uuid.UUID(int=7)), "Connected")
    seen = Http(authorization=f"Bearer {TOKEN}").get("sites/").json()["results"]
    assert seen == [site]
    assert site["id"] not in [it["id"] for it in world.member.http.get("sites/").json()["results"]]


def test_nothing_is_kept_in_the_clear(world: World) -> None:
    code = make_code("A", valid=DAY)
    enrol(world, code)
    assert EnrolCode.objects.get().sha256 != code
    assert TOKEN not in SiteToken.objects.latest("pk").sha256


def test_a_lost_answer_can_be_asked_again_within_the_hour(world: World) -> None:
    code = make_code("A", valid=DAY)
    first, again = enrol(world, code), enrol(world, code.lower().replace("-", " "))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    EnrolCode.objects.update(used_at=timezone.now() - timedelta(minutes=61))
    assert enrol(world, code).status_code == 403
    assert Site.objects.filter(name="A").count() == 1


@pytest.mark.parametrize("changes", [{"uid": str(uuid.UUID(int=8))}, {"token": "u" * 40}])
def test_a_used_code_is_nobody_elses(world: World, changes: dict[str, str]) -> None:
    code = make_code("A", valid=DAY)
    enrol(world, code)
    assert enrol(world, code, changes).status_code == 403


def test_what_is_refused(world: World) -> None:
    code, late = make_code("A", valid=DAY), make_code("B", valid=-DAY)
    for changes, status in (
        ({"code": "XXXXX-XXXXX-XXXXX-XXXXX"}, 403),
        ({"code": late}, 403),
        ({"token": "short"}, 400),
        ({"token": "with a space in it, which no header takes well"}, 400),
        ({"token": "ü" * 40}, 400),
        ({"uid": "x"}, 400),
        ({"uid": str(world.member.site.uid)}, 400),
        ({"code": None}, 400),
        ({"description": ["x"]}, 400),
    ):
        answer = enrol(world, code, changes)
        assert answer.status_code == status, (changes, answer.content)
        assert answer["Content-Type"] == "application/problem+json"
    assert not EnrolCode.objects.exclude(used_at=None).exists()
    assert enrol(world, code).status_code == 201


def test_a_code_is_not_made_for_a_name_that_is_taken_or_none(world: World) -> None:
    for name in ("member", "", " x", "a\nb", "n" * 101):
        with pytest.raises(InvalidFields):
            make_code(name, valid=DAY)


def test_a_name_taken_since_is_400_and_the_code_stays_good(world: World) -> None:
    code = make_code("A", valid=DAY)
    taken = Site.objects.create(name="A")
    assert enrol(world, code).status_code == 400
    taken.delete()
    assert enrol(world, code).status_code == 201


def test_a_revoked_token_is_refused_and_the_site_stays(world: World) -> None:
    with pytest.raises(NotFound, match="no site named 'member '"):
        revoke("member ")
    assert world.member.http.get("sites/").status_code == 200
    assert revoke("member") == 1
    forget_sites({world.member.site.pk})  # as every process does within five seconds
    assert world.member.http.get("sites/").status_code == 401
    assert revoke("member") == 0
    assert AuditEvent.objects.filter(action="site.revoke").count() == 2
