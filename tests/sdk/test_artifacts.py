"""The client's streams against a real Routing Server, and over a line that breaks, lies and stalls."""

import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from starfish.protocol.problems import Conflict, Forbidden, Invalid, NotFound
from starfish.sdk import Client, RouterUnreachable, artifacts, streaming
from tests.router.streaming import World
from tests.support.servers import Databases, Server, serving


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("sdk"), databases) as server:
        yield server


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World.new(server)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are a tenth as long."""
    for module in (artifacts, streaming):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 10)))


@pytest.fixture
def name() -> str:
    return f"a name, {secrets.token_hex(4)}"


def as_client(world: World, who: str, url: str | None = None) -> Client:
    client = Client(url or world.server.url, timeout=10)
    client._transport._http.headers["Authorization"] = getattr(world, who).authorization
    return client


def new_file(folder: Path, size: int) -> tuple[Path, str]:
    path = folder / secrets.token_hex(4)
    path.write_bytes(secrets.token_bytes(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Line:
    """A TCP line to the server. Each connection is cut after its number of bytes up (or down), until the numbers have run out."""

    def __init__(self, port: int, *, up: list[int] | None = None, down: list[int] | None = None, spoil: int = 0) -> None:
        self.port, self.up, self.down, self.spoil, self.connections = port, up or [], down or [], spoil, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.port))
            for source, target, limits in ((client, server, self.up), (server, client, self.down)):
                threading.Thread(target=self._pump, args=(source, target, limits), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, limits: list[int]) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                limit = limits[0] if limits else None
                if limit is not None and passed + len(data) > limit:
                    target.sendall(data[: max(0, limit - passed)])
                    limits.pop(0)
                    return
                if self.spoil and limits is self.down and passed > self.spoil:
                    data, self.spoil = bytes(len(data)), 0
                passed += len(data)
                target.sendall(data)
        except OSError:  # the other pump has cut it
            return
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


@contextmanager
def line(world: World, **how: object) -> Iterator[Line]:
    made = Line(world.server.port, **how)  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 9_000_001])
def test_there_and_back(world: World, name: str, tmp_path: Path, size: int) -> None:
    file, sha256 = new_file(tmp_path, size)
    run, sender, reader = world.runs["member"], as_client(world, "member"), as_client(world, "owner")
    for _ in range(2):
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256=sha256)
    to = tmp_path / "folder" / "received"
    for _ in range(2):
        assert reader.get_artifact(run, 1, 1, "mid_artifacts", name, to) == sha256
    assert to.read_bytes() == file.read_bytes()
    assert [path.name for path in to.parent.iterdir()] == ["received"]
    sender.close()
    reader.close()


def test_refusals(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 9_000_000)
    run, sender, reader = world.runs["member"], as_client(world, "member"), as_client(world, "owner")
    with pytest.raises(NotFound):
        reader.get_artifact(run, 1, 1, "mid_artifacts", name, tmp_path / "received")
    with pytest.raises(Forbidden):
        reader.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256=sha256)
    with pytest.raises(Invalid, match=sha256):
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256="0" * 64)
    with pytest.raises(Conflict):
        sender.put_artifact(run, 1, 2, "mid_artifacts", name, file, sha256=sha256)
    with pytest.raises(FileNotFoundError):
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, tmp_path / "none", sha256=sha256)
    sender.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256=sha256)
    other, other_sha256 = new_file(tmp_path, 9_000_000)
    with pytest.raises(Conflict):
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, other, sha256=other_sha256)
    sender.put_artifact(run, 1, 1, "mid_artifacts", name, other, sha256=other_sha256, attempt=2)
    assert reader.get_artifact(run, 1, 1, "mid_artifacts", name, tmp_path / "received") == other_sha256
    with pytest.raises(NotFound):
        reader.get_artifact(run, 1, 1, "mid_artifacts", "none", tmp_path / "received")
    assert hashlib.sha256((tmp_path / "received").read_bytes()).hexdigest() == other_sha256, "what was there stays"
    assert not list(tmp_path.glob(".*"))
    sender.close()
    reader.close()


def test_an_upload_over_a_line_that_breaks(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 12_000_000)
    with line(world, up=[5_000, 3_000_000, 1_000_000, 700_000, 1_000, 4_000_000, 500_000, 900_000]) as broken:
        sender = as_client(world, "member", broken.url)
        sender.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, file, sha256=sha256)
        sender.close()
        assert broken.connections >= 8
    reader = as_client(world, "owner")
    assert reader.get_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, tmp_path / "received") == sha256
    reader.close()


def test_a_download_over_a_line_that_breaks(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 12_000_000)
    sender = as_client(world, "member")
    sender.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, file, sha256=sha256)
    sender.close()
    with line(world, down=[100, 3_000_000, 1_000_000, 700_000, 5, 2_000_000, 1_000_000, 1_000_000, 1_000_000]) as broken:
        reader = as_client(world, "owner", broken.url)
        assert reader.get_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, tmp_path / "received") == sha256
        reader.close()
        assert broken.connections >= 9
    assert (tmp_path / "received").read_bytes() == file.read_bytes()


def test_a_download_that_arrives_damaged_is_fetched_again(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 5_000_000)
    sender = as_client(world, "member")
    sender.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, file, sha256=sha256)
    sender.close()
    with line(world, spoil=2_000_000) as lying:
        reader = as_client(world, "owner", lying.url)
        assert reader.get_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, tmp_path / "received") == sha256
        reader.close()


def test_a_file_that_is_replaced_while_a_download_pauses(world: World, name: str, tmp_path: Path) -> None:
    (old, old_sha256), (new, new_sha256) = new_file(tmp_path, 6_000_000), new_file(tmp_path, 6_000_000)
    run, sender = world.runs["member"], as_client(world, "member")
    sender.put_artifact(run, 1, 1, "mid_artifacts", name, old, sha256=old_sha256)
    with line(world, down=[3_000_000]) as broken:
        reader = as_client(world, "owner", broken.url)

        def meanwhile(_: float) -> None:
            sender.put_artifact(run, 1, 1, "mid_artifacts", name, new, sha256=new_sha256, attempt=2)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(artifacts, "time", SimpleNamespace(sleep=meanwhile))
            assert reader.get_artifact(run, 1, 1, "mid_artifacts", name, tmp_path / "received") == new_sha256
        reader.close()
    sender.close()
    assert (tmp_path / "received").read_bytes() == new.read_bytes()


def test_another_process_goes_on_where_one_ended(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 20_000_000)
    with line(world, up=[15_000_000, 100, 100, 100, 100, 100, 100, 100]) as broken:
        first = as_client(world, "member", broken.url)
        with pytest.raises(RouterUnreachable):
            first.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, file, sha256=sha256)
        first.close()
    with line(world, up=[]) as counted:
        second = as_client(world, "member", counted.url)
        arrived = second._transport.request("HEAD", artifacts._address(world.runs["member"], 1, 1, "mid_artifacts", name)).headers
        assert int(arrived["Upload-Offset"]) > 10_000_000
        second.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, file, sha256=sha256)
        second.close()


def test_what_had_arrived_is_of_another_file(world: World, name: str, tmp_path: Path) -> None:
    (one, one_sha256), (two, two_sha256) = new_file(tmp_path, 20_000_000), new_file(tmp_path, 20_000_000)
    with line(world, up=[15_000_000, 100, 100, 100, 100, 100, 100, 100]) as broken:
        sender = as_client(world, "member", broken.url)
        with pytest.raises(RouterUnreachable):
            sender.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, one, sha256=one_sha256)
        sender.close()
    sender, reader = as_client(world, "member"), as_client(world, "owner")
    sender.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, two, sha256=two_sha256)
    assert reader.get_artifact(world.runs["member"], 1, 1, "mid_artifacts", name, tmp_path / "received") == two_sha256
    sender.close()
    reader.close()


def test_nobody_is_there(tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{probe.getsockname()[1]}", token="t")
        with pytest.raises(RouterUnreachable):
            client.put_artifact(1, 1, 1, "logs", "x", file, sha256=sha256)
        with pytest.raises(RouterUnreachable):
            client.get_artifact(1, 1, 1, "logs", "x", tmp_path / "x")
        client.close()
    assert not (tmp_path / "x").exists()


def test_a_router_that_is_killed_and_comes_back(serve: Callable[..., Server], tmp_path: Path) -> None:
    world = World.new(serve("serve"))
    file, sha256 = new_file(tmp_path, 60_000_000)
    client = as_client(world, "member")
    restarted = threading.Event()

    def restart(_: float) -> None:
        if not restarted.is_set():
            restarted.set()
            world.server.start()

    pieces = artifacts._Sending._pieces

    def dying(self: artifacts._Sending, start: int) -> Iterator[bytes]:
        for number, piece in enumerate(pieces(self, start)):
            if number == 30 and not restarted.is_set():
                world.server.kill()
            yield piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "time", SimpleNamespace(sleep=restart))
        patch.setattr(artifacts._Sending, "_pieces", dying)
        client.put_artifact(world.runs["member"], 1, 1, "mid_artifacts", "mid-artifacts", file, sha256=sha256)
    client.close()
    reader = as_client(world, "owner")
    assert reader.get_artifact(world.runs["member"], 1, 1, "mid_artifacts", "mid-artifacts", tmp_path / "received") == sha256
    reader.close()


def streamed(client: Client, run: int, name: str) -> bytes:
    with closing(client), client.stream_artifact(run, 1, 1, "mid_artifacts", name) as stream:
        came = b"".join(iter(lambda: stream.read(65_536), b""))
        assert stream.read(1) == b""
        return came


@pytest.mark.parametrize("size", [0, 1, 2_000_001])
def test_a_stream_goes_on_where_it_broke_off(world: World, name: str, tmp_path: Path, size: int) -> None:
    file, sha256 = new_file(tmp_path, size)
    run = world.runs["member"]
    with closing(as_client(world, "member")) as sender:
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256=sha256)
    with line(world, down=[300_000, 700_000] if size > 1 else []) as cut:
        assert streamed(as_client(world, "owner", cut.url), run, name) == file.read_bytes()
        assert cut.connections == (3 if size > 1 else 1)


def test_a_stream_that_is_refused_or_cut_for_good_says_so(world: World, name: str, tmp_path: Path) -> None:
    file, sha256 = new_file(tmp_path, 500_000)
    run = world.runs["member"]
    with pytest.raises(NotFound):
        streamed(as_client(world, "owner"), run, name)
    with closing(as_client(world, "member")) as sender:
        sender.put_artifact(run, 1, 1, "mid_artifacts", name, file, sha256=sha256)
    with line(world, down=[100] * 20) as cut, pytest.raises(RouterUnreachable):
        streamed(as_client(world, "owner", cut.url), run, name)
