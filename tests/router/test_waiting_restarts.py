"""Open waits through the ends of servers and of databases, and across worker processes."""

import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from tests.part_a.wire import Answer
from tests.router.streaming import repr_digest
from tests.router.waiting import LONG_S, PROMPT_S, Site, World, sites_with_tokens, waits
from tests.support import postgres
from tests.support.servers import ADMIN, BASE, PREPARE, Server, free_port, manage

STOP_S = 3.0
SLACK_S = 1.5
"""For a machine that has much else to do."""
BROKEN = (OSError, HTTPException)


def again(ask: Callable[[], Answer], within: float = 30.0) -> Answer:
    """As a client asks: once more where the answer was lost, or where the router can't answer now; any other failure is one."""
    deadline = time.monotonic() + within
    while True:
        with suppress(*BROKEN):
            answer = ask()
            if answer.status != 503:
                assert answer.status < 500, answer
                return answer
        assert time.monotonic() < deadline, "the router did not come back"
        time.sleep(0.1)


def test_sigterm_with_open_waits_an_upload_and_steps_under_way_ends_in_time_and_loses_nothing(serve: Callable[..., Server]) -> None:
    server = serve("serve")
    world = World.new(server)
    runs = world.open()
    for name in runs:
        assert world.prepare(name).status == 200
    assert world.owner.step(runs["owner"], 3, [4], all=True).status == 200
    sealed = secrets.token_bytes(300_000)
    path = f"runs/{runs['member']}/artifacts/1/1/mid_artifacts/"
    assert put(world.member, path + "whole", sealed).status == 201
    acknowledged: list[int] = []
    stepping = threading.Event()

    def tell() -> None:
        """Lines, one after another, until the server has gone; each that is acknowledged must be there afterwards."""
        with suppress(*BROKEN):
            for number in range(100_000):
                answer = world.other.router.post(f"runs/{runs['other']}/lines/", {"lines": f"line {number}\n"})
                if answer.status != 201:
                    return
                acknowledged.append(number)
                stepping.set()

    with waits() as waiting:
        known = world.outsider.listing().headers["etag"]
        begun = [waiting.pool.submit(lambda: again(lambda: world.outsider.wait(known, 20).answer)) for _ in range(200)]
        teller = threading.Thread(target=tell)
        with HalfSent(world.member, path + "half", sealed) as upload:
            assert server.process is not None
            until_open(server.process.pid, 200)
            teller.start()
            assert stepping.wait(10)
            signalled = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=20)
            took = time.monotonic() - signalled
            upload.settimeout(5)
            with suppress(OSError):
                assert b" 201 " not in upload.recv(1000)
        teller.join()
        assert took < STOP_S + SLACK_S, f"the server took {took:.1f} s to end\n{server.log[-2000:]}"
        server.start()
        run = world.member.router.get(f"runs/{runs['member']}/").json()
        assert run["status"] == "Running"
        assert [entry["name"] for entry in world.member.router.get(f"runs/{runs['member']}/artifacts/").json()] == ["whole"]
        assert world.member.router.get(path + "whole").body == sealed
        assert told(world, runs["other"])[: len(acknowledged)] == [f"line {number}" for number in acknowledged]
        assert put(world.member, path + "half", sealed).status == 201
        assert again(lambda: world.member.step(runs["member"], 4, [5, 6])).status == 200
        world.sites["outsider"].router.post("projects/", {"name": "new", "description": "", "site": world.outsider.id, "tasks": []})
        project = world.outsider.router.get("projects/lookup/", name="new").json()["id"]
        assert world.outsider.router.post("runs", {"project": project}).status == 201
        answers = {(answer.status, answer.headers["etag"]) for answer in (future.result() for future in begun)}
        new = world.outsider.listing().headers["etag"]
        assert answers <= {(304, known), (200, new)}, "waits end unanswered, or are answered with what is"


def told(world: World, run: int) -> list[str]:
    """All lines of a run, in their order."""
    found: list[str] = []
    after = 0
    while True:
        page = world.owner.router.get(f"runs/{run}/lines/", after=after).json()
        entries = page["results"] if isinstance(page, dict) else page
        if not entries:
            return found
        found += [line for entry in entries for line in entry["lines"].splitlines()]
        after = entries[-1]["id"]


def put(site: Site, path: str, data: bytes) -> Answer:
    headers = {"Repr-Digest": repr_digest(data), "Content-type": "application/octet-stream"}
    return site.router.request("PUT", path, raw=data, headers=headers)


class HalfSent:
    """A PUT that has sent half of its body and stays so."""

    def __init__(self, site: Site, path: str, data: bytes) -> None:
        head = [
            f"PUT {BASE}{path} HTTP/1.1",
            "Host: router.test",
            f"Authorization: Bearer {site.token}",
            f"Content-Length: {len(data)}",
            f"Repr-Digest: {repr_digest(data)}",
        ]
        port = int(site.router.url.rsplit(":", 1)[1])
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall("\r\n".join([*head, "", ""]).encode() + data[: len(data) // 2])

    def __enter__(self) -> socket.socket:
        return self.socket

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def until_open(pid: int, connections: int) -> None:
    """Until a process has so many connections."""
    process, deadline = psutil.Process(pid), time.monotonic() + 20
    while len([one for one in process.net_connections("tcp") if one.status == "ESTABLISHED"]) < connections:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of these tests' own, with the router's tables."""
    missing = postgres.why_missing()
    if missing:
        pytest.skip(missing)
    made = postgres.Cluster.start()
    prepare = ("shell", "--verbosity", "0", "-c", PREPARE.format(username=ADMIN[0]))
    manage(made.environment, *prepare, DJANGO_SUPERUSER_PASSWORD=ADMIN[1])
    yield made
    made.stop()


@pytest.fixture
def workers(cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Server]:
    """`router serve --workers 2`."""
    settings = {**cluster.environment, "ARTIFACTS_DIR": str(tmp_path / "artifacts")}
    server = Server(kind="serve", folder=tmp_path, settings=settings, port=free_port(), arguments=("--workers", "2"))
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log, f"the server failed inside:\n{server.log[-8000:]}"


def spread(server: Server) -> list[int]:
    """How many connections each worker process holds."""
    assert server.process is not None
    counts = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            ours = [one for one in child.net_connections("tcp") if one.status == "ESTABLISHED" and one.laddr.port == server.port]
            counts.append(len(ours))
    return [count for count in counts if count]


@pytest.mark.timeout(240)
def test_two_workers_wake_each_others_waiters(workers: Server) -> None:
    world = World.new(workers)
    with waits() as waiting:
        for attempt in range(3):
            if world.runs:
                world.admin.status(world.runs["owner"], 0, update_all=True)
                world.runs = {}
            begun = waiting.begin(*[world.owner, world.member, world.other] * 12)
            idle = waiting.begin(*[world.outsider] * 6, seconds=3)
            assert len(spread(workers)) == 2, "both workers hold some"
            began = time.monotonic()
            world.open()
            for future in begun:
                assert future.result().answer.status == 200
                assert time.monotonic() - began < PROMPT_S, f"attempt {attempt}"
            assert {future.result().answer.status for future in idle} == {304}
        wanted = world.member.listing().headers["etag"]
        begun = waiting.begin(*[world.member] * 12)
        assert world.prepare("other").status == 200
        assert world.prepare("member").status == 200
        etags = {future.result().etag for future in begun}
        assert etags == {world.member.listing().headers["etag"]}
        assert wanted not in etags
        begun = waiting.begin(*[world.member] * 12)
        signalled = time.monotonic()
        workers.stop()
        assert time.monotonic() - signalled < STOP_S + SLACK_S
        assert {future.result().answer.status for future in begun} == {304}, "each open wait is answered at the end"


@pytest.mark.timeout(240)
def test_a_site_revoked_is_refused_by_both_workers(workers: Server) -> None:
    world = World.new(workers)
    with waits() as waiting:
        begun = waiting.begin(*[world.member] * 12)
        workers.starfish("router", "revoke", "--name", world.member.name)
        done = time.monotonic()
        assert {future.result().answer.status for future in begun} == {401}
        assert time.monotonic() - done < 5 + SLACK_S
        time.sleep(max(0.0, done + 5 - time.monotonic()))
        assert {world.member.listing().status for _ in range(12)} == {401}


@pytest.mark.timeout(300)
def test_the_database_restarted_under_load_waiters_come_back_by_themselves(workers: Server, cluster: postgres.Cluster) -> None:
    world = World.new(workers)
    crowd = sites_with_tokens(workers, [f"of-{number}" for number in range(12)], "the crowd")
    over = threading.Event()
    statuses: list[int] = []
    broken: list[str] = []

    def load(site: Site, number: int) -> None:
        """Asks, beats and waits in turn: 503 while the database is away, never 500."""
        while not over.is_set():
            try:
                for answer in (
                    site.listing(),
                    site.router.post("sites/heartbeat/", {"uid": site.uid, "status": 1}),
                    site.wait(site.listing().headers.get("etag"), 1).answer,
                    site.step(number + 10_000, 2, [3]),
                    site.router.get(f"runs/{number + 10_000}/artifacts/"),
                ):
                    statuses.append(answer.status)
                    if answer.status == 500:
                        broken.append(repr(answer))
            except BROKEN as error:
                broken.append(repr(error))

    threads = [threading.Thread(target=load, args=(site, number)) for number, site in enumerate(crowd.values())]
    with waits() as waiting:
        for thread in threads:
            thread.start()
        try:
            begun = waiting.begin(*[world.owner, world.member] * 10, seconds=50)
            for _ in range(2):
                restart(cluster, away=1.5)
                time.sleep(1)
            assert not any(future.done() for future in begun), "a database that is away for a moment ends no wait"
            changed = time.monotonic()
            opened = again(
                lambda: world.owner.router.request("POST", "runs", {"project": world.project}, headers={"Idempotency-Key": "one"})
            )
            assert opened.status == 201
            for future in begun:
                assert future.result().answer.status == 200
            assert time.monotonic() - changed < 2 * PROMPT_S
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert not broken
    assert 503 in statuses, "the load has met the restart"
    for site in crowd.values():  # every thread's connection has recovered, whatever it was used for first
        for _ in range(4):
            assert [site.listing().status, site.step(10_000, 2, [3]).status] == [200, 404]
    known = world.owner.listing().headers["etag"]
    with waits() as waiting:
        begun = waiting.begin(*[world.owner] * 12)
        world.runs = {run["site_uid"]: run["id"] for run in world.owner.listing().json()}
        assert world.member.step(world.runs[str(world.member.uid)], 2, [3]).status == 200
        for future in begun:
            assert future.result().answer.status == 200
            assert future.result().seconds < LONG_S - PROMPT_S, "both workers listen again"
    assert known != world.owner.listing().headers["etag"]


def restart(cluster: postgres.Cluster, *, away: float) -> None:
    """SIGINT ends every connection at once; then it is away for a while, and comes back as the same database."""
    programs = postgres.binaries()
    assert programs is not None
    cluster.process.send_signal(signal.SIGINT)
    cluster.process.wait(timeout=30)
    time.sleep(away)
    with (cluster.folder / "log").open("ab") as log:
        process = subprocess.Popen(cluster.process.args, stdout=log, stderr=log, cwd=cluster.folder, **postgres._ordinary_user())
    object.__setattr__(cluster, "process", process)
    deadline = time.monotonic() + 30
    while True:
        with suppress(Exception):
            postgres.connect(cluster.environment).close()
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)
