"""Invitations: made by the coordinator, seen by the invited site and nobody else, answered once."""

from typing import Any

import pytest
from django.utils import timezone

from starfish.router.models import AuditEvent, IdempotencyRecord, Invitation, ProjectParticipant, Site
from tests.router.trust import Sealed, answer, ask, card, hex_id, invite, joined, later
from tests.router.world import Member, expect, statuses

KEYS = {"id", "project", "coordinator", "site", "state", "expires", "request", "answer", "cards"}


def shown(member: Member, uid: str) -> Any:
    return member.http.get(f"invitations/{uid}/").json()


def invited(sealed: Sealed, **more: Any) -> str:
    """The id of one for `other`."""
    made = invite(sealed.world.owner, sealed.project.pk, "other", **more)
    assert made.status_code == 201, made.content
    uid: str = made.json()["id"]
    return uid


def members(sealed: Sealed) -> set[str]:
    return {it.site.name for it in ProjectParticipant.objects.filter(project=sealed.project)}


def test_an_invitation_from_its_making_to_the_membership(sealed: Sealed) -> None:
    world = sealed.world
    world.owner.http.send("POST", f"sites/{world.owner.site.pk}/cards/", {"card": card(1)})
    uid = invited(sealed)
    open_one = shown(world.other, uid)
    assert open_one.keys() == KEYS
    assert open_one | {"expires": ""} == {
        "id": uid,
        "project": {"id": sealed.project.pk, "name": "sealed", "uid": sealed.project.uid},
        "coordinator": {"id": world.owner.site.pk, "uid": str(world.owner.site.uid), "name": "owner"},
        "site": "other",
        "state": "open",
        "expires": "",
        "request": None,
        "answer": None,
        "cards": [card(1)],
    }
    assert ask(world.other, uid, "first").status_code == 200
    assert ask(world.other, uid, "second").status_code == 200
    assert shown(world.owner, uid) == open_one | {"state": "asked", "request": "second"}
    assert world.other.http.get(f"projects/{sealed.project.pk}/").status_code == 404
    assert answer(world.owner, uid, text="welcome").status_code == 200
    assert shown(world.other, uid) == open_one | {"state": "approved", "request": "second", "answer": "welcome"}
    assert world.other.http.get(f"projects/{sealed.project.pk}/").json()["uid"] == sealed.project.uid
    assert members(sealed) == {"owner", "member", "other"}
    assert ProjectParticipant.objects.get(project=sealed.project, site=world.other.site).role == "PA"
    done = [event.action for event in AuditEvent.objects.order_by("id")]
    assert done[-4:] == ["invitation.create", "invitation.request", "invitation.request", "invitation.approved"]


def test_only_the_two_see_it(sealed: Sealed) -> None:
    uid = invited(sealed)
    assert statuses(sealed.world, lambda http: http.get(f"invitations/{uid}/")) == expect(200, 200, 404, 200, 404)
    listed = f"invitations/lookup/?project={sealed.project.pk}"
    assert statuses(sealed.world, lambda http: http.get(listed)) == expect(200, 200, 403, 404, 404)
    rows = sealed.world.owner.http.get(listed).json()
    assert [it["id"] for it in rows] == [sealed.invitation, uid]
    assert {*rows[0]} == KEYS - {"cards"}
    assert sealed.world.owner.http.get("invitations/lookup/", project=sealed.world.project.pk).json() == []


def test_only_the_coordinator_makes_answers_and_withdraws(sealed: Sealed) -> None:
    world, uid = sealed.world, invited(sealed)
    ask(world.other, uid)

    def make(http: Any) -> Any:
        return http.send("POST", "invitations/", {"project": sealed.project.pk, "id": hex_id(), "site": "outsider", "expires": later()})

    def refuse(http: Any) -> Any:
        return http.send("PUT", f"invitations/{uid}/answer/", {"approved": False, "answer": ""})

    assert statuses(world, make) == expect(201, 201, 403, 404, 404)
    for ask_for, seen in ((refuse, (404, 403, 404)), (lambda http: http.send("DELETE", f"invitations/{uid}/"), (404, 403, 404))):
        answers = [ask_for(it.http).status_code for it in (world.member, world.other, world.outsider)]
        assert answers == [*seen]
    assert shown(world.owner, uid)["state"] == "asked"
    assert answer(world.owner, uid, approved=False, text="").status_code == 200
    assert members(sealed) == {"owner", "member"}


def test_only_the_invited_site_asks(sealed: Sealed) -> None:
    world, uid = sealed.world, invited(sealed)
    for caller, site, status in (
        (world.owner, world.owner, 403),
        (world.member, world.member, 404),
        (world.outsider, world.outsider, 404),
        (world.other, world.owner, 403),
        (world.other, world.other, 200),
    ):
        assert ask(caller, uid, site=site.site.pk).status_code == status
    assert world.admin.send("PUT", f"invitations/{uid}/request/", {"site": world.other.site.pk, "request": "x"}).status_code == 200
    assert world.admin.send("PUT", f"invitations/{uid}/request/", {"site": world.member.site.pk, "request": "x"}).status_code == 403


def test_repeats_change_nothing_and_what_is_over_stays(sealed: Sealed) -> None:
    world, uid = sealed.world, invited(sealed)
    assert answer(world.owner, uid).status_code == 409, "nobody has asked"
    for _ in range(2):
        assert ask(world.other, uid).status_code == 200
    for _ in range(2):
        assert answer(world.owner, uid).status_code == 200
    assert ask(world.other, uid).status_code == 200
    for late in (ask(world.other, uid, "another"), answer(world.owner, uid, text="another"), answer(world.owner, uid, approved=False)):
        assert (late.status_code, late.json()["state"]) == (409, "approved")
    assert world.owner.http.send("DELETE", f"invitations/{uid}/").status_code == 204
    assert shown(world.owner, uid)["state"] == "approved"
    membership = ProjectParticipant.objects.get(project=sealed.project, site=world.other.site)
    assert world.other.http.send("DELETE", f"project-participants/{membership.pk}/").status_code == 204
    assert answer(world.owner, uid).status_code == 200
    assert members(sealed) == {"owner", "member"}, "a repeat brings nobody back who has left"
    joined(world.owner, sealed.project.pk, world.other)
    assert members(sealed) == {"owner", "member", "other"}


@pytest.mark.parametrize("asked", [False, True])
def test_a_withdrawn_invitation_is_over(sealed: Sealed, asked: bool) -> None:
    world, uid = sealed.world, invited(sealed)
    if asked:
        ask(world.other, uid)
    for _ in range(2):
        assert world.owner.http.send("DELETE", f"invitations/{uid}/").status_code == 204
    assert shown(world.other, uid)["state"] == "withdrawn"
    assert (ask(world.other, uid, "late").status_code, answer(world.owner, uid).status_code) == (409, 409)
    assert members(sealed) == {"owner", "member"}


def test_time_ends_an_open_invitation_and_a_request_that_came_in_time_can_be_answered(sealed: Sealed) -> None:
    world, late, early = sealed.world, invited(sealed), invited(sealed)
    ask(world.other, early)
    Invitation.objects.filter(project=sealed.project).update(expires_at=timezone.now())
    assert shown(world.other, late)["state"] == "expired"
    refused = ask(world.other, late)
    assert (refused.status_code, refused.json()["state"]) == (409, "expired")
    assert ask(world.other, early, "another").status_code == 409
    assert answer(world.owner, early).status_code == 200
    assert members(sealed) == {"owner", "member", "other"}


def test_the_same_invitation_again_is_one(sealed: Sealed) -> None:
    owner = sealed.world.owner
    body = {"project": sealed.project.pk, "id": hex_id(), "site": "other", "expires": later()}
    answers = [owner.http.send("POST", "invitations/", body) for _ in range(2)]
    assert [it.status_code for it in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    for changed in ({"site": "another"}, {"expires": later(days=9)}):
        assert owner.http.send("POST", "invitations/", body | changed).status_code == 409
    keyed = [owner.http.send("POST", "invitations/", body | {"id": "0" * 32}, **{"idempotency-key": "k"}) for _ in range(2)]
    assert [it.status_code for it in keyed] == [201, 201]
    assert IdempotencyRecord.objects.count() == 1


def test_invitations_that_are_pointless(sealed: Sealed) -> None:
    owner, project = sealed.world.owner, sealed.project.pk
    for more, status, words in (
        ({"site": "owner"}, 400, "own site"),
        ({"site": "member"}, 409, "in the project already"),
        ({"expires": later(days=-1)}, 400, "not in the future"),
        ({"project": sealed.world.project.pk}, 400, "by name"),
        ({"project": 10**9}, 404, "Project not found"),
    ):
        refused = owner.http.send("POST", "invitations/", {"project": project, "id": hex_id(), "site": "new", "expires": later(), **more})
        assert (refused.status_code, words in refused.json()["detail"]) == (status, True), refused.content
    assert invite(owner, project, "not enrolled yet").status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("id", value) for value in (None, "", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n", 7, ["a" * 32], "\0" * 32)],
        *[
            ("expires", value)
            for value in (None, "", "soon", 7, "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", [], {})
        ],
        *[("site", value) for value in (None, "", " ", 7, "s" * 101, "a\0", [])],
        *[("project", value) for value in (None, "x", -1, 0, 1.5, 2**63, True, [])],
    ],
)
def test_malformed_invitations(sealed: Sealed, field: str, value: Any) -> None:
    body = {"project": sealed.project.pk, "id": hex_id(), "site": "new", "expires": later()} | {field: value}
    refused = sealed.world.owner.http.send("POST", "invitations/", body)
    assert refused.status_code == 400, refused.content
    assert Invitation.objects.count() == 1


def test_malformed_requests_and_answers(sealed: Sealed) -> None:
    world, uid = sealed.world, invited(sealed)
    for path, body in (
        *[("request", {"site": world.other.site.pk, "request": text}) for text in (None, "", 7, "x" * 16_385, "a\0", [])],
        *[("request", {"site": site, "request": "x"}) for site in (None, "x", -1, 2**63)],
        *[("answer", {"approved": value, "answer": "x"}) for value in (None, "perhaps", [], 7)],
        *[("answer", {"approved": True, "answer": value}) for value in (None, 7, "x" * 4097, [])],
        ("answer", []),
        ("request", b"{"),
    ):
        assert world.admin.send("PUT", f"invitations/{uid}/{path}/", body).status_code == 400, body
    for bad in ("x", "A" * 32, "a" * 31, "%00"):
        for method, tail in (("GET", ""), ("DELETE", ""), ("PUT", "request/"), ("PUT", "answer/")):
            assert (
                world.admin.send(
                    method, f"invitations/{bad}/{tail}", {"approved": True, "answer": "", "site": 1, "request": "x"}
                ).status_code
                == 400
            )
    assert world.admin.get(f"invitations/{'0' * 32}/").status_code == 404
    assert world.admin.get("invitations/lookup/").status_code == 400
    assert shown(world.owner, uid)["state"] == "open"


def test_an_asker_that_was_deleted_is_nobody(sealed: Sealed) -> None:
    world, uid = sealed.world, invited(sealed)
    ask(world.other, uid)
    Site.objects.filter(pk=world.other.site.pk).update(name="renamed")
    assert world.other.http.get(f"invitations/{uid}/").status_code == 404
    ProjectParticipant.objects.filter(site=world.other.site).delete()
    assert world.other.http.send("DELETE", f"sites/{world.other.site.pk}/").status_code == 204
    assert answer(world.owner, uid).status_code == 409
    assert members(sealed) == {"owner", "member"}
