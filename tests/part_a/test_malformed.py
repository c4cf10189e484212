"""Whatever is sent, the router answers for it: 400, 404 and their kin, never a 500. And without an account it answers nothing."""

import itertools
import socket
import uuid
from typing import Any

import pytest

from tests.part_a.wire import File, Router
from tests.part_a.world import Project
from tests.support.servers import ADMIN, Server

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
COLLECTIONS = ("users/", "groups/", "sites/", "projects/", "project-participants/", "runs/")
ROUTES = (
    *COLLECTIONS,
    *("sites/lookup/", "sites/heartbeat/", "projects/lookup/", "project-participants/lookup/"),
    *("runs", "runs/active/", "runs/lookup/", "runs/detail/", "runs-action/upload/", "runs-action/download/", "runs-action/update/"),
)
BY_ID = (*(f"{collection}{{id}}/" for collection in COLLECTIONS), "runs/{id}/status/", "runs/{id}/step/")
MALFORMED_IDS = ("abc", "1.5", "-1", "%00", "%FF", "1%20", "%D9%A3", uuid.UUID(int=1), "9" * 40, "1,2", "None", "'")
BODIES = (
    *(
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"NaN",
        b"[[[[[[]]]]]]",
        b"\xff\xfe",
        b"\x00",
        b'{"a": 1e999}',
        b"[" * 5000,
        b'{"\\ud800": 1}',
    ),
    b'{"uid": "\\u0000", "name": "\\u0000", "description": "\\u0000", "status": 1, "project": 0, "site": 1, "role": "PA", "notes": ""}',
    b'{"uid": "\\u0000", "name": "\\u0000", "notes": "\\u0000"}',
    b'{"name": "\\ud800", "description": "\\ud800", "uid": "%s", "notes": "\\ud800"}' % str(uuid.uuid4()).encode(),
    b'{"uid": {}, "name": [], "status": {}, "project": {}, "site": [], "run": {}, "role": {}, "action": [], "batch": {}, "tasks": {}}',
    b'{"status": 1e400, "project": 1e400, "site": 1e400, "run": 1e400, "batch": 1e400}',
    b'{"project": 99999999999999999999999, "site": 99999999999999999999999, "run": 99999999999999999999999, "status": 99, "role": "PA"}',
)
TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "",
    "/",
)
QUERIES = ("x", "", "-1", "1.5", "9" * 40, "\x00", "٣", "NaN", str(uuid.UUID(int=0)), "a" * 5000)
QUERIED = {
    "sites/lookup/": ("uid",),
    "projects/lookup/": ("site_id", "name"),
    "project-participants/lookup/": ("project",),
    "runs/active/": ("site_uid",),
    "runs/lookup/": ("project", "batch_id", "site_uid"),
    "runs/detail/": ("batch", "project", "site", "site_uid"),
    "runs-action/download/": ("run", "type", "task_seq", "round_seq", "all_runs"),
    "sites/": ("page",),
    "projects/": ("page",),
    "runs/": ("page",),
}


def well(answer: Any, request: object) -> int:
    """The status, which is never the router's own fault."""
    assert answer.status < 500, (request, answer.status, answer.body[:500])
    return int(answer.status)


@pytest.mark.parametrize("path", BY_ID)
def test_a_malformed_id_is_400_an_unknown_404(router: Router, path: str) -> None:
    method = "PUT" if path.endswith("status/") else "POST" if path.endswith("step/") else "GET"
    body = (
        {"status": 3}
        if method == "PUT"
        else {"from": 2, "to": [3], "batch": 1, "task_seq": 1, "round_seq": 1}
        if method == "POST"
        else None
    )
    for wrong in MALFORMED_IDS:
        status = well(router.request(method, path.format(id=wrong), body), (path, wrong))
        assert status in (400, 404) if wrong in ("9" * 40, "-1") else status == 400, (path, wrong)
    for unknown in (0, 999_999_999):
        assert well(router.request(method, path.format(id=unknown), body), (path, unknown)) == 404
    assert 400 <= well(router.request(method, path.format(id="a/b"), body), path) < 500


@pytest.mark.parametrize("path", QUERIED)
def test_a_malformed_query_is_a_clients_fault(router: Router, path: str) -> None:
    for name in QUERIED[path]:
        for value in QUERIES:
            status = well(router.get(path, **{name: value}), (path, name, value))
            if value == "x" and name not in ("name", "type", "page"):
                assert status == 400, (path, name, value)
    for query in itertools.product(QUERIES[:6], repeat=len(QUERIED[path]) if len(QUERIED[path]) < 4 else 1):
        well(router.get(path, **dict(zip(QUERIED[path], query, strict=False))), (path, query))


@pytest.mark.parametrize(
    "path", [*ROUTES, "sites/{site}/", "projects/{project}/", "project-participants/{member}/", "runs/{run}/", "runs/{run}/status/"]
)
def test_a_body_that_is_none(router: Router, project: Project, path: str) -> None:
    run = project.open()[0]
    member = router.get("project-participants/lookup/", project=project.id).json()[1]["id"]
    target = path.format(site=project.sites[1]["id"], project=project.id, member=member, run=run)
    for method in ("POST", "PUT", "PATCH"):
        if well(router.request(method, target, {"nothing": "here"}), (method, path)) == 405:
            continue
        for body in BODIES:
            status = well(router.request(method, target, raw=body), (method, path, body))
            if body in (b"{", b"\xff\xfe", b"NaN"):
                assert 400 <= status < 500, (method, path, body)
        for content_type in TYPES:
            well(router.request(method, target, raw=b"--x\r\n{", headers={"Content-type": content_type}), (method, path, content_type))
    assert project.words() == ["Standby"] * 3


@pytest.mark.parametrize("path", [*ROUTES, *(path.format(id=1) for path in BY_ID)])
def test_every_method_of_every_route_without_an_account(nobody: Router, project: Project, path: str) -> None:
    project.open()
    for method in METHODS:
        answer = nobody.request(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
        assert answer.status in (401, 403) or (path.endswith("step/") and method != "POST" and answer.status == 405), (method, answer)
        assert str(project.sites[0]["uid"]).encode() not in answer.body


@pytest.mark.parametrize(
    "account", [(ADMIN[0], "wrong"), (ADMIN[0], ""), ("nobody", ""), ("", ""), ("\x00", "\x00"), ("ü", "ü"), ("x" * 1000, "y")]
)
def test_wrong_credentials(nobody: Router, account: tuple[str, str]) -> None:
    assert Router(url=nobody.url, account=account).get("sites/").status in (401, 403)


@pytest.mark.parametrize(
    "value", ["Basic", "Basic ", "Basic !!!", "Basic eA==", "Basic /w==", "Bearer", "Bearer ", "Bearer x", "Bearer \xff", "Digest x", "x"]
)
def test_credentials_that_are_none(nobody: Router, value: str) -> None:
    assert nobody.request("GET", "sites/", headers={"Authorization": value}).status in (401, 403)


@pytest.mark.parametrize("path", ["schema/", "", "/metrics"])
def test_what_describes_the_router_is_not_for_everybody(nobody: Router, path: str) -> None:
    assert nobody.get(path).status in (401, 403, 404)


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/", 302), ("/starfish/api-auth/login/", 200)])
def test_what_is_open(nobody: Router, path: str, status: int) -> None:
    answer = nobody.get(path)
    assert answer.status == status or (status, answer.status) == (302, 301)
    if path == "/":
        assert answer.headers["location"].endswith("/starfish/api/v1/")
    if path in ("/healthz", "/readyz"):
        assert len(answer.body) < 100, "without details"


def test_the_root_names_the_collections(router: Router, nobody: Router) -> None:
    assert {"sites", "projects", "project-participants", "runs", "users", "groups"} <= set(router.get("").json())
    page = router.request("GET", "", headers={"Accept": "text/html"})
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")


def test_unknown_routes(router: Router) -> None:
    for path in (
        "nothing/",
        "sites/1/nothing/",
        "/nothing",
        "/starfish/",
        "/starfish/api/v2/",
        "runs-action/nothing/",
        "/admin/../etc/passwd",
    ):
        assert router.get(path).status == 404, path


def test_a_path_without_its_slash_is_not_an_error_of_the_router(router: Router) -> None:
    for path, method in itertools.product(("sites", "projects/lookup", "runs-action/upload", "runs/1/status"), METHODS):
        well(router.request(method, path, {} if method in ("POST", "PUT", "PATCH") else None), (method, path))


@pytest.mark.parametrize(
    "data",
    [
        b"GET /starfish/api/v1/sites/ HTTP/1.1\r\n\r\n",
        b"GET http://other/starfish/api/v1/ HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"POST /starfish/api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
def test_what_is_no_http(shared: Server, router: Router, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        first = connection.makefile("rb").readline()
    assert not first or b" 5" not in first[:12]
    assert router.get("sites/").status == 200


def test_a_form_that_breaks_off(router: Router, project: Project) -> None:
    run = project.open()[0]
    whole = {"Content-type": "multipart/form-data; boundary=x"}
    for raw in (
        b"",
        b"--x",
        b'--x\r\nContent-Disposition: form-data; name="run"\r\n\r\n%d' % run,
        b'--x\r\nContent-Disposition: form-data; name="logs"; filename="logs.txt"\r\n\r\nabc',
        b"--x\r\nContent-Disposition: \xff\r\n\r\n\r\n--x--\r\n",
    ):
        assert well(router.request("POST", "runs-action/upload/", raw=raw, headers=whole), raw) == 400
    many = {f"field{number}": 1 for number in range(2000)}
    well(router.form("runs-action/upload/", many, []), "many fields")
    well(
        router.form("runs-action/upload/", {"run": run, "task_seq": 1, "round_seq": 1}, [File(field="other", name="x", data=b"x")]),
        "other field",
    )
    assert project.runs()[0]["logs"] == []
