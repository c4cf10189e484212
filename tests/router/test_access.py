"""Who sees and does what: every route for an administrator, an owner, a member, an outsider and nobody."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from starfish.protocol.run_state import RunStatus
from starfish.router.actions import moves
from starfish.router.models import ProjectParticipant, Run, SiteToken
from tests.router.world import World

CALLERS = ("admin", "owner", "member", "other", "outsider", "nobody")


def http(world: World, name: str) -> Any:
    caller = getattr(world, name)
    return getattr(caller, "http", caller)


def statuses(world: World, ask: Callable[[Any], Any]) -> dict[str, int]:
    return {name: ask(http(world, name)).status_code for name in CALLERS}


def expect(admin: int, owner: int, member: int, other: int, outsider: int, nobody: int = 401) -> dict[str, int]:
    return dict(zip(CALLERS, (admin, owner, member, other, outsider, nobody), strict=True))


def test_the_reading_matrix(world: World) -> None:
    runs = world.open()
    membership = {it.site_id: it.pk for it in ProjectParticipant.objects.filter(project=world.project)}
    members, others = membership[world.member.site.pk], membership[world.other.site.pk]
    for path, seen in {
        "": expect(200, 200, 200, 200, 200),
        "users/": expect(200, 403, 403, 403, 403),
        "groups/": expect(200, 403, 403, 403, 403),
        "users/1/": expect(200, 403, 403, 403, 403),
        f"sites/{world.owner.site.pk}/": expect(200, 200, 200, 200, 404),
        f"sites/{world.member.site.pk}/": expect(200, 200, 200, 404, 404),
        f"sites/lookup/?uid={world.member.site.uid}": expect(200, 200, 200, 404, 404),
        f"projects/{world.project.pk}/": expect(200, 200, 200, 200, 200),
        f"projects/lookup/?site_id={world.member.site.pk}": expect(200, 200, 200, 404, 404),
        f"project-participants/{members}/": expect(200, 200, 200, 404, 404),
        f"project-participants/{others}/": expect(200, 200, 404, 200, 404),
        f"runs/{runs[0].pk}/": expect(200, 200, 404, 404, 404),
        f"runs/{runs[1].pk}/": expect(200, 200, 200, 404, 404),
        f"runs/detail/?project={world.project.pk}&batch=1&site={world.member.site.pk}": expect(200, 404, 200, 404, 404),
        f"runs/active/?site_uid={world.member.site.uid}": expect(200, 404, 200, 404, 404),
        f"runs/lookup/?project={world.project.pk}&site_uid={world.member.site.uid}": expect(200, 404, 200, 404, 404),
        f"runs-action/download/?run={runs[1].pk}&type=logs": expect(404, 404, 404, 404, 404),
        "schema/": expect(200, 200, 200, 200, 200),
        "/metrics": expect(200, 403, 403, 403, 403),
        "/readyz": expect(200, 403, 403, 403, 403, 200),
    }.items():
        assert statuses(world, lambda caller, path=path: caller.get(path)) == seen, path


def test_the_writing_matrix(world: World) -> None:
    runs = world.open()
    here = {"batch": 1, "task_seq": 1, "round_seq": 1}
    update = {"run": runs[1].pk, "role": "participant", "action": "stop", "project": world.project.pk, "batch": 1}
    joint, site = world.project.pk, world.member.site
    member = ProjectParticipant.objects.get(project=world.project, site=site)
    refused = expect(0, 403, 0, 404, 404)
    for method, path, body, seen in (
        ("PATCH", f"sites/{site.pk}/", {"name": "x"}, refused),
        ("DELETE", f"sites/{site.pk}/", None, refused),
        ("POST", "sites/heartbeat/", {"uid": str(site.uid), "status": 1}, refused),
        ("PUT", f"runs/{runs[1].pk}/status/", {"status": 3}, refused),
        ("PUT", "runs-action/update/", update, refused),
        ("POST", f"runs/{runs[1].pk}/step/", {"from": 2, "to": [3], **here}, refused),
        ("DELETE", f"project-participants/{member.pk}/", None, refused),
        ("POST", "runs", {"project": joint}, expect(0, 0, 403, 403, 403)),
        ("POST", "projects/", {"name": "n", "site": site.pk, "tasks": []}, refused),
        ("POST", "project-participants/", {"site": site.pk, "project": world.foreign.pk, "role": "PA"}, refused),
        ("POST", "users/", {"username": "u"}, expect(0, 403, 403, 403, 403)),
        ("POST", "sites/", {"uid": str(site.uid), "name": "n"}, expect(0, 403, 403, 403, 403)),
    ):
        for name, status in seen.items():
            if status:
                answer = http(world, name).send(method, path, body)
                assert answer.status_code == status, (name, method, path, answer.content)
    assert world.words() == ["Standby"] * 3


def test_only_the_coordinators_run_takes_the_whole_batch_whatever_the_request_says(world: World) -> None:
    runs = world.open()
    for role in ("participant", "coordinator"):
        body = {"run": runs[1].pk, "role": role, "action": "stop", "project": world.project.pk, "batch": 1}
        assert world.member.http.send("PUT", "runs-action/update/", body).status_code == 202
        assert world.words() == ["Standby", "Pending Failed", "Standby"]
    for role, words in (("participant", ["Pending Failed", "Pending Failed", "Standby"]), ("coordinator", ["Pending Failed"] * 3)):
        body = {"run": runs[0].pk, "role": role, "action": "stop", "project": world.project.pk, "batch": 1}
        assert world.admin.send("PUT", "runs-action/update/", body).status_code == 202
        assert world.words() == words


def test_an_outsider_sees_of_a_project_what_is_needed_to_join_it(world: World) -> None:
    for path in (f"projects/{world.project.pk}/", "projects/lookup/?name=joint"):
        assert world.outsider.http.get(path).json() == {"id": world.project.pk, "name": "joint", "site": world.owner.site.pk}
        assert world.member.http.get(path).json()["tasks"] == world.project.tasks
    listed = world.member.http.get("projects/").json()
    assert [set(it) == {"id", "name", "site"} for it in listed["results"]] == [False, True]


def test_counts_and_lists_are_the_callers_own(world: World) -> None:
    runs = world.open()
    for name, sites, memberships, seen in (
        ("admin", 4, 4, {run.pk for run in runs}),
        ("owner", 3, 3, {run.pk for run in runs}),
        ("member", 2, 2, {runs[1].pk}),
        ("outsider", 1, 1, set()),
    ):
        caller = http(world, name)
        assert caller.get("sites/").json()["count"] == sites
        assert caller.get("project-participants/").json()["count"] == memberships
        assert {run["id"] for run in caller.get("runs/").json()["results"]} == seen
        assert {run["id"] for run in caller.get("runs/active/").json()} == seen


def test_an_administrator_gets_what_the_named_site_would_get(world: World) -> None:
    runs = world.open()
    for site, seen in ((world.owner.site, runs), (world.member.site, runs[1:2]), (world.outsider.site, [])):
        assert [run["id"] for run in world.admin.get("runs/active/", site_uid=site.uid).json()] == [run.pk for run in seen]
    for member, run in zip(world.members, runs, strict=True):
        assert world.admin.send("PUT", f"runs/{run.pk}/status/", {"status": 3}).status_code == 202
        assert member.http.upload(run.pk, "logs", b"x").status_code == 200
    zipped = world.admin.get("runs-action/download/", run=runs[1].pk, type="logs", all_runs=1)
    assert b"".join(zipped.streaming_content).count(b"PK\x01\x02") == 1


def test_who_left_sees_its_own_past_alone(world: World) -> None:
    runs = world.open()
    world.drive(RunStatus.FAILED)
    membership = ProjectParticipant.objects.get(project=world.project, site=world.member.site)
    assert world.member.http.send("DELETE", f"project-participants/{membership.pk}/").status_code == 204
    shown = world.member.http.get(f"runs/{runs[1].pk}/").json()
    assert (shown["participant"], shown["role"], shown["status"]) == (None, "participant", "Failed")
    assert world.member.http.get(f"projects/{world.project.pk}/").json().keys() == {"id", "name", "site"}
    assert shown["project"].keys() == {"id", "name", "site"}
    assert Run.objects.count() == 3


def test_leaving_during_a_batch_is_refused_and_the_coordinator_stays(world: World) -> None:
    members = {it.role: it.pk for it in ProjectParticipant.objects.filter(project=world.project)}
    world.open()
    assert world.other.http.send("DELETE", f"project-participants/{members['PA']}/").status_code == 409
    world.drive(RunStatus.FAILED)
    assert world.owner.http.send("DELETE", f"project-participants/{members['CO']}/").status_code == 409


def test_a_revoked_token_and_an_account_without_life_end_at_once(world: World) -> None:
    assert world.member.http.get("sites/").status_code == 200
    owner = world.member.site.owner
    assert owner is not None
    owner.is_active = False
    owner.save()
    assert world.member.http.get("sites/").status_code == 401
    SiteToken.objects.filter(site=world.other.site).update(revoked_at="2020-01-01T00:00Z")
    assert world.other.http.get("sites/").status_code == 401
    SiteToken.objects.filter(site=world.owner.site).update(expires_at="2020-01-01T00:00Z")
    assert world.owner.http.get("sites/").status_code == 401


def test_a_superusers_site_token_is_no_superuser(world: World) -> None:
    owner = world.member.site.owner
    assert owner is not None
    owner.is_superuser = True
    owner.save()
    assert world.member.http.get("users/").status_code == 403
    assert world.member.http.get(f"sites/{world.other.site.pk}/").status_code == 404
    assert world.member.http.get("/metrics").status_code == 403


def test_a_view_that_names_no_permission_is_closed(world: World) -> None:
    class Careless(APIView):
        def get(self, request: Any) -> Any:
            raise AssertionError("it was reached")

    request = APIRequestFactory().get("/")
    force_authenticate(request, user=world.member.site.owner)
    assert Careless.as_view()(request).status_code == 403


def test_no_route_answers_nobody_but_those_that_may(world: World) -> None:
    open_to_anyone = {"", "healthz", "readyz", "starfish/api/v1", "starfish/api/v1/enrol/"}
    asked = 0
    for address in addresses(get_resolver().url_patterns):
        if address in open_to_anyone or address.startswith("starfish/api-auth/"):
            continue
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            answer = world.nobody.send(method, f"/{address}")
            assert answer.status_code == 401, (method, address, answer.status_code)
            asked += 1
    assert asked > 150


def addresses(patterns: list[Any], before: str = "") -> list[str]:
    """Every address that the router has, with 1 for each parameter."""
    found = []
    for pattern in patterns:
        route = str(pattern.pattern).lstrip("^").removesuffix("$").removesuffix("\\Z")
        here = before + re.sub(r"\(\?P<pk>\[\^/\]\+\)|<\w+:\w+>", "1", route)
        if isinstance(pattern, URLResolver):
            found += addresses(pattern.url_patterns, here)
        elif isinstance(pattern, URLPattern):
            found.append(here)
    return found


def test_refusals_are_written_down_once_a_minute(world: World) -> None:
    from starfish.router.models import AuditEvent

    for _ in range(3):
        world.member.http.send("POST", "runs", {"project": world.project.pk})
    event = AuditEvent.objects.get(refused=True)
    assert event.account == world.member.site.owner
    assert event.subject == "/starfish/api/v1/runs"


def test_a_coordinators_account_moves_no_others_run(world: World) -> None:
    runs = world.open()
    assert world.owner.http.send("PUT", f"runs/{runs[1].pk}/status/", {"status": 0}).status_code == 403
    assert world.owner.http.upload(runs[1].pk, "logs", b"x").status_code == 403
    assert world.member.http.upload(runs[1].pk, "artifacts", b"x").status_code == 403
    with pytest.raises(Exception, match="Run not found"):
        moves.lock(world.member.caller, runs[2].pk)
