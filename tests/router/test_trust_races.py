"""Eight identical requests at once leave one row, and none of them fails. On SQLite and on PostgreSQL."""

import pytest

from starfish.router.models import Batch, Invitation, Letter, ProjectParticipant, SiteCard
from tests.router.test_races import at_once
from tests.router.trust import AGE, Sealed, answer, ask, card, hex_id, invite, joined, later, put_letter, sealed_project, start

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_card(sealed: Sealed) -> None:
    owner = sealed.world.owner
    path, body = f"sites/{owner.site.pk}/cards/", {"card": card(1)}
    answers = at_once(*[lambda: owner.http.send("POST", path, body)] * 8)
    assert sorted(it.status_code for it in answers) == [200] * 7 + [201]
    assert SiteCard.objects.count() == 1
    others = at_once(*[lambda n=n: owner.http.send("POST", path, {"card": card(2, name=f"{n}")}) for n in range(8)])
    assert sorted(it.status_code for it in others) == [201] + [409] * 7
    assert SiteCard.objects.count() == 2


def test_one_invitation(sealed: Sealed) -> None:
    owner, uid, expires = sealed.world.owner, hex_id(), later()
    answers = at_once(*[lambda: invite(owner, sealed.project.pk, "other", id=uid, expires=expires)] * 8)
    assert sorted(it.status_code for it in answers) == [200] * 7 + [201]
    assert Invitation.objects.filter(uid=uid).count() == 1


def test_one_id_of_two_projects_is_one_invitation(sealed: Sealed) -> None:
    world, uid, expires = sealed.world, hex_id(), later()
    foreign = sealed_project(world.outsider, "another").json()["id"]
    chosen = [(world.owner, sealed.project.pk), (world.outsider, foreign)] * 4
    answers = at_once(*[lambda by=by, pk=pk: invite(by, pk, "other", id=uid, expires=expires) for by, pk in chosen])
    assert sorted(it.status_code for it in answers) == [200] * 3 + [201] + [409] * 4
    assert Invitation.objects.filter(uid=uid).count() == 1


def test_one_request_and_one_answer(sealed: Sealed) -> None:
    world = sealed.world
    uid = invite(world.owner, sealed.project.pk, "other").json()["id"]
    asked = at_once(*[lambda: ask(world.other, uid)] * 8)
    assert [it.status_code for it in asked] == [200] * 8
    answered = at_once(*[lambda: answer(world.owner, uid)] * 8)
    assert [it.status_code for it in answered] == [200] * 8
    assert ProjectParticipant.objects.filter(project=sealed.project, site=world.other.site).count() == 1


def test_an_approval_racing_a_withdrawal_is_one_of_them(sealed: Sealed) -> None:
    world = sealed.world
    uid = invite(world.owner, sealed.project.pk, "other").json()["id"]
    ask(world.other, uid)
    approved, withdrawn = at_once(lambda: answer(world.owner, uid), lambda: world.owner.http.send("DELETE", f"invitations/{uid}/"))
    assert (approved.status_code, withdrawn.status_code) in ((200, 204), (409, 204))
    in_project = ProjectParticipant.objects.filter(project=sealed.project, site=world.other.site).exists()
    assert (in_project, Invitation.objects.get(uid=uid).state) == (
        (True, "approved") if approved.status_code == 200 else (False, "withdrawn")
    )


def test_one_letter(sealed: Sealed) -> None:
    owner, member = sealed.world.owner, sealed.world.member
    answers = at_once(*[lambda: put_letter(owner, sealed.project.pk, 1, member)] * 8)
    assert sorted(it.status_code for it in answers) == [200] * 7 + [201]
    others = at_once(*[lambda n=n: put_letter(owner, sealed.project.pk, 2, member, AGE + b"%d" % n) for n in range(8)])
    assert sorted(it.status_code for it in others) == [201] + [409] * 7
    assert Letter.objects.count() == 2


def test_one_batch(sealed: Sealed) -> None:
    owner = sealed.world.owner
    answers = at_once(*[lambda: start(owner, sealed.project.pk)] * 8)
    assert [it.status_code for it in answers] == [201] * 8
    assert Batch.objects.count() == 1


def test_a_letter_racing_a_start_is_before_it_or_refused(sealed: Sealed) -> None:
    owner, member = sealed.world.owner, sealed.world.member
    put, begun = at_once(lambda: put_letter(owner, sealed.project.pk, 1, member), lambda: start(owner, sealed.project.pk))
    assert (put.status_code in (201, 409), begun.status_code) == (True, 201)
    assert Letter.objects.exists() == (put.status_code == 201)


def test_a_join_racing_a_start_is_in_the_batch_or_in_the_next(sealed: Sealed) -> None:
    world = sealed.world
    _, begun = at_once(lambda: joined(world.owner, sealed.project.pk, world.other), lambda: start(world.owner, sealed.project.pk))
    assert begun.status_code == 201
    assert ProjectParticipant.objects.filter(project=sealed.project).count() == 3
    assert Batch.objects.get().runs.count() in (2, 3)
