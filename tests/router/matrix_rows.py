"""The permission matrix: what each caller is answered, on every route and by every method. A route or a method without a row fails.

To add a route: its rows in TABLE; where `{...}` in it is not filled yet, a line in FILLED; where a request needs a query, a body or
headers, an entry in SAMPLES. What is addressed is always the participant's: its site, its run, its membership, its account. In queries
and bodies `{name}` is an id of the world (`matrix_world`); where a caller is answered by 2xx to anything but a GET it gets a world of
its own, so that rows don't get into each other's way. A route that shows something new: a secret in `matrix_world`, in MAY_SEE.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from string import Formatter
from typing import Any

BASE = "starfish/api/v1/"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TABLE = """
                                                            anony-  out-    other   parti-  coordi- admini-
                                                            mous    sider   partic. cipant  nator   strator
/
    GET HEAD OPTIONS                                         302     302     302     302     302     302
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/healthz
    GET HEAD OPTIONS                                         200     200     200     200     200     200
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/readyz
    GET HEAD OPTIONS                                         200     403     403     403     403     200
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/metrics
    GET HEAD OPTIONS                                         401     403     403     403     403     200
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/starfish/api/v1
    GET HEAD OPTIONS                                         302     302     302     302     302     302
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/starfish/api-auth/login/
    GET HEAD OPTIONS                                         200     200     200     200     200     200
    POST PUT PATCH DELETE                                    403     403     403     403     403     403
/starfish/api-auth/logout/
    GET HEAD                                                 405     405     405     405     405     405
    OPTIONS                                                  200     200     200     200     200     200
    POST PUT PATCH DELETE                                    403     403     403     403     403     403

(root)
    GET HEAD                                                 401     200     200     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
schema/
    GET HEAD                                                 401     200     200     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
enrol/
    POST                                                     201     201     201     201     201     201
    GET HEAD PUT PATCH DELETE OPTIONS                        405     405     405     405     405     405

users/
    GET HEAD                                                 401     403     403     403     403     200
    POST                                                     401     403     403     403     403     201
    PUT PATCH DELETE OPTIONS                                 401     403     403     403     403     405
users/{account}/
    GET HEAD                                                 401     403     403     403     403     200
    PUT PATCH                                                401     403     403     403     403     200
    DELETE                                                   401     403     403     403     403     204
    POST OPTIONS                                             401     403     403     403     403     405
groups/
    GET HEAD                                                 401     403     403     403     403     200
    POST                                                     401     403     403     403     403     201
    PUT PATCH DELETE OPTIONS                                 401     403     403     403     403     405
groups/{group}/
    GET HEAD                                                 401     403     403     403     403     200
    PUT PATCH                                                401     403     403     403     403     200
    DELETE                                                   401     403     403     403     403     204
    POST OPTIONS                                             401     403     403     403     403     405

sites/
    GET HEAD                                                 401     200     200     200     200     200
    POST                                                     401     403     403     403     403     201
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
sites/{site}/
    GET HEAD                                                 401     404     404     200     200     200
    PUT PATCH                                                401     404     404     200     403     200
    DELETE                                                   401     404     404     409     403     409
    POST OPTIONS                                             401     405     405     405     405     405
sites/lookup/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
sites/heartbeat/
    POST                                                     401     404     404     202     403     202
    GET HEAD PUT PATCH DELETE OPTIONS                        401     405     405     405     405     405
sites/token/
    GET HEAD                                                 401     200     200     200     200     404
    POST                                                     401     200     200     200     200     404
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
sites/{site}/cards/
    GET HEAD                                                 401     404     404     200     200     200
    POST                                                     401     404     404     201     403     201
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
sites/cards/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405

projects/
    GET HEAD                                                 401     200     200     200     200     200
    POST                                                     401     404     404     201     403     201
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
projects/{sealed}/
    GET HEAD                                                 401     404     200     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
projects/lookup/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
projects/{sealed}/manifests/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
projects/{sealed}/manifests/{version}/{uid_participant}/
    GET HEAD                                                 401     404     404     200     200     200
    PUT                                                      401     404     403     403     201     201
    POST PATCH DELETE OPTIONS                                401     405     405     405     405     405
project-participants/
    GET HEAD                                                 401     200     200     200     200     200
    POST                                                     401     404     404     201     403     201
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
project-participants/{idle_participant}/
    GET HEAD                                                 401     404     404     200     200     200
    DELETE                                                   401     404     404     204     403     204
    POST PUT PATCH OPTIONS                                   401     405     405     405     405     405
project-participants/lookup/
    GET HEAD                                                 401     404     200     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
invitations/
    POST                                                     401     404     404     404     201     201
    GET HEAD PUT PATCH DELETE OPTIONS                        401     405     405     405     405     405
invitations/lookup/
    GET HEAD                                                 401     404     403     403     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
invitations/{invitation}/
    GET HEAD                                                 401     404     404     200     200     200
    DELETE                                                   401     404     404     403     204     204
    POST PUT PATCH OPTIONS                                   401     405     405     405     405     405
invitations/{invitation}/request/
    PUT                                                      401     404     404     200     403     200
    GET HEAD POST PATCH DELETE OPTIONS                       401     405     405     405     405     405
invitations/{asked}/answer/
    PUT                                                      401     404     404     403     200     200
    GET HEAD POST PATCH DELETE OPTIONS                       401     405     405     405     405     405

runs
    POST                                                     401     403     403     403     201     201
    GET HEAD PUT PATCH DELETE OPTIONS                        401     405     405     405     405     405
runs/
    GET HEAD                                                 401     200     200     200     200     200
    POST                                                     401     403     403     403     201     201
    PUT PATCH DELETE OPTIONS                                 401     405     405     405     405     405
runs/active/
    GET HEAD                                                 401     404     404     200     404     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/lookup/
    GET HEAD                                                 401     404     404     200     404     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/detail/
    GET HEAD                                                 401     404     404     200     404     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{run}/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{sealed_run}/order/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{run}/status/
    PUT                                                      401     404     404     202     403     202
    GET HEAD POST PATCH DELETE OPTIONS                       401     405     405     405     405     405
runs/{run}/step/
    POST                                                     401     404     404     200     403     200
    GET HEAD PUT PATCH DELETE OPTIONS                        401     405     405     405     405     405
runs/{run}/lines/
    GET                                                      401     404     404     200     200     200
    POST                                                     401     404     404     201     403     201
    HEAD PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{run}/progress/
    GET                                                      401     404     404     200     200     200
    POST                                                     401     404     404     201     403     201
    HEAD PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{run}/artifacts/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs/{run}/artifacts/{task_seq}/{round_seq}/{kind}/{name}
    GET HEAD                                                 401     404     404     200     200     200
    PUT                                                      401     404     404     201     403     201
    POST PATCH DELETE OPTIONS                                401     405     405     405     405     405
runs-action/upload/
    POST                                                     401     404     404     200     403     200
    GET HEAD PUT PATCH DELETE OPTIONS                        401     405     405     405     405     405
runs-action/download/
    GET HEAD                                                 401     404     404     200     200     200
    POST PUT PATCH DELETE OPTIONS                            401     405     405     405     405     405
runs-action/update/
    PUT                                                      401     404     404     202     403     202
    GET HEAD POST PATCH DELETE OPTIONS                       401     405     405     405     405     405
"""
FILLED = {"site": "site_participant", "account": "account_participant", "run": "run_participant", "sealed_run": "sealed_run_participant"}
"""Words of the table for ids of the world of another name."""
CONSTANTS = {"task_seq": 1, "round_seq": 1, "kind": "mid_artifacts", "name": "mid-artifacts", "version": 1}
NEW_UID = "00000000-0000-4000-8000-{number:012d}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A request that is right in all but who asks. `body`: JSON, or bytes; `constants`: instead of the usual ones."""

    query: str = ""
    body: Any = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)


LOG = b"of the matrix"
STEP = {"from": 2, "to": [3], "batch": 1, "task_seq": 1, "round_seq": 1}
SITE = {"uid": "{uid_participant}", "name": "renamed {number}", "description": ""}
REPORT = {"round": 1, "step": "x", "fraction": 0.5, "metrics": {}, "message": ""}
OWN_FILE = {"Repr-Digest": f"sha-256=:{b64encode(sha256(LOG).digest()).decode()}:"}
LETTER = b"age-encryption.org/v1\nof the matrix"
START = Sample(body={"project": "{idle:d}"})
SAMPLES: Mapping[str, Sample] = {
    "POST enrol/": Sample(body={"code": "{code}", "uid": NEW_UID, "token": "{code}{code}"}),
    "POST users/": Sample(body={"username": "new-{number}"}),
    "PUT users/{account}/": Sample(body={"username": "renamed-{number}"}),
    "PATCH users/{account}/": Sample(body={"email": "a@example.org"}),
    "POST groups/": Sample(body={"name": "new {number}"}),
    "PUT groups/{group}/": Sample(body={"name": "renamed {number}"}),
    "PATCH groups/{group}/": Sample(body={"name": "renamed again {number}"}),
    "POST sites/": Sample(body={"uid": NEW_UID, "name": "new {number}"}),
    "PUT sites/{site}/": Sample(body=SITE),
    "PATCH sites/{site}/": Sample(body={"description": "changed"}),
    "GET sites/lookup/": Sample(query="uid={uid_participant}"),
    "POST sites/heartbeat/": Sample(body={"uid": "{uid_participant}", "status": 1}),
    "POST sites/token/": Sample(body={"token": "{code}{code}"}),
    "POST sites/{site}/cards/": Sample(body={"card": 'card\n{{"version": 2}}\n'}),
    "GET sites/cards/": Sample(query="uid={uid_participant}"),
    "POST projects/": Sample(body={"name": "new {number}", "site": "{site_participant:d}", "tasks": []}),
    "GET projects/lookup/": Sample(query="site_id={site_participant}"),
    "GET projects/{sealed}/manifests/": Sample(query="site_uid={uid_participant}"),
    "PUT projects/{sealed}/manifests/{version}/{uid_participant}/": Sample(
        body=LETTER, headers={"Content-Type": "application/octet-stream"}, constants={"version": 2}
    ),
    "POST project-participants/": Sample(body={"site": "{site_participant:d}", "project": "{foreign:d}", "role": "PA"}),
    "GET project-participants/lookup/": Sample(query="project={sealed}"),
    "POST invitations/": Sample(
        body={"project": "{inviting:d}", "id": "{number:032x}", "site": "somebody", "expires": "2999-01-01T00:00:00Z"}
    ),
    "GET invitations/lookup/": Sample(query="project={sealed}"),
    "PUT invitations/{invitation}/request/": Sample(body={"site": "{site_participant:d}", "request": "please"}),
    "PUT invitations/{asked}/answer/": Sample(body={"approved": True, "answer": "welcome"}),
    "POST runs": START,
    "POST runs/": START,
    "GET runs/active/": Sample(query="site_uid={uid_participant}"),
    "GET runs/lookup/": Sample(query="project={project}&site_uid={uid_participant}"),
    "GET runs/detail/": Sample(query="project={project}&batch=1&site={site_participant}"),
    "PUT runs/{run}/status/": Sample(body={"status": 3}),
    "POST runs/{run}/step/": Sample(body=STEP),
    "POST runs/{run}/lines/": Sample(body={"lines": "2026-01-01T00:00:00.000+00:00 x\n"}),
    "POST runs/{run}/progress/": Sample(body=REPORT),
    "PUT runs/{run}/artifacts/{task_seq}/{round_seq}/{kind}/{name}": Sample(
        body=LOG, headers=OWN_FILE, constants={"kind": "logs", "name": "logs.txt"}
    ),
    "POST runs-action/upload/": Sample(body={"run": "{run_participant}", "task_seq": "1", "round_seq": "1"}, files={"logs": LOG}),
    "GET runs-action/download/": Sample(query="run={run_participant}&type=mid_artifacts"),
    "PUT runs-action/update/": Sample(body={"run": "{run_participant:d}", "action": "stop"}),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One route and method, and the status for each caller, in the table's order."""

    method: str
    route: str
    statuses: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.method} {self.route}"

    @property
    def sample(self) -> Sample:
        return SAMPLES.get(self.name.replace("HEAD ", "GET "), Sample())

    def changes(self, status: int) -> bool:
        """Whether the request does something where it is answered so."""
        return self.method in ("POST", "PUT", "PATCH", "DELETE") and 200 <= status < 300

    def address(self, ids: Mapping[str, Any]) -> str:
        known = {**ids, **CONSTANTS, **{word: ids[name] for word, name in FILLED.items()}, **self.sample.constants}
        path = address(self.route).format_map(known)
        return f"{path}?{self.sample.query.format_map(ids)}" if self.sample.query else path


def rows() -> list[Row]:
    """The table, read."""
    found, route = [], ""
    for line in TABLE.splitlines()[3:]:
        if line and not line.startswith(" "):
            route = "" if line == "(root)" else line
        elif line:
            words = line.split()
            methods = [word for word in words if not word.isdigit()]
            statuses = tuple(int(word) for word in words if word.isdigit())
            found += [Row(method=method, route=route, statuses=statuses) for method in methods]
    return found


def address(route: str) -> str:
    """A route of the table, as the URL configuration has it: those of the API are below its base."""
    return route if route.startswith("/") else f"/{BASE}{route}"


def filled(value: Any, ids: Mapping[str, Any]) -> Any:
    """A body with the world's ids in it; `{name:d}` alone is a number."""
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    if not isinstance(value, str):
        return value
    text = Formatter().vformat(value, (), ids)
    return json.loads(text) if value.startswith("{") and value.endswith(":d}") else text
