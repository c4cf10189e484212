"""Waiters, topics and what is remembered of a listing, inside one process."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import connection

from starfish.protocol.run_state import RunStatus
from starfish.router.hub import EVERYTHING, Hub, heard, hub
from starfish.router.listing import Listing, active_runs
from starfish.router.live import exchange
from starfish.router.live.active import active
from starfish.router.live.exchange import Streamed, Threads
from starfish.router.live.keeper import keeper
from starfish.router.live.seen import SeenListings, seen_listings
from tests.router.world import BASE, Member, World


@pytest.fixture
def _no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread that outlives the test with a connection of its own."""
    monkeypatch.setattr(keeper, "watch", lambda: None)


def woken_of(its: Hub, topics: list[int], wake: list[int]) -> list[bool]:
    """Of one waiter for each topic, whether it is woken."""

    async def ask() -> list[bool]:
        with ExitStack() as stack:
            waiters = [stack.enter_context(its.waiting([topic])) for topic in topics]
            thread = threading.Thread(target=its.wake, args=(wake,))
            thread.start()
            thread.join()
            await asyncio.sleep(0.01)
            return [waiter._event.is_set() for waiter in waiters]

    return asyncio.run(ask())


def test_the_topics_waiters_are_woken_and_whoever_waits_for_everything() -> None:
    its = Hub()
    assert woken_of(its, [1, 2, 3, EVERYTHING], [2]) == [False, True, False, True]
    assert not its.topics()
    assert its.changes(1) == (0, 0)
    assert its.changes(2) == its.changes(EVERYTHING) == (0, 1)


def test_a_waiter_of_a_loop_that_has_ended_is_no_error() -> None:
    its = Hub()

    async def leave() -> Any:
        context = its.waiting([1])
        context.__enter__()
        return context

    left = asyncio.run(leave())
    its.wake([1])
    its.wake_all()
    left.__exit__(None, None, None)
    assert not its.topics()


def test_what_another_process_has_sent_wakes_and_what_this_one_has_does_not() -> None:
    from starfish.router.hub import _WHO

    before = hub.changes(7)[1]
    heard("another 7 8")
    heard(f"{_WHO} 7 8")
    assert hub.changes(7)[1] == before + 1


def listing(name: str) -> Listing:
    return Listing(runs=[], body=name.encode(), etag=f'"{name}"')


def test_a_listing_is_good_as_long_as_nothing_changes() -> None:
    seen = SeenListings()
    seen.put(901, True, hub.changes(901), listing("one"))
    assert seen.get(901, True) == listing("one")
    assert seen.get(901, False) is None
    hub.wake([902])
    assert seen.get(901, True) == listing("one")
    hub.wake([901])
    assert seen.get(901, True) is None


def test_a_step_is_remembered_unless_somebody_else_changes_something_at_any_moment_of_it() -> None:
    seen = SeenListings()

    def write() -> Listing:
        hub.wake([903])
        return listing("mine")

    def disturbed() -> Listing:
        other = threading.Thread(target=hub.wake, args=([903],))
        other.start()
        other.join()
        return write()

    assert seen.written(903, True, write) == listing("mine")
    assert seen.get(903, True) == listing("mine")
    seen.written(903, True, disturbed)
    assert seen.get(903, True) is None
    hub.wake([903])
    assert seen.get(903, True) is None


def test_a_change_right_after_a_step_is_not_taken_for_the_steps_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens between the last look at the count and the moment at which the listing is kept."""
    seen, looks, changes = SeenListings(), iter(range(100)), hub.changes

    def interrupted(topic: int) -> tuple[int, int]:
        found = changes(topic)
        if next(looks) == 1:  # the look after the step
            hub.wake([topic])
        return found

    monkeypatch.setattr(hub, "changes", interrupted)
    seen.written(904, True, lambda: listing("mine"))
    monkeypatch.undo()
    hub.wake([905])
    if next(looks) > 1:  # there was such a look
        assert seen.get(904, True) is None


class Browser:
    """The other end of a request to the view, which goes when it is told to."""

    def __init__(self, member: Member, threads: Threads, **headers: str) -> None:
        self.leaves = asyncio.Event()
        self._begun = False
        given = {"authorization": member.http.authorization, **headers}
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/{BASE.strip('/')}/runs/active/",
            "headers": [(name.replace("_", "-").encode(), str(value).encode()) for name, value in given.items()],
        }
        request: Any = ASGIRequest(scope, io.BytesIO())
        request.exchange = Streamed(self.receive, threads)
        self.request = request

    async def receive(self) -> Any:
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"{}", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    monkeypatch.setattr(exchange, "POSTGRES_THREADS", 1)  # so that closing its connection closes all
    made = Threads()
    yield made
    asyncio.run(made.database(lambda: connection.close()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_keeper")
def test_a_client_that_goes_frees_its_waiter_and_costs_no_look(world: World, threads: Threads) -> None:
    world.open()

    async def wait() -> int:
        etag = (await active(Browser(world.member, threads).request)).headers["ETag"]
        browser = Browser(world.member, threads, prefer="wait=50", if_none_match=etag)
        waiting = asyncio.ensure_future(active(browser.request))
        while world.member.site.pk not in hub.topics():
            await asyncio.sleep(0.01)
        assert not waiting.done()
        browser.leaves.set()
        status: int = (await asyncio.wait_for(waiting, 5)).status_code
        return status

    assert asyncio.run(wait()) == 304
    assert world.member.site.pk not in hub.topics()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_keeper")
def test_what_was_seen_a_moment_ago_is_never_told_as_news(world: World, threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as another process's wake-up is on its way, what is remembered may be older than what the client knows already."""
    runs = world.open()

    async def wait() -> Any:
        older = await active(Browser(world.member, threads).request)
        monkeypatch.setattr(hub, "wake", lambda topics: None)
        await threads.database(lambda: world.drive(RunStatus.PREPARING))
        newer = await active(Browser(world.member, threads).request)
        monkeypatch.setattr("starfish.router.live.active.seen_listings", remembering := SeenListings())
        site = world.member.site.pk
        remembering.put(site, False, hub.changes(site), Listing(runs=[], body=older.content, etag=older.headers["ETag"]))
        waited = await active(Browser(world.member, threads, prefer="wait=1", if_none_match=newer.headers["ETag"]).request)
        return newer.headers["ETag"], waited

    known, waited = asyncio.run(wait())
    assert (waited.status_code, waited.headers["ETag"]) == (304, known)
    assert active_runs(world.member.caller, minimal=False).etag == known
    assert len(runs) == 3


@pytest.mark.django_db(transaction=True)
def test_a_repeat_that_would_be_legal_again_moves_nothing_and_tells_what_is(world: World, settings: Any) -> None:
    """The same round once more, after a stop and a restart: only the key tells that the step was taken before."""
    runs = world.open()
    first = world.member.http.step(runs[1].pk, 2, [3], "key", lines="a line\n")
    assert first.status_code == 200
    for action in ("stop", "restart"):
        body = {"run": runs[1].pk, "role": "participant", "action": action, "project": world.project.pk, "batch": 1}
        assert world.member.http.send("PUT", "runs-action/update/", body).status_code == 202
    again = world.member.http.step(runs[1].pk, 2, [3], "key", lines="a line\n")
    assert again.status_code == 200
    assert world.words() == ["Standby"] * 3
    now = world.member.http.get("runs/active/")
    assert (again.headers["ETag"], again.json()["active"]) == (now.headers["ETag"], now.json())
    for minimal in (True, False):
        seen = seen_listings.get(world.member.site.pk, minimal)
        assert seen is None or seen.etag == active_runs(world.member.caller, minimal=minimal).etag
    artifact = {"kind": "logs", "name": "logs.txt", "data": "bG9n"}
    assert world.member.http.step(runs[1].pk, 2, [3], "another", artifact=artifact).status_code == 200
    kept = [path for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file()]
    for action in ("stop", "restart"):
        body = {"run": runs[1].pk, "role": "participant", "action": action, "project": world.project.pk, "batch": 1}
        assert world.member.http.send("PUT", "runs-action/update/", body).status_code == 202
    assert world.member.http.step(runs[1].pk, 2, [3], "another", artifact=artifact).status_code == 200
    assert [path for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file()] == kept, "bytes that nothing refers to"
