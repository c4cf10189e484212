"""Every route and every method for everyone, over HTTP against a real Routing Server; and who may see what, by whatever way it is asked."""

import io
import re
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from django.urls import URLResolver, get_resolver

from tests.router.matrix_rows import METHODS, Row, Sample, address, filled, rows
from tests.router.matrix_sights import SIGHTS, Sight, drive
from tests.router.matrix_world import CALLERS, MAY_SEE, SEED, SITES, Stage, stages
from tests.support.servers import ADMIN, Databases, Server, serving

pytestmark = pytest.mark.xdist_group("matrix")  # they share a server
ROWS = rows()
ROUTES = list(dict.fromkeys(row.route for row in ROWS))
PAGES = [row for row in ROWS if row.method == "GET" and row.route != "enrol/" and not row.route.startswith("/")]
BY_HEADER = [f"runs/{{run}}/{rest}" for rest in ("step/", "lines/", "progress/", "artifacts/")]
BY_HEADER.append("runs/{run}/artifacts/{task_seq}/{round_seq}/{kind}/{name}")
OWN_WORLDS = [(row.name, caller) for row in ROWS for caller, status in zip(CALLERS, row.statuses, strict=True) if row.changes(status)]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The server and its worlds. `answers`: each request's, which is sent once. `seen`: by caller, secrets of the first world, and how."""

    http: httpx2.Client
    worlds: list[Stage]
    answers: dict[tuple[str, str], httpx2.Response] = field(default_factory=dict)
    seen: dict[str, dict[str, str]] = field(default_factory=lambda: {caller: {} for caller in CALLERS})

    @property
    def first(self) -> Stage:
        return self.worlds[0]

    def row(self, row: Row, caller: str) -> httpx2.Response:
        """In a world of its own where it changes something."""
        changes = row.changes(row.statuses[CALLERS.index(caller)])
        stage = self.worlds[OWN_WORLDS.index((row.name, caller)) + 1] if changes else self.first
        body = content(row.sample, stage.ids) if row.method in ("POST", "PUT", "PATCH") else {}
        return self._ask(row.name, caller, stage, row.method, row.address(stage.ids), row.sample.headers, body)

    def sight(self, sight: Sight, caller: str) -> httpx2.Response:
        stage, path = self.first, address(sight.path.format_map(self.first.ids))
        return self._ask(sight.name, caller, stage, sight.method, path, sight.headers_for(self.http, stage), sight.content(stage.ids))

    def page(self, row: Row, caller: str) -> httpx2.Response:
        """The same row in a browser, with the session of one who has logged in."""
        stage = self.first
        cookies = {"Cookie": f"sessionid={stage.sessions[caller]}"} if caller in stage.sessions else {}
        headers = {"Accept": "text/html", "Authorization": "", **cookies}
        return self._ask(f"browser {row.name}", caller, stage, "GET", row.address(stage.ids), headers, {})

    def _ask(
        self, name: str, caller: str, stage: Stage, method: str, path: str, headers: Mapping[str, str], body: dict[str, Any]
    ) -> httpx2.Response:
        if (name, caller) not in self.answers:
            sent = {name: value for name, value in {**credentials(stage, caller), **headers}.items() if value}
            answer = self.answers[name, caller] = self.http.request(method, path, headers=sent, **body)
            if stage is self.first:
                told, asked = text_of(answer), f"{path} {body}"
                new = {secret: name for secret, text in stage.secrets.items() if text in told and text not in asked}
                self.seen[caller] = {**new, **self.seen[caller]}
        return self.answers[name, caller]


def credentials(stage: Stage, caller: str) -> dict[str, str]:
    if caller == "anonymous":
        return {}
    if caller == "administrator":
        return {"Authorization": "Basic " + b64encode(":".join(ADMIN).encode()).decode()}
    return {"Authorization": f"Bearer {stage.tokens[caller]}"}


def content(sample: Sample, ids: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(sample.body, bytes):
        return {"content": sample.body}
    if sample.files:
        return {"data": filled(sample.body, ids), "files": {name: ("logs.txt", data) for name, data in sample.files.items()}}
    return {"json": filled(sample.body or {}, ids)}


def text_of(answer: httpx2.Response) -> str:
    """All that it tells: head, body, and what is packed in it."""
    body = answer.content
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            body = b"\n".join(name.encode() + b" " + packed.read(name) for name in packed.namelist())
    return f"{answer.headers}\n{body.decode(errors='replace')}"


@pytest.fixture(scope="module")
def matrix(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with serving("serve", tmp_path_factory.mktemp("matrix"), databases) as server, httpx2.Client(base_url=server.url, timeout=30) as http:
        yield prepared(server, http)


def prepared(server: Server, http: httpx2.Client) -> Matrix:
    made = stages(server.manage("shell", "--verbosity", "0", "-c", SEED.format(worlds=len(OWN_WORLDS) + 1)))
    drive(http, made[0], lambda caller: credentials(made[0], caller))
    return Matrix(http=http, worlds=made)


def wrongly(answers: Iterable[tuple[str, int, httpx2.Response]]) -> list[str]:
    """What is not as expected, for people to read."""
    return [
        f"{what}: {answer.status_code} instead of {status}: {answer.text[:200]}"
        for what, status, answer in answers
        if answer.status_code != status
    ]


def routes(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Of the URL configuration, with {} for each parameter."""
    for pattern in patterns:
        here = before + re.sub(r"\(\?P<\w+>[^)]*\)|<[\w:]+>", "{}", str(pattern.pattern).lstrip("^").removesuffix("$").removesuffix("\\Z"))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, here)
        else:
            yield f"/{here}"


def test_every_route_and_method_has_its_row() -> None:
    known = [(re.sub(r"{\w+}", "{}", address(row.route)), row.method) for row in ROWS]
    assert len(known) == len(set(known)), "a row stands twice"
    there = {(route, method) for route in routes(get_resolver().url_patterns) for method in METHODS}
    assert len(there) > 300
    assert set(known) == there


@pytest.mark.parametrize("route", ROUTES)
def test_the_matrix(matrix: Matrix, route: str) -> None:
    asked = [(row, caller, status) for row in ROWS if row.route == route for caller, status in zip(CALLERS, row.statuses, strict=True)]
    wrong = wrongly((f"{row.name} for {caller}", status, matrix.row(row, caller)) for row, caller, status in asked)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.name)
def test_by_whatever_way_it_is_asked(matrix: Matrix, sight: Sight) -> None:
    wrong = wrongly((caller, status, matrix.sight(sight, caller)) for caller, status in zip(CALLERS, sight.statuses, strict=True))
    assert not wrong, "\n".join(wrong)


def test_a_browser_is_answered_as_a_program_is(matrix: Matrix) -> None:
    """But where a request must show a header of its own, so that no session can be ridden, or a site's token."""
    asked = [(row, caller, status) for row in PAGES for caller, status in zip(CALLERS, row.statuses, strict=True)]
    assert len(asked) > 150
    wrong = wrongly((f"{row.name} for {caller}", _to_browsers(row, status), matrix.page(row, caller)) for row, caller, status in asked)
    assert not wrong, "\n".join(wrong)


def _to_browsers(row: Row, status: int) -> int:
    if row.route in BY_HEADER:
        return 401
    return 404 if row.route == "sites/token/" and status == 200 else status


def test_everyone_saw_what_is_theirs_and_nothing_else(matrix: Matrix) -> None:
    """In all answers to reading, of whatever form."""
    for caller in CALLERS:
        for row in ROWS:
            matrix.row(row, caller)
        for sight in SIGHTS:
            matrix.sight(sight, caller)
        for row in PAGES:
            matrix.page(row, caller)
    too_much = {
        f"{secret} by {how}, as {caller}"
        for caller in ("anonymous", *SITES)
        for secret, how in matrix.seen[caller].items()
        if caller not in MAY_SEE[secret]
    }
    assert not too_much
    assert set(matrix.seen["administrator"]) == set(MAY_SEE), "a secret that is never shown guards nothing"
    for caller in SITES:
        assert set(matrix.seen[caller]) == {secret for secret, those in MAY_SEE.items() if caller in those}, caller


def test_what_was_refused_has_changed_nothing(matrix: Matrix) -> None:
    """In the first world, where all that is refused was asked for."""
    for row in ROWS:
        for caller in CALLERS:
            matrix.row(row, caller)
    ids, secrets, headers = matrix.first.ids, matrix.first.secrets, credentials(matrix.first, "administrator")

    def shown(path: str) -> Any:
        return matrix.http.get(address(path), headers=headers).json()

    site = shown(f"sites/{ids['site_participant']}/")
    assert (site["name"], site["description"]) == (secrets["site participant"], "of the matrix")
    [run] = shown(f"runs/lookup/?project={ids['project']}")
    assert (run["batch"], run["status"], run["tasks"][0]["config"]["current_round"]) == (1, "Standby", 2)
    assert shown(f"runs/lookup/?project={ids['idle']}") == []
    assert len(shown(f"project-participants/lookup/?project={ids['idle']}")) == 3
    assert shown(f"users/{ids['account_participant']}/")["username"] == secrets["account participant"]
    asked = shown(f"invitations/{ids['asked']}/")
    assert (asked["state"], asked["request"]) == ("asked", secrets["asked"])
    assert shown(f"invitations/{ids['invitation']}/")["state"] == "open"
    assert len(shown(f"projects/{ids['sealed']}/manifests/?site_uid={ids['uid_participant']}")) == 1
    assert len(shown(f"sites/{ids['site_participant']}/cards/")) == 1
