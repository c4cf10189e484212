"""Artifacts as streams, down: ranges, conditions, files that are replaced while they are read, clients that go."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.router.streaming import World, repr_digest
from tests.support.servers import Databases, Server, serving

DATA = secrets.token_bytes(1000)


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("down"), databases) as server:
        yield server


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World.new(server)


@pytest.fixture(scope="module")
def path(world: World) -> str:
    """DATA, stored."""
    path = world.path("member", "data")
    assert world.member.put(path, DATA).status == 201
    return path


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-999", 0, 1000),
        ("bytes=0-99999", 0, 1000),
        ("bytes=999-", 999, 1000),
        ("bytes=100-199", 100, 200),
        ("bytes=-1", 999, 1000),
        ("bytes=-1000", 0, 1000),
        ("bytes=-1001", 0, 1000),
        ("bytes=1-" + "9" * 50, 1, 1000),
        ("Bytes = 1 - 2", 1, 3),
    ],
)
def test_a_range(world: World, path: str, asked: str, first: int, end: int) -> None:
    answer = world.owner.ask("GET", path, Range=asked)
    assert (answer.status, answer.body) == (206, DATA[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/1000"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["repr-digest"] == repr_digest(DATA), "of the whole"


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=1000-1001", "bytes=" + "9" * 50 + "-", "bytes=-0"])
def test_a_range_that_is_not_there(world: World, path: str, asked: str) -> None:
    answer = world.owner.ask("GET", path, Range=asked)
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */1000")
    assert answer.json()["code"] == "range-not-satisfiable"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-4", "bytes=-", "bytes=a-b", "items=0-1", "bytes", "", "bytes=--1"])
def test_what_is_no_range_or_several_gets_the_whole(world: World, path: str, asked: str) -> None:
    answer = world.owner.ask("GET", path, Range=asked)
    assert (answer.status, answer.body, answer.headers["accept-ranges"]) == (200, DATA, "bytes")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_conditions(world: World, path: str) -> None:
    etag = world.owner.ask("GET", path).headers["etag"]
    assert not etag.startswith("W/")
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        for method in ("GET", "HEAD"):
            answer = world.owner.ask(method, path, If_None_Match=known, Range="bytes=0-1")
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert world.owner.ask("GET", path, If_None_Match='"x"').status == 200
    assert world.owner.ask("GET", path, Range="bytes=0-1", If_Range=etag).status == 206
    for other in ('"x"', f"W/{etag}", "Tue, 24 Nov 2026 13:00:00 GMT"):
        assert world.owner.ask("GET", path, Range="bytes=0-1", If_Range=other).body == DATA


def test_an_empty_file_has_no_range(world: World) -> None:
    path = world.path("member", "empty")
    assert world.member.put(path, b"").status == 201
    assert world.owner.ask("GET", path, Range="bytes=0-").status == 416
    answer = world.owner.ask("GET", path, Range="bytes=-5")
    assert (answer.status, answer.body) == (200, b"")


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(world: World) -> None:
    path, old, new = world.path("member", "replaced"), secrets.token_bytes(12_000_000), secrets.token_bytes(12_000_000)
    assert world.member.put(path, old).status == 201
    with world.owner.connect() as connection:
        connection.head("GET", path)
        assert connection.socket.recv(12)  # it is being sent, and waits for its reader
        assert world.member.put(f"{path}?attempt=2", new).status == 201
        received = bytearray()
        while len(received) < len(old) and (piece := connection.socket.recv(1 << 20)):
            received += piece
        body = bytes(received.partition(b"\r\n\r\n")[2])
        while len(body) < len(old):
            body += connection.socket.recv(1 << 20)
    assert body == old
    assert world.owner.ask("GET", path).body == new


def test_a_file_is_closed_when_its_reader_has_gone(world: World, server: Server) -> None:
    path = world.path("member", "large")
    assert world.member.put(path, secrets.token_bytes(30_000_000)).status == 201
    process = psutil.Process(server.process.pid)  # type: ignore[union-attr]
    for _ in range(5):
        with world.owner.connect() as connection:
            connection.head("GET", path)
            connection.socket.recv(100)
    deadline = time.monotonic() + 10
    while any("/artifacts/" in file.path for file in process.open_files()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_connection_for_many(world: World, path: str) -> None:
    with world.owner.connect() as connection:
        for method, more, status in (("GET", {}, 200), ("HEAD", {}, 200), ("GET", {"Range": "bytes=5-"}, 206), ("GET", {}, 200)):
            connection.head(method, path, **more)
            answer = connection.answer(method)
            assert (answer.status, "connection" in answer.headers) == (status, False)


def test_bytes_that_are_lost_are_an_answer(serve: Callable[..., Server]) -> None:
    world = World.new(serve("serve"))
    path = world.path("member", "mid-artifacts")
    assert world.member.put(path, b"data").status == 201
    for file in Path(world.server.settings["ARTIFACTS_DIR"]).rglob("*"):
        if file.is_file():
            file.unlink()
    answer = world.owner.ask("GET", path)
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")


def test_a_storage_that_fails_is_a_sentence(serve: Callable[..., Server], tmp_path: Path) -> None:
    world = World.new(serve("serve"))
    folder, path = Path(world.server.settings["ARTIFACTS_DIR"]), world.path("member", "mid-artifacts")
    for name in (f"{number:02x}" for number in range(256)):  # where folders should be, there are files
        place = folder / name
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.touch()
    answers: list[Any] = [world.member.put(path, bytes([number])) for number in range(5)]
    failed = [answer for answer in answers if answer.status == 503]
    assert failed
    assert "storage fails" in failed[0].json()["detail"]
