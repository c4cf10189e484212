"""A token is renewed by its site, without a break, and whatever answer is lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from starfish.protocol.problems import Conflict, NotFound
from starfish.router.actions.enrolment import revoke
from starfish.router.actions.tokens import OVERLAP, extend
from starfish.router.credentials import token_digest
from starfish.router.models import AuditEvent, SiteToken
from tests.router.world import Http, Member, World

NEW, NEWER = "n" * 40, "m" * 40
DAY = timedelta(days=1)


def bearer(token: str) -> Http:
    return Http(authorization=f"Bearer {token}")


def renew(http: Http, token: str = NEW) -> Any:
    return http.send("POST", "sites/token/", {"token": token})


def good(http: Http) -> bool:
    status: int = http.get("sites/token/").status_code
    assert status in (200, 401)
    return status == 200


def audited(member: Member) -> list[str]:
    return list(AuditEvent.objects.filter(subject=f"site {member.site.pk}", action__startswith="token").values_list("action", flat=True))


def test_both_are_good_until_the_new_one_has_been_used(world: World) -> None:
    old, new = world.member.http, bearer(NEW)
    assert renew(old).status_code == 200
    assert good(old)
    assert good(old), "an answer that was lost ends nothing"
    assert new.get("sites/").json()["count"] == 2
    assert not good(old)
    assert good(new)
    assert audited(world.member) == ["token.renew", "token.replace"]


def test_the_answer_says_how_long_it_is_good(world: World, settings: Any) -> None:
    settings.TOKEN_DAYS = 30
    before = world.member.http.get("sites/token/").json()
    assert 0 < before["seconds_left"] <= 86400
    after = renew(world.member.http).json()
    assert after == bearer(NEW).get("sites/token/").json() | {"seconds_left": after["seconds_left"]}
    assert 29.99 * 86400 < after["seconds_left"] <= 30 * 86400


def test_the_same_new_token_again_changes_nothing(world: World) -> None:
    first, again = renew(world.member.http), renew(world.member.http)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["expires_at"] == again.json()["expires_at"]
    itself = renew(bearer(NEW))
    assert itself.json()["expires_at"] == first.json()["expires_at"]
    assert audited(world.member) == ["token.renew", "token.replace"]
    assert SiteToken.objects.filter(site=world.member.site, revoked_at=None).count() == 1


def test_another_new_token_takes_the_place_of_one_that_was_never_used(world: World) -> None:
    assert renew(world.member.http).status_code == renew(world.member.http, NEWER).status_code == 200
    assert not good(bearer(NEW))
    assert good(bearer(NEWER))
    assert not good(world.member.http)


def test_what_was_used_cannot_be_replaced_by_what_it_replaced(world: World) -> None:
    renew(world.member.http)
    assert good(bearer(NEW))
    assert renew(world.member.http, NEWER).status_code == 401
    assert not good(bearer(NEWER))
    assert good(bearer(NEW))


def test_the_old_one_ends_though_the_new_one_is_never_used(world: World) -> None:
    SiteToken.objects.filter(site=world.member.site).update(expires_at=timezone.now() + 300 * DAY)
    renew(world.member.http)
    old = SiteToken.objects.get(site=world.member.site, replaces=None)
    assert abs(old.expires_at - timezone.now() - OVERLAP) < timedelta(minutes=1)
    SiteToken.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert not good(world.member.http)
    assert good(bearer(NEW)), "it is on the site's disk, and proves the site"


def test_nobody_takes_anothers_token_or_an_old_one(world: World) -> None:
    renew(world.member.http)
    for http, token in ((world.other.http, NEW), (world.other.http, world.member.http.authorization.split()[1])):  # type: ignore[union-attr]
        answer = renew(http, token)
        assert answer.status_code == 400
        assert answer.json() == {"token": ["Make a new token for each renewal."]}
    assert good(bearer(NEW))
    assert not good(world.member.http)
    assert renew(bearer(NEW), world.member.http.authorization.split()[1]).status_code == 400  # type: ignore[union-attr]


@pytest.mark.parametrize("token", ["short", "with a space, which no header takes well, ever", "ü" * 40, 7, None, "n" * 257])
def test_a_token_that_is_none(world: World, token: Any) -> None:
    assert renew(world.member.http, token).status_code == 400
    assert good(world.member.http)


def test_a_password_is_no_token(world: World) -> None:
    for answer in (world.admin.get("sites/token/"), renew(world.admin)):
        assert answer.status_code == 404
        assert answer.json() == "This request came without a site's token."
    assert renew(world.nobody).status_code == 401


def test_an_expired_token_says_what_to_do_and_an_operator_does_it(world: World) -> None:
    SiteToken.objects.filter(site=world.member.site).update(expires_at="2020-02-03T00:00Z")
    for answer in (world.member.http.get("sites/"), world.member.http.step(1, 2, [3]), renew(world.member.http)):
        assert answer.status_code == 401
        assert "expired on 2020-02-03" in answer.content.decode()
        assert "starfish router extend" in answer.content.decode()
    ends = extend("member", valid=7 * DAY)
    assert abs(ends - timezone.now() - 7 * DAY) < timedelta(minutes=1)
    assert renew(world.member.http).status_code == 200
    assert audited(world.member) == ["token.extend", "token.renew"]


def test_an_extension_shortens_nothing_and_wakes_no_revoked_token(world: World) -> None:
    SiteToken.objects.filter(site=world.member.site).update(expires_at=timezone.now() + 30 * DAY)
    assert extend("member", valid=DAY) > timezone.now() + 29 * DAY
    revoke("member")
    with pytest.raises(Conflict, match="all were revoked"):
        extend("member", valid=DAY)
    with pytest.raises(NotFound, match="no site named"):
        extend("nobody", valid=DAY)


@pytest.mark.parametrize("first", [lambda world: None, lambda world: renew(world.member.http)])
def test_a_revocation_ends_them_all(world: World, first: Callable[[World], Any]) -> None:
    SiteToken.objects.create(
        site=world.member.site, sha256=token_digest(NEWER), expires_at=timezone.now() - DAY, created_at=timezone.now() + DAY
    )
    first(world)
    revoke("member")
    assert not any(good(http) for http in (world.member.http, bearer(NEW), bearer(NEWER)))
    with pytest.raises(Conflict):
        extend("member", valid=DAY)
