"""`GET runs/active/` with `Prefer: wait`: at once, as soon as, or not modified; and who learns nothing by it."""

import time
from collections.abc import Iterator

import pytest

from tests.part_a.wire import Router
from tests.router.waiting import LONG_S, PROMPT_S, Asker, Site, World, waits
from tests.support.servers import ADMIN, Databases, Server, serving


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("waiting"), databases) as server:
        yield server


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World.new(server)


@pytest.fixture
def opened(world: World) -> World:
    world.open()
    return world


def test_what_differs_is_answered_at_once(opened: World) -> None:
    for known in ('"of long ago"', 'W/"weak"', '"one", "another"'):
        waited = opened.member.wait(known)
        assert (waited.answer.status, waited.seconds < PROMPT_S) == (200, True)
        assert waited.answer.json() == opened.member.listing().json()
        assert waited.answer.headers["preference-applied"] == f"return=minimal, wait={LONG_S}"
        assert waited.answer.headers["cache-control"] == "no-store"


def test_whoever_knows_nothing_does_not_wait(opened: World) -> None:
    waited = opened.member.wait(None)
    assert (waited.answer.status, waited.seconds < PROMPT_S) == (200, True)
    assert waited.etag == opened.member.listing().headers["etag"]


def test_nothing_new_is_304_when_the_wait_is_over(opened: World) -> None:
    known = opened.member.listing().headers["etag"]
    for tag in (known, f"W/{known}", f'"another", {known}', "*"):
        waited = opened.member.wait(tag, 1)
        assert (waited.answer.status, waited.answer.body, waited.etag) == (304, b"", known)
        assert 1 <= waited.seconds < 1 + PROMPT_S
    at_once = opened.member.listing(**{"If-None-Match": known})
    assert (at_once.status, at_once.headers["etag"]) == (304, known)


def test_a_change_wakes_whom_it_concerns_and_nobody_else(opened: World) -> None:
    with waits() as waiting:
        owner, member = waiting.begin(opened.owner, opened.member)
        idle = waiting.begin(opened.other, opened.outsider, seconds=4)
        began = time.monotonic()
        assert opened.prepare("member").status == 200
        for future in (owner, member):
            waited = future.result()
            assert waited.answer.status == 200
            assert time.monotonic() - began < PROMPT_S
            assert {run["status"] for run in waited.answer.json()} >= {"Preparing"}
        for future in idle:
            assert future.result().answer.status == 304
            assert future.result().seconds >= 4
    assert opened.owner.words()[opened.runs["member"]] == "Preparing"


def test_a_new_batch_wakes_all_its_sites(world: World) -> None:
    if world.runs:
        world.admin.status(world.runs["owner"], 0, update_all=True)
    with waits() as waiting:
        begun = waiting.begin(world.owner, world.member, world.other)
        world.runs = {}
        world.open()
        for future in begun:
            assert future.result().answer.status == 200
            assert future.result().seconds < LONG_S - PROMPT_S


def test_all_waits_of_a_site_are_answered_alike(opened: World) -> None:
    with waits() as waiting:
        begun = waiting.begin(*[opened.member] * 8)
        assert opened.prepare("member").status == 200
        bodies = {future.result().answer.body for future in begun}
        assert bodies == {opened.member.listing().body}


def test_nobody_is_woken_by_a_move_of_its_own(opened: World) -> None:
    """The answer to a step is what the site's next wait knows."""
    for name, source, to in (("member", 2, [3]), ("other", 2, [3]), ("owner", 2, [3])):
        site: Site = opened.sites[name]
        answer = site.step(opened.runs[name], source, to, batch=opened.batch)
        assert answer.status == 200, answer
        listing = site.listing()
        assert (answer.headers["etag"], answer.json()["active"]) == (listing.headers["etag"], listing.json())
        waited = site.wait(answer.headers["etag"], 1)
        assert waited.answer.status == 304


def test_what_changed_between_a_step_and_the_wait_is_not_missed(opened: World) -> None:
    mine = opened.prepare("owner").headers["etag"]
    assert opened.prepare("member").status == 200
    waited = opened.owner.wait(mine)
    assert (waited.answer.status, waited.seconds < PROMPT_S) == (200, True)
    assert {run["id"]: run["status"] for run in waited.answer.json()}[opened.runs["member"]] == "Preparing"


@pytest.mark.parametrize(
    "prefer", ["wait=soon", "wait=-5", "wait=1e9", "wait=9999999", "wait", "wait=;x", '=,;"', "respond-async", "ẃait=5"]
)
def test_a_preference_that_cannot_be_read_is_none(opened: World, prefer: str) -> None:
    known = Asker(router=opened.member.router, uid=opened.member.uid)._active({}).headers["etag"]
    began = time.monotonic()
    answer = opened.member._active({"Prefer": prefer.encode().decode("latin-1"), "If-None-Match": known})
    assert (answer.status, answer.headers["etag"], time.monotonic() - began < PROMPT_S) == (304, known, True)
    assert "preference-applied" not in answer.headers


def test_a_wait_beyond_the_longest_is_cut_and_says_so(opened: World) -> None:
    waited = opened.member.wait('"old"', 500_000)
    assert waited.answer.headers["preference-applied"] == "return=minimal, wait=55"


def test_an_account_waits_for_all_its_sites_and_the_superuser_for_all(opened: World) -> None:
    account = Asker(router=Router(url=opened.server.url, account=opened.account))
    of_outsider = Asker(router=account.router, uid=opened.outsider.uid)
    superuser = Asker(router=Router(url=opened.server.url, account=ADMIN))
    with waits() as waiting:
        woken = waiting.begin(account, superuser)
        (idle,) = waiting.begin(of_outsider, seconds=6)
        assert opened.prepare("member").status == 200
        for future in woken:
            waited = future.result()
            assert (waited.answer.status, waited.seconds < LONG_S - PROMPT_S) == (200, True)
        assert [run["site_uid"] for run in woken[0].result().answer.json()] == [opened.member.uid]
        assert {run["site_uid"] for run in woken[1].result().answer.json()} >= {opened.sites[name].uid for name in opened.runs}
        assert idle.result().answer.status == 304
    with waits() as waiting:
        (idle,), (woken_too,) = waiting.begin(account, seconds=6), waiting.begin(superuser)
        assert opened.prepare("other").status == 200
        assert woken_too.result().answer.status == 200
        assert idle.result().answer.status == 304, "another site's move is none of this account's"


def test_nobody_learns_by_waiting_what_asking_would_not_tell(opened: World) -> None:
    nobody = Router(url=opened.server.url, account=None)
    for router in (nobody, Router(url=opened.server.url, account=("admin", "guess")), bearer(opened, "guess"), bearer(opened, "")):
        for uid in (None, opened.member.uid):
            waited = Asker(router=router, uid=uid).wait('"x"')
            assert (waited.answer.status, waited.seconds < PROMPT_S) == (401, True)
            assert "etag" not in waited.answer.headers
    for site, uid in (
        (opened.outsider, opened.member.uid),
        (opened.member, opened.other.uid),
        (opened.member, opened.owner.uid),
        (opened.owner, opened.member.uid),
        (opened.member, "00000000-0000-4000-8000-000000000000"),
    ):
        waited = Asker(router=site.router, uid=uid).wait('"x"')
        assert (waited.answer.status, waited.answer.json()) == (404, "Site not found")
    assert Asker(router=opened.member.router, uid="none").wait('"x"').answer.status == 400
    assert opened.outsider.wait('"x"').answer.json() == []
    seen = opened.member.wait('"x"').answer
    assert [run["site_uid"] for run in seen.json()] == [opened.member.uid]
    assert str(opened.other.uid).encode() not in seen.body


def bearer(world: World, token: str) -> Router:
    return Router(url=world.server.url, account=None, headers={"Authorization": f"Bearer {token}"})


def test_a_wait_that_a_browser_asks_for_is_its_page(opened: World) -> None:
    answer = opened.member._active({"Prefer": "wait=20", "If-None-Match": '"x"', "Accept": "text/html"})
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")


def test_a_refusal_is_plain_or_a_document_as_the_request_has_it(opened: World) -> None:
    plain = Asker(router=opened.member.router, uid=opened.other.uid)
    assert plain.wait('"x"').answer.json() == "Site not found"
    document = plain._active({"Prefer": "wait=20", "If-None-Match": '"x"', "Accept": "application/problem+json"})
    assert (document.headers["content-type"], document.json()["code"]) == ("application/problem+json", "not-found")


def test_waiting_works_under_runserver_too(databases: Databases, tmp_path: object) -> None:
    with serving("runserver", tmp_path / "runserver", databases) as server:  # type: ignore[operator]
        world = World.new(server)
        world.open()
        known = world.owner.listing().headers["etag"]
        assert world.owner.wait(known, 1).answer.status == 304
        with waits() as waiting:
            owner, member = waiting.begin(world.owner, world.member)
            assert world.prepare("member").status == 200
            for future in (owner, member):
                assert future.result().answer.status == 200
                assert future.result().seconds < LONG_S - PROMPT_S
        answer = world.prepare("owner")
        assert answer.headers["etag"] == world.owner.listing().headers["etag"]
        assert world.owner.wait(answer.headers["etag"], 1).answer.status == 304
