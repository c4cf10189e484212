"""Who sees and does what, beyond the matrix."""

import re
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from starfish.protocol.run_state import RunStatus
from starfish.router.actions import moves
from starfish.router.models import ProjectParticipant, Run, SiteToken
from tests.router.world import World


def http(world: World, name: str) -> Any:
    caller = getattr(world, name)
    return getattr(caller, "http", caller)


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
