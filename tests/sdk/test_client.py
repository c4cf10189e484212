"""The client against real sockets: what each answer becomes, what is tried again, and what has a deadline."""

import base64
import io
import json
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from starfish.protocol.run_state import RunStatus
from starfish.sdk import Client, Conflict, Forbidden, Invalid, NotFound, Problem, RouterUnreachable, Unauthorized

SITE = {"id": 3, "name": "A", "description": "", "uid": "0f8fad5b-d9cb-469f-a165-70867728950e", "status": "Connected"}
RUN = {
    "id": 5,
    "project": 1,
    "batch": 2,
    "role": "participant",
    "site_uid": SITE["uid"],
    "cur_seq": 1,
    "status": "Pending Success",
    "logs": [],
    "artifacts": [],
    "middle_artifacts": [],
    "tasks": [{"seq": 1, "model": "M", "config": {"total_round": 9, "current_round": 4}}],
    "updated_at": "2026-11-24T10:00:00.000001Z",
}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Stub:
    """A server that gives the answers it was told, the last one for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer()]
        self.seen: list[Seen] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stub.seen.append(Seen(self.command, self.path, dict(self.headers), body, self.client_address[1]))
                answer = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
                if answer.hang_up:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def says(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def said(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers={"Content-Type": "application/json", **headers})


@pytest.fixture
def router() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
def client(router: Stub) -> Iterator[Client]:
    made = Client(router.url + "/", token="t" * 32, timeout=5)
    yield made
    made.close()


def test_requests_carry_who_asks_and_what_they_read(router: Stub, client: Client) -> None:
    router.says(said(SITE))
    site = client.site_by_uid("u")
    assert (site.id, site.connected) == (3, True)
    [seen] = router.seen
    assert seen.path == "/starfish/api/v1/sites/lookup/?uid=u"
    assert seen.headers["Authorization"] == "Bearer " + "t" * 32
    assert "application/problem+json" in seen.headers["Accept"]


def test_a_name_and_password_are_sent_as_basic(router: Stub) -> None:
    router.says(said(SITE))
    client = Client(router.url, username="ä", password="p:w")
    client.site_by_uid("u")
    client.close()
    assert base64.b64decode(router.seen[0].headers["Authorization"].removeprefix("Basic ")).decode() == "ä:p:w"


def test_one_connection_is_kept(router: Stub, client: Client) -> None:
    router.says(said(SITE))
    for _ in range(4):
        client.site_by_uid("u")
    assert len({seen.connection for seen in router.seen}) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (401, Unauthorized), (403, Forbidden), (404, NotFound), (409, Conflict), (500, Problem), (418, Problem)],
)
def test_a_refusal_is_its_exception_and_not_asked_again(router: Stub, client: Client, status: int, kind: type[Problem]) -> None:
    router.says(said({"type": "x", "title": "T", "status": status, "detail": "because", "code": "c", "state": "Running"}, status))
    with pytest.raises(kind) as raised:
        client.run(5)
    assert str(raised.value) == "because"
    assert raised.value.extra == {"state": "Running"}
    assert len(router.seen) == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'"Site not found"', "Site not found"),
        (b'{"detail": "Not found."}', "Not found."),
        (b'{"name": ["taken"]}', '{"name": ["taken"]}'),
        (b"<html>", "127.0.0.1 answers HTTP 404 without a reason. Check the address, or ask its operator."),
        (b"", "127.0.0.1 answers HTTP 404 without a reason. Check the address, or ask its operator."),
    ],
)
def test_part_a_refusals_are_sentences_too(router: Stub, client: Client, body: bytes, sentence: str) -> None:
    router.says(Answer(status=404, body=body))
    with pytest.raises(NotFound) as raised:
        client.project(1)
    assert str(raised.value) == sentence


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_away_for_a_moment_is_asked_again(router: Stub, client: Client, status: int) -> None:
    router.says(Answer(status=status), Answer(hang_up=True), said(SITE))
    assert client.site_by_uid("u").id == 3
    assert len(router.seen) == 3


def test_a_server_that_stays_away_is_unreachable(router: Stub, client: Client) -> None:
    router.says(Answer(status=503))
    with pytest.raises(RouterUnreachable, match="503"):
        client.heartbeat("u")
    assert len(router.seen) == 3


def test_a_step_whose_answer_was_lost_is_sent_again_as_the_same_step(router: Stub, client: Client) -> None:
    router.says(said(RUN))
    run = client.run(5)
    router.seen.clear()
    router.says(Answer(hang_up=True), said(RUN | {"active": [RUN]}, ETag='"tag"'))
    after = client.step(run, [RunStatus.PENDING_AGGREGATING], artifact=("mid_artifacts", "mid-artifacts", b"\x00data"))
    assert after.run.status is RunStatus.PENDING_SUCCESS
    assert (after.listing.etag, [run.id for run in after.listing.runs]) == ('"tag"', [RUN["id"]])
    first, second = router.seen
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert json.loads(first.body) == {
        "from": 5,
        "to": [6],
        "batch": 2,
        "task_seq": 1,
        "round_seq": 4,
        "all": False,
        "end_task": False,
        "begin": False,
        "artifact": {"kind": "mid_artifacts", "name": "mid-artifacts", "data": base64.b64encode(b"\x00data").decode()},
    }


def test_two_steps_are_two_even_if_they_are_alike(router: Stub, client: Client) -> None:
    router.says(said(RUN))
    run = client.run(5)
    router.says(*[said(RUN | {"active": []}, ETag='"tag"')] * 2)
    for _ in range(2):
        client.step(run, [RunStatus.PENDING_AGGREGATING], stored=("mid_artifacts", "mid-artifacts", "ab"))
    assert len({seen.headers["Idempotency-Key"] for seen in router.seen[1:]}) == 2
    assert json.loads(router.seen[1].body)["artifact"] == {"kind": "mid_artifacts", "name": "mid-artifacts", "sha256": "ab"}


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", timeout=2)
    with pytest.raises(RouterUnreachable, match=str(port)):
        client.active_runs("u")
    client.close()


def test_a_server_that_hangs_has_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(RouterUnreachable, match="does not answer"):
            client.active_runs("u")
        client.close()


@pytest.mark.parametrize("url", ["", "hospital", "ftp://x", "http://", "http://a b", "http://x:99999"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(RouterUnreachable):
        Client(url, timeout=1).active_runs("u")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>Welcome to the hospital's wireless network</html>"),
        Answer(),
        Answer(status=302, headers={"Location": "https://login.example"}),
        said({"hello": "world"}),
        said([1, 2]),
        said("a word"),
        said([{**RUN, "status": "Resting"}]),
        said([{**RUN, "updated_at": "yesterday"}]),
        said([{**RUN, "tasks": None}]),
        said([{key: value for key, value in RUN.items() if key != "batch"}]),
    ],
)
def test_what_is_no_routing_server_is_said_to_be_none(router: Stub, client: Client, answer: Answer) -> None:
    router.says(answer)
    with pytest.raises(RouterUnreachable, match="does not answer as a Starfish Routing Server"):
        client.active_runs("u")


def packed(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_download_is_unpacked_inside_its_folder(router: Stub, client: Client, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    router.says(Answer(body=packed(("5-1-4-artifacts", data), ("../../outside", b"x"))))
    folder = tmp_path / "new" / "folder"
    files = client.download(5, "artifacts", 1, 4, folder)
    assert files[0].read_bytes() == data
    assert all(folder in file.parents for file in files)
    assert not (tmp_path / "outside").exists()
    assert sorted(folder.iterdir()) == sorted(files), "the archive itself is gone"
    assert router.seen[0].path.endswith("?run=5&type=artifacts&all_runs=0&task_seq=1&round_seq=4")


@pytest.mark.parametrize("damage", [lambda zipped: zipped[:-30], lambda zipped: zipped[:60] + b"\xff" * 40 + zipped[100:], lambda _: b""])
def test_a_damaged_download_is_to_be_repeated(router: Stub, client: Client, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    router.says(Answer(body=damage(packed(("5-1-4-artifacts", bytes(range(256)) * 50)))))
    with pytest.raises(RouterUnreachable, match="damaged"):
        client.download(5, "artifacts", 1, 4, tmp_path)


def test_a_download_of_nothing_is_not_found(router: Stub, client: Client, tmp_path: Path) -> None:
    router.says(said("No artifacts", 404))
    with pytest.raises(NotFound, match="No artifacts"):
        client.download(5, "artifacts", None, None, tmp_path)


def test_an_upload_is_multipart_under_its_kind_and_name(router: Stub, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "anything"
    file.write_bytes(b"from a file")
    client.upload(5, 1, 4, "mid_artifacts", "mid-artifacts", file)
    client.upload(5, 1, 4, "logs", "logs.txt", b"from memory")
    first, second = (seen.body.replace(b"\r\n", b"\n") for seen in router.seen)
    assert b'name="run"\n\n5\n' in first
    assert b'name="task_seq"\n\n1\n' in first
    assert b'name="round_seq"\n\n4\n' in first
    assert b'name="mid_artifacts"; filename="mid-artifacts"' in first
    assert b"from a file" in first
    assert b'name="logs"; filename="logs.txt"' in second
    assert b"from memory" in second
