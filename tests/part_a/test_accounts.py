"""Accounts of single sites: the coordinator's, a member's, another member's, an outsider's. Who sees what, by whatever route."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.part_a.controller import PREPARING, RUNNING
from tests.part_a.test_artifacts import file, members
from tests.part_a.wire import Answer, Router
from tests.part_a.world import THREE_ROUNDS, Project, accepted, made
from tests.support.servers import Server

pytestmark = pytest.mark.xdist_group("accounts")  # made once
PASSWORD = "a-password-of-the-tests"
MAKE = """
from django.contrib.auth.models import User
from starfish.router.models import Site
for name in {names!r}:
    Site.objects.create(name=name, description="", owner=User.objects.create_user(name, password={password!r}))
"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A site and its own account."""

    router: Router
    site: Mapping[str, Any]


@pytest.fixture(scope="module")
def accounts(shared: Server) -> Sequence[Account]:
    """Owner, member, another member, outsider."""
    names = [f"{role}-{uuid.uuid4().hex[:6]}" for role in ("owner", "member", "other", "outsider")]
    shared.manage("shell", "-c", MAKE.format(names=names, password=PASSWORD))
    routers = [Router(url=shared.url, account=(name, PASSWORD)) for name in names]
    return [Account(router=router, site=router.get("sites/").json()["results"][0]) for router in routers]


@pytest.fixture
def joint(accounts: Sequence[Account]) -> Project:
    """A project of the owner that both members have joined, by themselves; its batch is open."""
    owner, member, other, _ = accounts
    body = {"name": f"joint {uuid.uuid4()}", "description": "", "site": owner.site["id"], "tasks": list(THREE_ROUNDS)}
    project = made(owner.router.post("projects/", body))
    for joiner in (member, other):
        joiner.router.post("sites/heartbeat/", {"uid": joiner.site["uid"], "status": 1})
        made(joiner.router.post("project-participants/", {"site": joiner.site["id"], "project": project["id"], "role": "PA", "notes": ""}))
    owner.router.post("sites/heartbeat/", {"uid": owner.site["uid"], "status": 1})
    opened = Project(router=owner.router, id=project["id"], sites=[account.site for account in (owner, member, other)])
    opened.open()
    return opened


def ids(answer: Answer) -> set[int]:
    """The ids in a list, paged or not."""
    assert answer.status == 200, answer.body
    found = answer.json()
    return {run["id"] for run in (found["results"] if isinstance(found, dict) else found)}


def test_a_participant_sees_its_own_runs_only(accounts: Sequence[Account], joint: Project) -> None:
    owner, member, other, outsider = accounts
    runs = joint.ids
    for account, seen in ((owner, set(runs)), (member, {runs[1]}), (other, {runs[2]}), (outsider, set())):
        everything = account.router
        assert ids(everything.get("runs/active/")) & set(runs) == seen
        assert ids(everything.get("runs/")) & set(runs) == seen
        for run in runs:
            assert everything.get(f"runs/{run}/").status == (200 if run in seen else 404)
        for asked in accounts:
            narrowed = everything.get("runs/active/", site_uid=asked.site["uid"])
            assert narrowed.status in (403, 404) or ids(narrowed) & set(runs) <= seen


def test_detail_and_lookup_show_no_more(accounts: Sequence[Account], joint: Project) -> None:
    runs = joint.ids
    for number, account in enumerate(accounts):
        for asked in accounts:
            answer = account.router.get("runs/detail/", batch=1, project=joint.id, site=asked.site["id"])
            if number == 0 and asked is accounts[0]:
                assert [run["id"] for run in answer.json()["runs"]] == runs
            elif account is asked and number < 3:
                assert [run["id"] for run in answer.json()["runs"]] == [runs[number]]
            elif number:
                assert answer.status in (403, 404), (number, answer.body)
            rows = account.router.get("runs/lookup/", project=joint.id, site_uid=asked.site["uid"])
            if number and account is not asked:
                assert rows.status in (403, 404) or rows.json() == [], (number, rows.body)
    (row,) = accounts[1].router.get("runs/lookup/", project=joint.id).json()
    assert row["id"] == runs[1]
    outside = accounts[3].router.get("runs/lookup/", project=joint.id)
    assert outside.status in (403, 404) or outside.json() == []


def test_a_participant_does_not_learn_of_another(accounts: Sequence[Account], joint: Project) -> None:
    owner, member, other, outsider = accounts
    hidden = str(other.site["uid"]).encode()
    for path, query in (
        ("sites/", {}),
        ("projects/", {}),
        ("runs/", {}),
        ("runs/active/", {}),
        ("project-participants/lookup/", {"project": joint.id}),
        ("projects/lookup/", {"site_id": member.site["id"]}),
        ("projects/lookup/", {"site_id": other.site["id"]}),
        ("runs/lookup/", {"project": joint.id}),
        ("runs/detail/", {"project": joint.id, "batch": 1, "site": member.site["id"]}),
        ("sites/lookup/", {"uid": other.site["uid"]}),
        (f"sites/{other.site['id']}/", {}),
        (f"runs/{joint.ids[1]}/", {}),
        (f"projects/{joint.id}/", {}),
        ("users/", {}),
        ("schema/", {}),
    ):
        for account in (member, outsider):
            answer = account.router.get(path, **query)
            assert answer.status < 500
            assert hidden not in answer.body, (path, answer.body[:500])
            assert str(other.site["name"]).encode() not in answer.body, path
    assert hidden in owner.router.get("project-participants/lookup/", project=joint.id).body


@pytest.mark.parametrize("kind", ["mid_artifacts", "logs"])
def test_a_participant_downloads_its_own_files_only(accounts: Sequence[Account], joint: Project, kind: str) -> None:
    owner, member, _, outsider = accounts
    runs = joint.ids
    for account, run in zip(accounts, runs, strict=False):
        assert account.router.upload(run, 1, 1, [file(kind)]).status == 200
    for all_runs in (0, 1):
        for account, run, allowed in (
            (member, runs[1], True),
            (member, runs[0], False),
            (member, runs[2], False),
            (outsider, runs[1], False),
        ):
            answer = account.router.download(run, kind, 1, 1, all_runs=all_runs)
            assert len(members(answer)) == 1 if allowed else answer.status == 404
    assert len(members(owner.router.download(runs[0], kind, 1, 1, all_runs=1))) == 3


def test_only_the_coordinator_moves_a_batch(accounts: Sequence[Account], joint: Project) -> None:
    _, member, other, outsider = accounts
    runs = joint.ids
    for account in (member, other, outsider):
        assert account.router.post("runs", {"project": joint.id}).status in (400, 403, 404)
        for run in runs:
            if account is outsider or run != runs[accounts.index(account)]:
                assert account.router.status(run, PREPARING).status == 404
                assert account.router.upload(run, 1, 1, [file("logs")]).status == 404
                body = {"run": run, "role": "coordinator", "action": "stop", "project": joint.id, "batch": 1}
                assert account.router.put("runs-action/update/", body).status == 404
    assert joint.words() == ["Standby"] * 3
    for account, run in zip(accounts, runs, strict=False):
        accepted(account.router.status(run, PREPARING))
    assert member.router.status(runs[1], RUNNING, update_all=True).status in (403, 409)
    assert joint.words() == ["Preparing"] * 3
    accepted(
        member.router.put("runs-action/update/", {"run": runs[1], "role": "coordinator", "action": "stop", "project": joint.id, "batch": 1})
    )
    assert joint.words() == ["Preparing", "Pending Failed", "Preparing"]


def test_an_account_speaks_for_its_own_site_only(accounts: Sequence[Account], joint: Project) -> None:
    _, member, other, outsider = accounts
    for account in (member, outsider):
        router = account.router
        assert router.post("sites/heartbeat/", {"uid": other.site["uid"], "status": 0}).status in (403, 404)
        assert router.put(f"sites/{other.site['id']}/", {**other.site, "name": "stolen"}).status in (403, 404)
        assert router.patch(f"sites/{other.site['id']}/", {"description": "stolen"}).status in (403, 404)
        assert router.delete(f"sites/{other.site['id']}/").status in (403, 404)
        assert router.post("projects/", {"name": f"x {uuid.uuid4()}", "site": other.site["id"], "tasks": []}).status in (400, 403, 404)
        assert router.get("users/").status == router.get("groups/").status == 403
        assert router.post("users/", {"username": "mallory", "password": PASSWORD}).status == 403
        body = {"site": other.site["id"], "project": joint.id, "role": "PA", "notes": ""}
        assert router.post("project-participants/", body).status in (400, 403, 404)
        for membership in joint.router.get("project-participants/lookup/", project=joint.id).json():
            if membership["site"]["id"] != account.site["id"]:
                assert router.delete(f"project-participants/{membership['id']}/").status in (403, 404)
    assert joint.router.get(f"sites/{other.site['id']}/").json()["status"] == "Connected"
    assert len(joint.router.get("project-participants/lookup/", project=joint.id).json()) == 3


def test_a_site_enrols_once_and_then_has_an_account(shared: Server, nobody: Router) -> None:
    name = f"Hospital {uuid.uuid4().hex[:6]}"
    code = shared.starfish("router", "enrol-code", "--name", name).split()[-1]
    token, uid = uuid.uuid4().hex * 2, str(uuid.uuid4())
    body = {"code": code, "uid": uid, "token": token}
    assert nobody.post("enrol/", {**body, "code": "wrong"}).status == 403
    assert nobody.post("enrol/", body).status == 201
    assert nobody.post("enrol/", body).status == 200, "a lost answer is asked again"
    assert nobody.post("enrol/", {**body, "uid": str(uuid.uuid4())}).status == 403
    own = Router(url=shared.url, account=None, headers={"Authorization": f"Bearer {token}"})
    assert own.get("sites/lookup/", uid=uid).json()["name"] == name
    assert own.get("runs/active/").json() == []
    for wrong in ({}, [], {"code": code}, {**body, "token": "short"}, {**body, "uid": "x"}, {"code": {}, "uid": [], "token": 1}):
        assert nobody.post("enrol/", wrong).status in (400, 403)
