"""While somebody waits: tokens and accounts that end, and what a wait says of its site."""

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import psutil
import pytest

from tests.part_a.wire import Router
from tests.router.waiting import LONG_S, PROMPT_S, Asker, Site, Waited, World, sites_with_tokens, waits
from tests.support.servers import Databases, Server, serving

ENDED_S = 5.0
"""Within which a revocation holds everywhere."""
SLACK_S = 3.0
"""For a machine that has much else to do."""
TIMEOUT_S = 4


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("life"), databases, SITE_TIMEOUT_S=str(TIMEOUT_S)) as server:
        yield server


@pytest.fixture
def world(server: Server) -> World:
    return World.new(server)


def in_database(server: Server, line: str) -> float:
    """By another process; when it was done."""
    models = "from django.utils.timezone import now; from django.contrib.auth.models import User; from starfish.router.models import *; "
    server.manage("shell", "--verbosity", "0", "-c", models + line)
    return time.monotonic()


REVOKE = "SiteToken.objects.filter(site_id={}).update(revoked_at=now())"
DEACTIVATE = "User.objects.filter(sites={}).update(is_active=False)"
EXPIRE = "SiteToken.objects.filter(site_id={}).update(expires_at=now())"
DELETE = "User.objects.filter(sites={}).delete()"


@pytest.mark.parametrize(
    "ends", [REVOKE, DEACTIVATE, EXPIRE, DELETE], ids=["token revoked", "account off", "token expired", "account gone"]
)
def test_a_site_that_is_ended_is_refused_everywhere_within_five_seconds(server: Server, world: World, ends: str) -> None:
    world.open()
    ended, kept = world.other, world.owner
    with waits() as waiting:
        (open_wait,), (other_wait,) = waiting.begin(ended), waiting.begin(kept)
        done = in_database(server, ends.format(ended.id))
        assert open_wait.result().answer.status == 401
        assert time.monotonic() - done < ENDED_S + SLACK_S
        time.sleep(max(0.0, done + ENDED_S - time.monotonic()))
        run = world.runs["other"]
        for answer in (
            ended.listing(),
            ended.wait('"x"').answer,
            ended.step(run, 2, [3]),
            ended.router.get(f"runs/{run}/"),
            ended.router.get(f"runs/{run}/artifacts/"),
            ended.router.request("PUT", f"runs/{run}/artifacts/1/1/logs/logs.txt", raw=b"x"),
            ended.router.post("sites/heartbeat/", {"uid": ended.uid, "status": 1}),
        ):
            assert answer.status == 401, answer
        assert world.prepare("owner").status == 200
        assert other_wait.result().answer.status == 200, "nobody else is ended"


def test_a_token_that_is_ended_is_told_nothing_on_its_way_out(server: Server, world: World) -> None:
    """The change that wakes it comes at the same moment."""
    world.open()
    with waits() as waiting:
        (begun,) = waiting.begin(world.member)
        time.sleep(4.5)  # what is remembered of the token is forgotten by now
        change = f"SiteToken.objects.filter(site_id={world.member.id}).update(revoked_at=now()); "
        in_database(server, change)
        world.admin.status(world.runs["member"], 3)
        assert begun.result().answer.status == 401


def test_an_account_that_is_ended_is_refused_in_its_wait(server: Server, world: World) -> None:
    world.open()
    account = Asker(router=Router(url=server.url, account=world.account))
    with waits() as waiting:
        (begun,) = waiting.begin(account)
        done = in_database(server, f"User.objects.filter(username={world.account[0]!r}).update(is_active=False)")
        assert begun.result().answer.status == 401
        assert time.monotonic() - done < ENDED_S + SLACK_S
    assert account.listing().status == 401


def status(world: World, site: Site) -> str:
    return str(world.admin.get("sites/lookup/", uid=site.uid).json()["status"])


def sweep(world: World) -> None:
    """As the server does every 15 s; a start that is refused does so, too."""
    assert world.owner.router.post("runs", {"project": 0}).status == 400


def until(condition: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_wait_is_a_sign_of_life_as_long_as_it_lasts(server: Server, world: World) -> None:
    site = world.outsider
    world.admin.post("sites/heartbeat/", {"uid": site.uid, "status": 0})
    assert status(world, site) == "Disconnected"
    with waits() as waiting:
        (begun,) = waiting.begin(site, seconds=3 * TIMEOUT_S)
        until(lambda: status(world, site) == "Connected", 2 * PROMPT_S)
        while not begun.done():
            sweep(world)
            assert status(world, site) == "Connected" or begun.done()
            time.sleep(0.2)
    assert begun.result().answer.status == 304
    time.sleep(TIMEOUT_S + 1.5)
    sweep(world)
    assert status(world, site) == "Disconnected", "it has gone"


def test_an_account_that_waits_is_no_sign_of_life_of_a_site(server: Server, world: World) -> None:
    """Whoever looks on from a browser is not the site."""
    world.admin.post("sites/heartbeat/", {"uid": world.member.uid, "status": 0})
    asker = Asker(router=Router(url=server.url, account=world.account), uid=world.member.uid)
    assert asker.wait(asker.listing().headers["etag"], 3).answer.status == 304
    assert status(world, world.member) == "Disconnected"


def test_a_goodbye_holds_though_the_wait_before_it_goes_on_or_breaks_off(server: Server, world: World) -> None:
    goes_on, breaks_off = world.member, world.other
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Authorization": f"Bearer {breaks_off.token}", "Prefer": "wait=25", "If-None-Match": breaks_off._active({}).headers["etag"]}
    with waits() as waiting:
        (begun,) = waiting.begin(goes_on, seconds=7)
        connection.request("GET", f"/starfish/api/v1/runs/active/?site_uid={breaks_off.uid}", headers=headers)
        time.sleep(2.5)
        for site in (goes_on, breaks_off):
            assert site.router.post("sites/heartbeat/", {"uid": site.uid, "status": 0}).status == 202
        connection.close()
        while not begun.done():
            assert [status(world, site) for site in (goes_on, breaks_off)] == ["Disconnected"] * 2
            time.sleep(0.2)
    time.sleep(2.5)
    assert [status(world, site) for site in (goes_on, breaks_off)] == ["Disconnected"] * 2
    assert goes_on.wait(goes_on.listing().headers["etag"], 4).answer.status == 304
    assert [status(world, site) for site in (goes_on, breaks_off)] == ["Connected", "Disconnected"], "the next wait is a sign of life"


def test_waits_that_break_off_leave_nothing_behind(server: Server, world: World) -> None:
    """Neither a descriptor nor a sign of life."""
    site, process = world.outsider, psutil.Process(server.process.pid)  # type: ignore[union-attr]
    known = site._active({}).headers["etag"]
    before = process.num_fds()
    connections = []
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        headers = {"Authorization": f"Bearer {site.token}", "Prefer": "wait=55", "If-None-Match": known}
        connection.request("GET", f"/starfish/api/v1/runs/active/?site_uid={site.uid}", headers=headers)
        connections.append(connection)
    until(lambda: process.num_fds() >= before + 90, PROMPT_S)
    for connection in connections:
        connection.close()
    until(lambda: process.num_fds() <= before + 20, PROMPT_S)


def test_many_sites_wait_and_only_one_is_answered(server: Server) -> None:
    names = [f"site-{number}" for number in range(60)]
    sites = sites_with_tokens(server, names, "of many")
    first, *rest = sites.values()
    body = {"name": "one of many", "description": "", "site": first.id, "tasks": []}
    project = first.router.post("projects/", body).json()["id"]
    with waits() as waiting:
        begun: list[Future[Waited]] = waiting.begin(*rest, seconds=LONG_S // 2)
        (chosen,) = waiting.begin(first)
        assert first.router.post("runs", {"project": project}).status == 201
        assert chosen.result().answer.status == 200
        assert {future.result().answer.status for future in begun} == {304}
