"""Names that nobody could read are refused, and a password leaves no trace that could be guessed at."""

import hashlib
import json
import uuid

import pytest

from starfish.router.models import IdempotencyRecord, Site
from tests.router.world import World

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
