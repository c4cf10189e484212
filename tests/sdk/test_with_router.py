"""The client and a real Routing Server understand each other: every method, once."""

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from starfish.protocol.messages import Run, Site
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Client, Conflict, Forbidden, Invalid, NotFound, Unauthorized
from tests.support.servers import ADMIN, Server


@dataclass
class Member:
    site: Site
    client: Client


def enrol(server: Server, name: str) -> Member:
    code = json.loads(server.starfish("router", "enrol-code", "--name", name, "--json"))["code"]
    token, uid = secrets.token_urlsafe(32), str(uuid.uuid4())
    stranger = Client(server.url)
    site = stranger.enrol(code, uid, token)
    assert stranger.enrol(code, uid, token) == site, "a lost answer can be asked again"
    with pytest.raises(Forbidden):
        stranger.enrol(code, str(uuid.uuid4()), token)
    stranger.close()
    return Member(site, Client(server.url, token=token))


def active(member: Member) -> list[Run]:
    listing = member.client.active_runs(member.site.uid)
    assert listing is not None
    return list(listing.runs)


def test_every_method_against_a_real_router(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("serve")
    a, b = enrol(server, "A"), enrol(server, "B")
    assert a.client.site_by_uid(a.site.uid) == a.site
    tasks = [{"seq": 1, "model": "M", "config": {"total_round": 5}}, {"seq": 2, "model": "M", "config": {"total_round": 1}}]
    project = a.client.create_project("p", "d", a.site.id, tasks, {"variables": {}})
    with pytest.raises(Invalid):
        a.client.create_project("p", "d", a.site.id, tasks, {})
    b.client.join(b.client.project_by_name("p").id, b.site.id)
    assert b.client.project(project.id).definition == {"variables": {}}
    assert {member.site.name for member in a.client.participants(project.id)} == {"A", "B"}
    assert [member.role for member in b.client.memberships(b.site.id)] == ["participant"]
    with pytest.raises(NotFound):
        a.client.project_by_name("q")
    with pytest.raises(Forbidden):
        b.client.start_batch(project.id)
    b.client.heartbeat(b.site.uid, connected=False)
    with pytest.raises(Invalid, match="B"):
        a.client.start_batch(project.id)
    b.client.heartbeat(b.site.uid)
    a.client.start_batch(project.id)

    first, second = sorted(active(a), key=lambda run: run.role)
    assert [run.id for run in active(b)] == [second.id]
    with pytest.raises(NotFound):
        b.client.run(first.id)
    first = a.client.step(first, [S.PREPARING], artifact=("logs", "logs.txt", b"hello")).run
    with pytest.raises(Conflict):
        a.client.step(first, [S.RUNNING], everyone=True)
    second = b.client.step(second, [S.PREPARING]).run
    first = a.client.step(first, [S.RUNNING], everyone=True).run
    second = b.client.run(second.id)
    sent = b.client.step(second, [S.PENDING_SUCCESS, S.PENDING_AGGREGATING], artifact=("mid_artifacts", "mid-artifacts", b"\x00update")).run
    with pytest.raises(Conflict):
        b.client.step(second, [S.PENDING_SUCCESS])
    assert (sent.status, len(b.client.run(second.id).middle_artifacts)) == (S.PENDING_AGGREGATING, 1)
    first = a.client.step(first, [S.PENDING_SUCCESS, S.PENDING_AGGREGATING]).run
    [update] = a.client.download(second.id, "mid_artifacts", 1, 1, tmp_path / "updates")
    assert (update.name, update.read_bytes()) == (f"{second.id}-1-1-mid-artifacts", b"\x00update")

    model = tmp_path / "model"
    model.write_bytes(secrets.token_bytes(3_000_000))
    a.client.upload(first.id, 1, 1, "artifacts", "artifacts", model)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    first = a.client.step(first, [S.AGGREGATING, S.STANDBY], everyone=True, end_task=True, stored=("artifacts", "artifacts", digest)).run
    assert first.position == (2, 1)
    assert first.task_at(1)["config"]["total_round"] == 1
    [received] = b.client.download(second.id, "artifacts", 1, 1, tmp_path / "models")
    assert received.read_bytes() == model.read_bytes()
    with pytest.raises(NotFound):
        b.client.download(second.id, "artifacts", 2, 1, tmp_path / "models")

    b.client.upload(second.id, 2, 1, "logs", "failure.json", b"{}")
    b.client.set_status(second.id, S.FAILED)
    assert {run.status for run in a.client.batch_runs(project.id, 1, a.site.uid)} == {S.STANDBY, S.FAILED}
    a.client.step(first, [S.FAILED], everyone=True)
    a.client.action(first.id, "coordinator", "restart", project.id, 1)
    a.client.action(first.id, "coordinator", "stop", project.id, 1)
    assert [run.status for run in a.client.batches(project.id, a.site.uid)] == [S.PENDING_FAILED]
    a.client.set_status(first.id, S.FAILED, everyone=True)
    assert b.client.run(second.id).status is S.FAILED
    b.client.add_lines(second.id, "x" * 100_000)
    b.client.add_lines(second.id, "the last line", key="k")
    b.client.add_lines(second.id, "the last line", key="k")
    assert [len(lines.text) for lines in a.client.lines(second.id)] == [65_536, 34_464, 13]
    assert a.client.lines(second.id, after=a.client.lines(second.id)[-2].id)[0].text == "the last line"
    assert b.client.report_progress(second.id, round_seq=1, step="train", fraction=0.5, metrics={"loss": 0.25}, message="half")
    assert not all(b.client.report_progress(second.id, round_seq=1, step=number) for number in range(20)), "a few a second"
    reports = a.client.progress(second.id)
    assert (reports[0].step, reports[0].metrics, reports[1].step) == ("train", {"loss": 0.25}, 0)
    assert a.client.run(second.id).progress == reports[-1]
    for refused in (lambda: a.client.add_lines(second.id, "x"), lambda: a.client.report_progress(second.id, round_seq=1, step="x")):
        with pytest.raises(Forbidden):
            refused()
    with pytest.raises(NotFound):
        b.client.lines(first.id)
    b.client.leave(b.client.memberships(b.site.id)[0].id)
    for member in (a, b):
        member.client.close()


def test_accounts(serve: Callable[..., Server]) -> None:
    server = serve("serve")
    admin = Client(server.url, username=ADMIN[0], password=ADMIN[1])
    made = admin.create_site("Old", str(uuid.uuid4()), "")
    assert admin.site_by_uid(made.uid).id == made.id
    admin.close()
    for stranger in (Client(server.url), Client(server.url, token="t" * 43), Client(server.url, username=ADMIN[0], password="wrong")):
        with pytest.raises((Unauthorized, Forbidden)):
            stranger.active_runs(made.uid)
        stranger.close()
