"""Cards and letters: kept in order, never changed, and shown to those whom they concern."""

import hashlib
import json
from typing import Any

import pytest

from starfish.protocol.run_state import RunStatus as S
from starfish.router.models import AuditEvent, Letter, Run, SiteCard
from tests.router.trust import AGE, Sealed, card, invite, put_letter
from tests.router.world import Member, World, expect, statuses


def post(member: Member, text: Any, **headers: str) -> Any:
    return member.http.send("POST", f"sites/{member.site.pk}/cards/", {"card": text}, **headers)


def test_cards_follow_one_another_and_stay(world: World) -> None:
    owner, first, second = world.owner, card(1), card(2, name="new")
    assert post(owner, second).status_code == 409
    posted = [post(owner, text) for text in (first, first, second, first, second)]
    assert [(it.status_code, it.json()["version"]) for it in posted] == [(201, 1), (200, 1), (201, 2), (200, 1), (200, 2)]
    for text, following in ((card(1, name="other"), 3), (card(2), 3), (card(4), 3)):
        refused = post(owner, text)
        assert (refused.status_code, refused.json()["next"]) == (409, following)
    for path in (f"sites/{owner.site.pk}/cards/", f"sites/cards/?uid={owner.site.uid}"):
        assert owner.http.get(path).json() == [first, second]
    assert world.member.http.get(f"sites/{world.member.site.pk}/cards/").json() == []
    assert AuditEvent.objects.filter(action="card.post").count() == 2
    keyed = [post(world.member, first, **{"idempotency-key": "k"}) for _ in range(2)]
    assert [it.status_code for it in keyed] == [201, 201]


def test_cards_are_seen_with_their_site_and_by_those_whom_it_invites(sealed: Sealed) -> None:
    world = sealed.world
    for member in (world.owner, world.member, world.outsider):
        assert post(member, card(1)).status_code == 201
    for member, seen in (
        (world.owner, expect(200, 200, 200, 200, 404)),
        (world.member, expect(200, 200, 200, 404, 404)),
        (world.outsider, expect(200, 404, 404, 404, 200)),
    ):
        for path in (f"sites/{member.site.pk}/cards/", f"sites/cards/?uid={member.site.uid}"):
            assert statuses(world, lambda http, path=path: http.get(path)) == seen
    cards, uid = f"sites/cards/?uid={world.owner.site.uid}", invite(world.owner, sealed.project.pk, "outsider").json()["id"]
    assert world.outsider.http.get(cards).json() == [card(1)]
    assert world.outsider.http.get(f"sites/{world.owner.site.pk}/").status_code == 404, "the cards, and nothing else of the site"
    world.owner.http.send("DELETE", f"invitations/{uid}/")
    assert world.outsider.http.get(cards).status_code == 404


def test_only_the_site_posts_its_cards(world: World) -> None:
    path = f"sites/{world.member.site.pk}/cards/"
    assert statuses(world, lambda http: http.send("POST", path, {"card": card(1)})) == expect(201, 403, 200, 404, 404)
    assert SiteCard.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *[
            (text, 400)
            for text in (None, "", 7, [], "one line", "starfish/card/1\n", "a\nnot json\nb", "a\n[1]\nb", "a\n{}\nb", "a\n\0\nb")
        ],
        *[(f'a\n{{"version": {version}}}\nb', 400) for version in ("0", "-1", "1.0", "true", "null", '"1"', "1e0", "NaN")],
        (f'a\n{{"version": {10**30}}}\nb', 409),
        ('a\n{"version": 1}', 201),
        (card(1, name="ä" * 600), 201),
        (card(1, name="n" * 4096), 400),
        ("a\n" + json.dumps({"version": 1}) + "\n" + "ä" * 2100, 413),
        ("a\n" + "[" * 4000, 400),
    ],
)
def test_cards_that_are_none(world: World, text: Any, status: int) -> None:
    assert post(world.owner, text).status_code == status
    assert SiteCard.objects.count() == (status == 201)


def test_malformed_addresses(world: World) -> None:
    http = world.owner.http
    for path, status in (
        ("sites/x/cards/", 400),
        (f"sites/{10**30}/cards/", 404),
        ("sites/cards/", 400),
        ("sites/cards/?uid=x", 400),
        ("projects/x/manifests/?site_uid=6ba7b810-9dad-11d1-80b4-00c04fd430c8", 400),
        (f"projects/{world.project.pk}/manifests/", 400),
        (f"projects/{world.project.pk}/manifests/?site_uid=x", 400),
        (f"projects/{10**30}/manifests/?site_uid={world.owner.site.uid}", 404),
        (f"projects/{world.project.pk}/manifests/0/{world.owner.site.uid}/", 400),
        (f"projects/{world.project.pk}/manifests/{2**31}/{world.owner.site.uid}/", 400),
        (f"projects/{world.project.pk}/manifests/1/x/", 400),
        (f"projects/{world.project.pk}/manifests/1/{world.owner.site.uid}/", 404),
    ):
        assert http.get(path).status_code == status, path
        if "manifests/" in path and "?" not in path and not path.endswith("manifests/") and status == 400:
            assert http.send("PUT", path, AGE, kind="application/octet-stream").status_code == 400
    for method, path in (("PUT", "sites/cards/"), ("DELETE", f"sites/{world.owner.site.pk}/cards/"), ("POST", "projects/1/manifests/")):
        assert http.send(method, path).status_code == 405


def test_letters_are_kept_for_their_readers(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    data = {1: AGE + b"\x00\xffone", 2: AGE + bytes(range(256)) * 100}
    for version, sent in data.items():
        for status in (201, 200):
            put = put_letter(world.owner, pk, version, world.member, sent)
            assert (put.status_code, put.json()) == (
                status,
                {"version": version, "size": len(sent), "sha256": hashlib.sha256(sent).hexdigest()},
            )
        assert put_letter(world.owner, pk, version, world.member, AGE + b"other").status_code == 409
    assert put_letter(world.owner, pk, 1, world.owner, AGE).status_code == 201
    listed = world.member.http.get(f"projects/{pk}/manifests/", site_uid=world.member.site.uid).json()
    assert [it["version"] for it in listed] == [1, 2]
    assert listed == world.owner.http.get(f"projects/{pk}/manifests/", site_uid=world.member.site.uid).json()
    for version, sent in data.items():
        for caller in (world.member, world.owner):
            told = caller.http.get(f"projects/{pk}/manifests/{version}/{world.member.site.uid}/")
            assert (told.content, told["Content-Type"]) == (sent, "application/octet-stream")
    assert AuditEvent.objects.filter(action="manifest.put").count() == 3


def test_a_participant_learns_of_nobody(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    uid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    for member in (world.owner, world.member):
        assert put_letter(world.owner, pk, 1, member).status_code == 201
    listing, letter = f"projects/{pk}/manifests/?site_uid=", f"projects/{pk}/manifests/1/"
    assert statuses(world, lambda http: http.get(f"{listing}{world.owner.site.uid}")) == expect(200, 200, 404, 404, 404)
    assert statuses(world, lambda http: http.get(f"{listing}{world.member.site.uid}")) == expect(200, 200, 200, 404, 404)
    assert statuses(world, lambda http: http.get(f"{letter}{world.owner.site.uid}/")) == expect(200, 200, 404, 404, 404)
    assert statuses(world, lambda http: http.get(f"{letter}{world.member.site.uid}/")) == expect(200, 200, 200, 404, 404)
    for method, path in (("GET", f"{listing}{{}}"), ("GET", f"{letter}{{}}/"), ("PUT", f"{letter}{{}}/")):
        answers = {
            world.member.http.send(method, path.format(one), AGE, kind="application/octet-stream").content
            for one in (uid, world.owner.site.uid, world.other.site.uid)
        }
        assert len(answers) == 1, "members, others and nobody are answered alike"


def test_letters_are_for_members_by_their_coordinator(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    assert put_letter(world.owner, pk, 1, world.other).status_code == 404
    assert put_letter(world.member, pk, 1, world.member).status_code == 403
    assert put_letter(world.other, pk, 1, world.other).status_code == 404
    assert put_letter(world.owner, world.project.pk, 1, world.member).status_code == 400
    assert not Letter.objects.exists()


def test_no_manifest_is_published_while_a_batch_is_active(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    assert put_letter(world.owner, pk, 1, world.member).status_code == 201
    sealed.open()
    assert put_letter(world.owner, pk, 1, world.member).status_code == 200
    refused = put_letter(world.owner, pk, 2, world.member)
    assert (refused.status_code, "active" in refused.json()["detail"]) == (409, True)
    Run.objects.update(status=S.SUCCESS)
    assert put_letter(world.owner, pk, 2, world.member).status_code == 201


def test_a_batch_that_failed_goes_on_under_its_own_manifest_or_not_at_all(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    assert put_letter(world.owner, pk, 1, world.member).status_code == 201
    run = sealed.open()[0]
    again = {"run": run.pk, "role": "coordinator", "action": "restart", "project": pk, "batch": 1}
    Run.objects.update(status=S.FAILED)
    assert world.owner.http.send("PUT", "runs-action/update/", again).status_code == 202
    Run.objects.update(status=S.FAILED)
    assert put_letter(world.owner, pk, 2, world.member).status_code == 201
    refused = world.owner.http.send("PUT", "runs-action/update/", again)
    assert (refused.status_code, "newer manifest" in refused.content.decode()) == (409, True)


def test_letters_that_are_none(sealed: Sealed) -> None:
    world, pk = sealed.world, sealed.project.pk
    for data, kind, status in (
        (b"", "application/octet-stream", 400),
        (b"open", "application/octet-stream", 400),
        (AGE, "application/json", 415),
        (AGE, "text/plain", 415),
        (AGE + b"x" * (4 << 20), "application/octet-stream", 413),
    ):
        assert put_letter(world.owner, pk, 1, world.member, data, kind).status_code == status
    assert put_letter(world.owner, pk, 1, world.member, AGE + b"x" * ((4 << 20) - len(AGE))).status_code == 201
