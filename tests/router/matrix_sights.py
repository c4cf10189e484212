"""One thing, asked for in many ways: list, filter, detail, zip, range, ETag, wait and step must agree on who may see it."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.router.matrix_rows import STEP, address, filled
from tests.router.matrix_world import Stage

OPEN = (401, 200, 200, 200, 200, 200)
OWN = (401, 404, 404, 200, 404, 200)
"""The participant's and an administrator's."""
SHARED = (401, 404, 404, 200, 200, 200)
"""The coordinator's, too."""
MEMBERS = (401, 404, 200, 200, 200, 200)
COORDINATORS = (401, 404, 404, 404, 200, 200)
OTHERS = (401, 404, 200, 404, 200, 200)
"""What the participant may not see though it is in the project, too."""
ODD = (401, 405, 405, 405, 405, 405)
NOBODYS = (401, 404, 404, 404, 404, 404)
EMPTY = f"sha-256=:{base64.b64encode(hashlib.sha256().digest()).decode()}:"
FILE = "runs/{run_participant}/artifacts/1/1/mid_artifacts/mid-artifacts"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A request, and who is answered how: anonymous, outsider, other participant, participant, coordinator, administrator.

    `etag_of`: the request says that it knows this already, by the right ETag.
    """

    name: str
    path: str
    statuses: tuple[int, ...]
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    etag_of: str = ""

    def content(self, ids: Mapping[str, Any]) -> dict[str, Any]:
        return {} if self.body is None else {"json": filled(self.body, ids)}

    def headers_for(self, http: httpx2.Client, stage: Stage) -> dict[str, str]:
        if not self.etag_of:
            return dict(self.headers)
        known = http.get(
            address(self.etag_of.format_map(stage.ids)), headers={"Authorization": f"Bearer {stage.tokens['participant']}", **self.headers}
        )
        return {**self.headers, "If-None-Match": known.headers["ETag"]}


def _like(statuses: tuple[int, ...], **others: int) -> tuple[int, ...]:
    """With another status for who is answered 200."""
    return tuple(others["ok"] if status == 200 else status for status in statuses)


ACTIVE = "runs/active/?site_uid={uid_participant}"
SIGHTS = [
    Sight(name="list of runs", path="runs/", statuses=OPEN),
    Sight(name="list of runs, page 2", path="runs/?page=2", statuses=(401, 404, 404, 404, 404, 200)),
    Sight(name="list of sites", path="sites/", statuses=OPEN),
    Sight(name="list of projects", path="projects/", statuses=OPEN),
    Sight(name="list of members", path="project-participants/", statuses=OPEN),
    Sight(name="active runs", path="runs/active/", statuses=OPEN),
    Sight(name="active runs, short", path="runs/active/", statuses=OPEN, headers={"Prefer": "return=minimal"}),
    Sight(name="active runs of a site", path=ACTIVE, statuses=OWN),
    Sight(name="active runs of a site in capitals", path="runs/active/?site_uid={uid_participant}&SITE_UID=x", statuses=OWN),
    Sight(name="active runs that are known", path=ACTIVE, statuses=_like(OWN, ok=304), etag_of=ACTIVE),
    Sight(
        name="active runs, waited for",
        path=ACTIVE,
        statuses=_like(OWN, ok=304),
        etag_of=ACTIVE,
        headers={"Prefer": "return=minimal, wait=1"},
    ),
    Sight(name="active runs of a browser", path=ACTIVE, statuses=OWN, headers={"Accept": "text/html"}),
    Sight(name="active runs of another site", path="runs/active/?site_uid={uid_other}", statuses=(401, 404, 200, 404, 404, 200)),
    Sight(
        name="active runs of two sites",
        path="runs/active/?site_uid={uid_participant}&site_uid={uid_other}",
        statuses=(401, 404, 200, 404, 404, 200),
    ),
    Sight(name="runs of a project", path="runs/lookup/?project={project}", statuses=OPEN),
    Sight(name="runs of a sealed project", path="runs/lookup/?project={sealed}", statuses=MEMBERS),
    Sight(name="runs of a project and site", path="runs/lookup/?project={project}&site_uid={uid_participant}", statuses=OWN),
    Sight(name="runs of a batch", path="runs/lookup/?project={project}&batch_id=1", statuses=OPEN),
    Sight(name="batch of a site", path="runs/detail/?project={project}&batch=1&site={site_participant}", statuses=OWN),
    Sight(name="batch of a site by uid", path="runs/detail/?project={project}&batch=1&site_uid={uid_participant}", statuses=OWN),
    Sight(
        name="batch of the coordinator's site",
        path="runs/detail/?project={project}&batch=1&site={site_coordinator}",
        statuses=(401, 404, 404, 404, 200, 200),
    ),
    Sight(name="run", path="runs/{run_participant}/", statuses=SHARED),
    Sight(name="run by a number with a zero before it", path="runs/0{run_participant}/", statuses=SHARED),
    Sight(name="run by an encoded word", path="%72uns/{run_participant}/", statuses=SHARED),
    Sight(name="run by an odd method", path="runs/{run_participant}/", statuses=ODD, method="TRACE"),
    Sight(name="step by an odd method", path="runs/{run_participant}/step/", statuses=ODD, method="TRACE"),
    Sight(name="run behind two slashes", path="runs//{run_participant}/", statuses=(404,) * 6),
    Sight(name="coordinator's run", path="runs/{run_coordinator}/", statuses=COORDINATORS),
    Sight(name="site by uid", path="sites/lookup/?uid={uid_participant}", statuses=SHARED),
    Sight(name="outsider by uid", path="sites/lookup/?uid={uid_outsider}", statuses=(401, 200, 404, 404, 404, 200)),
    Sight(name="projects of a site", path="projects/lookup/?site_id={site_participant}", statuses=SHARED),
    Sight(name="project by name", path="projects/lookup/?name={project_name}", statuses=OPEN),
    Sight(name="project", path="projects/{project}/", statuses=OPEN),
    Sight(name="sealed project by name", path="projects/lookup/?name={sealed_name}", statuses=MEMBERS),
    Sight(name="sealed project", path="projects/{sealed}/", statuses=MEMBERS),
    Sight(name="members of a project", path="project-participants/lookup/?project={project}", statuses=OPEN),
    Sight(name="members of a sealed project", path="project-participants/lookup/?project={sealed}", statuses=MEMBERS),
    Sight(name="member", path="project-participants/{project_participant}/", statuses=SHARED),
    Sight(name="coordinator's member", path="project-participants/{project_coordinator}/", statuses=MEMBERS),
    Sight(name="letters", path="projects/{sealed}/manifests/?site_uid={uid_participant}", statuses=SHARED),
    Sight(name="letter", path="projects/{sealed}/manifests/1/{uid_participant}/", statuses=SHARED),
    Sight(name="other's letter", path="projects/{sealed}/manifests/1/{uid_other}/", statuses=OTHERS),
    Sight(name="order", path="runs/{sealed_run_participant}/order/", statuses=SHARED),
    Sight(name="other's order", path="runs/{sealed_run_other}/order/", statuses=OTHERS),
    Sight(name="cards", path="sites/{site_participant}/cards/", statuses=SHARED),
    Sight(name="invitation", path="invitations/{invitation}/", statuses=SHARED),
    Sight(name="invitation that was asked for", path="invitations/{asked}/", statuses=SHARED),
    Sight(name="invitations", path="invitations/lookup/?project={inviting}", statuses=COORDINATORS),
    Sight(name="project that invites", path="projects/{inviting}/", statuses=COORDINATORS),
    Sight(name="zip of updates", path="runs-action/download/?run={run_participant}&type=mid_artifacts", statuses=SHARED),
    Sight(name="zip of all updates", path="runs-action/download/?run={run_participant}&type=mid_artifacts&all_runs=1", statuses=SHARED),
    Sight(name="zip of all logs", path="runs-action/download/?run={run_participant}&type=logs&all_runs=1", statuses=SHARED),
    Sight(name="zip of models", path="runs-action/download/?run={run_participant}&type=artifacts", statuses=SHARED),
    Sight(
        name="zip of all the coordinator sees",
        path="runs-action/download/?run={run_coordinator}&type=mid_artifacts&all_runs=1",
        statuses=COORDINATORS,
    ),
    Sight(name="zip of the coordinator's logs", path="runs-action/download/?run={run_coordinator}&type=logs", statuses=COORDINATORS),
    Sight(name="zip of other's updates", path="runs-action/download/?run={run_other}&type=mid_artifacts", statuses=OTHERS),
    Sight(name="zip of models by other", path="runs-action/download/?run={run_other}&type=artifacts", statuses=OTHERS),
    Sight(name="files of a run", path="runs/{run_participant}/artifacts/", statuses=SHARED),
    Sight(name="files of the coordinator's run", path="runs/{run_coordinator}/artifacts/", statuses=COORDINATORS),
    Sight(name="file", path=FILE, statuses=SHARED),
    Sight(name="file with a slash", path=FILE + "/", statuses=SHARED),
    Sight(name="file's head", path=FILE, statuses=SHARED, method="HEAD"),
    Sight(name="range of a file", path=FILE, statuses=_like(SHARED, ok=206), headers={"Range": "bytes=0-3"}),
    Sight(name="range beyond a file", path=FILE, statuses=_like(SHARED, ok=416), headers={"Range": "bytes=9999-"}),
    Sight(name="file that is known", path=FILE, statuses=_like(SHARED, ok=304), etag_of=FILE),
    Sight(name="head of a file that is known", path=FILE, statuses=_like(SHARED, ok=304), etag_of=FILE, method="HEAD"),
    Sight(name="model by its sender", path="runs/{run_coordinator}/artifacts/1/1/artifacts/artifacts", statuses=COORDINATORS),
    Sight(name="model by a reader", path="runs/{run_participant}/artifacts/1/1/artifacts/artifacts", statuses=SHARED),
    Sight(name="other's update by one's own run", path="runs/{run_participant}/artifacts/1/1/mid_artifacts/another", statuses=NOBODYS),
    Sight(name="lines", path="runs/{run_participant}/lines/", statuses=SHARED),
    Sight(name="lines from a place on", path="runs/{run_participant}/lines/?after=0", statuses=SHARED),
    Sight(name="coordinator's lines", path="runs/{run_coordinator}/lines/", statuses=COORDINATORS),
    Sight(name="progress", path="runs/{run_participant}/progress/", statuses=SHARED),
    Sight(name="coordinator's progress", path="runs/{run_coordinator}/progress/", statuses=COORDINATORS),
    Sight(
        name="step that comes too late",
        path="runs/{run_participant}/step/",
        statuses=(401, 404, 404, 409, 403, 409),
        method="POST",
        body=STEP,
    ),
    Sight(
        name="step with a key",
        path="runs/{run_participant}/step/",
        statuses=(401, 404, 404, 409, 403, 409),
        method="POST",
        body=STEP,
        headers={"Idempotency-Key": "k", "Prefer": "return=minimal"},
    ),
    Sight(
        name="barrier by a participant",
        path="runs/{run_participant}/step/",
        statuses=(401, 404, 404, 403, 403, 403),
        method="POST",
        body={"from": 2, "to": [0], "batch": 1, "task_seq": 1, "round_seq": 2, "all": True},
    ),
    Sight(
        name="step that leaves out others' runs",
        path="runs/{run_coordinator}/step/",
        statuses=(401, 404, 404, 404, 409, 409),
        method="POST",
        body={"from": 7, "to": [2], "batch": 1, "task_seq": 1, "round_seq": 2, "all": True, "without": ["{run_other:d}"]},
    ),
    Sight(
        name="batch of a sealed project",
        path="runs",
        statuses=(401, 400, 403, 403, 400, 400),
        method="POST",
        body={"project": "{sealed:d}"},
    ),
    Sight(
        name="joining a sealed project without an invitation",
        path="project-participants/",
        statuses=(401, 404, 404, 404, 404, 400),
        method="POST",
        body={"site": "{site_outsider:d}", "project": "{sealed:d}", "role": "PA"},
    ),
    Sight(
        name="letter of a project that is not sealed",
        path="projects/{idle}/manifests/1/{uid_participant}/",
        statuses=NOBODYS,
    ),
    Sight(
        name="model of somebody who coordinates nothing",
        path="runs/{run_participant}/artifacts/1/2/artifacts/artifacts",
        statuses=(401, 404, 404, 403, 403, 403),
        method="PUT",
        headers={"Repr-Digest": EMPTY},
    ),
    Sight(name="details of readiness", path="/readyz", statuses=(200, 403, 403, 403, 403, 200)),
    Sight(name="stylesheet", path="/static/rest_framework/css/bootstrap.min.css", statuses=(200,) * 6),
    Sight(name="nothing at this address", path="/starfish/api/v1/secrets/", statuses=(404,) * 6),
    Sight(name="no such run", path="runs/999999999/", statuses=NOBODYS),
    Sight(name="no such site", path="sites/999999999/", statuses=NOBODYS),
    Sight(name="no such letter", path="projects/{sealed}/manifests/9/{uid_participant}/", statuses=NOBODYS),
]


def drive(http: httpx2.Client, stage: Stage, credentials: Callable[[str], dict[str, str]]) -> None:
    """One round of the first batch, as its sites do it: with updates, logs, lines, progress and a global model."""

    def send(caller: str, method: str, path: str, body: Any, **headers: str) -> None:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = http.request(method, address(path), headers={**credentials(caller), **headers}, **content)
        assert answer.status_code < 300, (caller, method, path, answer.status_code, answer.text)

    def file(caller: str, kind: str, name: str, text: str) -> None:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        path = f"runs/{stage.ids[f'run_{caller}']}/artifacts/1/1/{kind}/{name}"
        send(caller, "PUT", path, text.encode(), **{"Repr-Digest": f"sha-256=:{digest}:"})

    def move(caller: str, status: int, **more: bool) -> None:
        send(caller, "PUT", f"runs/{stage.ids[f'run_{caller}']}/status/", {"status": status, **more})

    members, hidden = ("coordinator", "participant", "other"), stage.secrets
    for member in members:
        move(member, 3)
    move("coordinator", 4, update_all=True)
    for member in members:
        run, mark = stage.ids[f"run_{member}"], f"{member} says nothing"
        file(member, "mid_artifacts", "mid-artifacts", hidden.get(f"update {member}", mark))
        file(member, "logs", "logs.txt", hidden.get(f"log {member}", mark))
        send(member, "POST", f"runs/{run}/lines/", {"lines": f"{hidden.get(f'line {member}', mark)}\n"})
        report = {"round": 1, "step": hidden.get(f"step {member}", "x"), "fraction": 0.5, "metrics": {}, "message": ""}
        send(member, "POST", f"runs/{run}/progress/", report)
        move(member, 5)
        move(member, 6)
    move("coordinator", 7, update_all=True)
    file("coordinator", "artifacts", "artifacts", hidden["model"])
    move("coordinator", 2, update_all=True, increase_round=True)
