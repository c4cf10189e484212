"""Names that nobody could read are refused, and a password leaves no trace that could be guessed at."""

import hashlib
import json
import uuid
from base64 import b64encode
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from starfish.router.models import IdempotencyRecord, Invitation, Site
from tests.router.world import Http, World

NAMES = ["a\nb", "a\tb", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb", "a\u200bb", "a\ufeffb"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sites_name_is_printable(world: World, name: str) -> None:
    body = {"uid": str(uuid.uuid4()), "name": name, "description": "lines\nmay\nstand here"}
    for method, path, caller in (
        ("POST", "sites/", world.admin),
        ("PUT", f"sites/{world.member.site.pk}/", world.admin),
        ("PATCH", f"sites/{world.member.site.pk}/", world.member.http),
    ):
        sent = body if method == "POST" else body | {"uid": str(world.member.site.uid)}
        answer = caller.send(method, path, sent)
        assert answer.status_code == 400, (method, answer.content)
        assert list(answer.json()) == ["name"]
        assert "printable" in answer.json()["name"][0]
    assert Site.objects.count() == 4


def test_a_name_of_earlier_times_stays_readable_and_may_be_sent_back(world: World) -> None:
    path = f"sites/{world.member.site.pk}/"
    Site.objects.filter(pk=world.member.site.pk).update(name="a\tb")
    seen = world.member.http.get(path).json()
    assert seen["name"] == "a\tb"
    assert world.member.http.send("PUT", path, seen | {"description": "new"}).json()["description"] == "new"
    assert world.member.http.send("PATCH", path, {"name": "a\nb"}).status_code == 400
    assert world.member.http.send("PATCH", path, {"name": "Hôpital Ä 病院"}).json()["name"] == "Hôpital Ä 病院"


def test_nobody_takes_the_name_of_a_site_that_is_invited(world: World) -> None:
    """An invitation is seen by the site of its name; only an administrator says that this is the one."""
    world.project.joining = "invitation"
    world.project.save()
    until = timezone.now() + timedelta(days=1)
    it = Invitation.objects.create(uid="0" * 32, project=world.project, site_name="Hospital B", expires_at=until)
    path, seen = f"sites/{world.outsider.site.pk}/", f"invitations/{it.uid}/"
    renamed = world.outsider.http.send("PATCH", path, {"name": "Hospital B"})
    assert renamed.status_code == 400
    assert "invited" in renamed.json()["name"][0]
    assert world.outsider.http.get(seen).status_code == 404
    assert world.admin.send("PATCH", path, {"name": "Hospital B"}).status_code == 200
    assert world.outsider.http.get(seen).status_code == 200
    Invitation.objects.update(state="approved", asker=world.outsider.site)
    for name in ("Hospital of another name", "Hospital B"):
        assert world.outsider.http.send("PATCH", path, {"name": name}).status_code == 200, "who was invited comes back to its name"
    world.outsider.http.send("PATCH", path, {"name": "Hospital of another name"})
    assert world.other.http.send("PATCH", f"sites/{world.other.site.pk}/", {"name": "Hospital B"}).status_code == 400


def test_an_account_makes_no_site_of_a_name_that_is_invited(world: World) -> None:
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.create(uid="0" * 32, project=world.project, site_name="Hospital B", expires_at=until)
    User.objects.create_user("somebody", password="theirs")
    somebody = Http(authorization="Basic " + b64encode(b"somebody:theirs").decode())
    body = {"uid": str(uuid.uuid4()), "name": "Hospital B"}
    assert somebody.send("POST", "sites/", body).status_code == 400
    assert somebody.send("POST", "sites/", body | {"name": "Hospital C"}).status_code == 201
    assert world.admin.send("POST", "sites/", body | {"uid": str(uuid.uuid4())}).status_code == 201


def test_what_is_kept_of_a_request_with_a_password_tells_nothing_of_it(world: World) -> None:
    body = {"username": "new", "password": "a short one"}
    for _ in range(2):
        assert world.admin.send("POST", "users/", body, **{"idempotency-key": "k"}).status_code == 201
    record = IdempotencyRecord.objects.get()
    request = ["POST", "/starfish/api/v1/users/", body]
    guesses = [json.dumps(request, sort_keys=sort).encode() for sort in (True, False)]
    assert record.fingerprint not in [hashlib.sha256(guess).hexdigest() for guess in guesses]
    assert "a short one" not in json.dumps([record.body, record.fingerprint])
    assert world.admin.send("POST", "users/", body | {"password": "another"}, **{"idempotency-key": "k"}).status_code == 422


def test_the_key_of_what_is_kept_is_the_routers_own(world: World, settings: object) -> None:
    body = {"username": "new", "password": "a short one"}
    assert world.admin.send("POST", "users/", body, **{"idempotency-key": "k"}).status_code == 201
    settings.SECRET_KEY = "another router's"  # type: ignore[attr-defined]
    assert world.admin.send("POST", "users/", body, **{"idempotency-key": "k"}).status_code == 422
