"""A whole batch over a network that repeats, delays, reorders and loses: nothing moves twice, and all see the same at every moment."""

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from starfish.protocol.run_state import TABLE, RunStatus
from starfish.router.hub import hub
from starfish.router.listing import active_runs
from starfish.router.live.seen import seen_listings
from starfish.router.models import Artifact, Batch, Run, RunTransition, Upload
from tests.router import waiting
from tests.router.adversary import Network, Request, acted, follows, key, moved, next_request, place, started, streamed
from tests.router.waiting import PROMPT_S
from tests.router.world import World
from tests.support.servers import Server

S = RunStatus
LEGAL = {(int(source), int(move.target)) for move in TABLE.values() for source in move.sources}
ENOUGH = 120
"""Requests by which any batch here has ended, once the network is well."""
KINDS = [
    *["next"] * 8,
    "lose",
    "lose",
    "delay",
    "delay",
    "arrive",
    "arrive",
    *["again"] * 4,
    *["forgotten"] * 3,
    "upload",
    "start",
    "stop",
    "restart",
]
AS_FOUND: Any = {"phases": [Phase.generate], "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
"""A schedule that fails is shown as it was found: to make it smaller takes minutes."""
INLINE = ("model", "update")
"""Small files, which a list without files has nevertheless."""
schedules = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), min_size=5, max_size=50)


class Inside:
    """The router in this process, and what must hold after every request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = Network(self)
        self.arrived: set[int] = set()
        self.last, self.last_told = self.state(), self.told()

    def knock(self, request: Request) -> int:
        http = self.world.members[request.who].http
        before, counts, told = self.last, self.counts(), self.last_told
        body = request.raw if request.raw is not None else request.body
        answer = http.send(request.method, request.path, body, **{name.lower(): value for name, value in request.headers.items()})
        after = self.last = self.state()
        if id(request) in self.arrived and request.exact:
            assert after == before, f"a repeat has moved something: {request}"
        if answer.status_code < 300:
            if request.method == "POST" and id(request) not in self.arrived:
                self.was_there(request, before)
            self.arrived.add(id(request))
        else:
            assert after == before, f"what was refused has moved something: {request}"
        self.last_told = self.told()
        self.same_for_all()
        for count, old, now, site in zip(counts, told, self.last_told, self.sites, strict=True):
            woken = hub.changes(site) != count
            assert woken == (old != now), f"site {site} was{' ' if woken else ' not '}woken by {request}"
        return int(answer.status_code)

    def was_there(self, request: Request, before: list[Any]) -> None:
        """A step that is taken for the first time, however late it comes, was for where its run was."""
        body, (runs, _, batches, *_rest) = request.body, before
        if "from" not in body:
            return
        status = next(status for pk, status, *_ in runs if f"runs/{pk}/step/" == request.path)
        (_, cur_seq, tasks) = batches[-1]
        here = (cur_seq, tasks[cur_seq - 1]["config"]["current_round"])
        assert (body["from"], body["task_seq"], body["round_seq"]) == (status, *here), request
        assert Run.objects.get(pk=request.path.split("/")[1]).batch.number == body["batch"]

    @property
    def sites(self) -> list[int]:
        return [member.site.pk for member in self.world.members]

    def state(self) -> list[Any]:
        """All that a request may change."""
        runs = Run.objects.values_list("pk", "status", "left_out", "failed_task", "failed_round", "updated_at").order_by("pk")
        files = Artifact.objects.values_list("pk", "key", "sha256", "attempt").order_by("pk")
        batches = Batch.objects.values_list("pk", "cur_seq", "tasks").order_by("pk")
        return [list(runs), list(files), list(batches), RunTransition.objects.count(), Upload.objects.count()]

    def counts(self) -> list[tuple[int, int]]:
        return [hub.changes(site) for site in self.sites]

    def told(self) -> list[bytes]:
        """What each site's poller of the old kind is told."""
        return [active_runs(member.caller, minimal=False).body for member in self.world.members]

    def same_for_all(self) -> None:
        """A waiter that begins now, or is woken, and a poller."""
        for member, told in zip(self.world.members, self.last_told, strict=True):
            now = active_runs(member.caller, minimal=True)
            seen = seen_listings.get(member.site.pk, True)
            assert seen is None or seen.etag == now.etag, "a wait would begin with what is no longer so"
            shown = [{name: value for name, value in run.items() if name not in INLINE} for run in json.loads(now.body)]
            assert shown == [{name: run[name] for name in short} for run, short in zip(json.loads(told), shown, strict=True)]

    def seen_by(self, who: int) -> list[dict[str, Any]]:
        return list(json.loads(active_runs(self.world.members[who].caller, minimal=True).body))

    def uid(self, who: int) -> str:
        return str(self.world.members[who].site.uid)

    def own(self, who: int) -> dict[str, Any] | None:
        return next((run for run in self.seen_by(who) if run["site_uid"] == self.uid(who)), None)

    def do(self, kind: str, pick: int) -> None:
        """One turn of the adversary's."""
        network, who, new = self.network, pick % 3, pick // 3 % 2 == 0
        own = self.own(who)
        if kind in ("arrive", "again"):
            chosen = network.flying if kind == "arrive" else network.taken
            if chosen:
                network.deliver(chosen.pop(pick % len(chosen)) if kind == "arrive" else chosen[pick % len(chosen)])
            return
        request = None
        if kind == "forgotten":  # a repeat that comes when its key is no longer kept: its place alone tells what it is
            steps = [taken for taken in network.taken if "/step/" in taken.path]
            request = replace(steps[pick % len(steps)], headers=key()) if steps else None
        elif kind in ("next", "lose", "delay"):
            request = next_request(who, self.uid(who), self.seen_by(who), new=new)
        elif kind == "start":
            request = started(0, self.world.project.pk)
        elif own and kind == "upload":
            request = streamed(who, own, ["mid_artifacts", "logs", "artifacts"][pick // 6 % (3 if who == 0 else 2)])
        elif own and kind == "stop":
            request = acted(who, own, "stop")
        elif kind == "restart":
            failed = Run.objects.filter(batch=self.world.batch, site=self.world.members[who].site).first()
            assert failed is not None
            role = "coordinator" if failed.coordinates else "participant"
            request = acted(who, {"id": failed.pk, "role": role, "project": self.world.project.pk, "batch": failed.batch.number}, "restart")
        if request is None:
            return
        if kind == "delay":
            network.flying.append(request)
            return
        status = network.deliver(request)
        if kind == "lose":
            assert network.deliver(request) == status, "a lost answer is given again"

    def end(self) -> None:
        """The network is well: the batch comes to its end, without anybody's help but a restart of what has failed."""
        world = self.world
        for turn in range(ENOUGH):
            if world.words() == ["Success"] * 3:
                return
            if "Failed" in world.words():
                self.network.deliver(acted(0, {**self.batch_run(), "role": "coordinator"}, "restart"))
            self.do("next", turn % 6)
        raise AssertionError(f"the batch stays where it is: {world.words()}")

    def batch_run(self) -> dict[str, Any]:
        run = Run.objects.get(batch=self.world.batch, site=self.world.owner.site)
        return {"id": run.pk, "project": self.world.project.pk, "batch": run.batch.number}

    def check_history(self) -> None:
        """Every row is a move of the table's, each begins where the one before ended, and no round is left out."""
        batch = self.world.batch
        for run in Run.objects.filter(batch=batch):
            state, at = int(S.STANDBY), (1, 1)
            for row in RunTransition.objects.filter(run=run).order_by("pk"):
                assert (row.source, row.target) in LEGAL
                assert row.source == state
                here = (row.task_seq, row.round_seq)
                assert follows(batch.tasks, at, here), (at, here)
                state, at = row.target, here
            assert state == run.status
        assert batch.tasks[0]["config"]["current_round"] <= batch.tasks[0]["config"]["total_round"]


def play(world: World, schedule: list[tuple[str, int]]) -> None:
    inside = Inside(world)
    for member in world.members:
        member.http.send("POST", "sites/heartbeat/", {"uid": str(member.site.uid), "status": 1})
    if Batch.objects.exists():
        inside.network.deliver(moved(0, inside.batch_run(), S.FAILED, everyone=True))
    assert inside.network.deliver(started(0, world.project.pk)) == 201
    for kind, pick in schedule:
        inside.do(kind, pick)
    inside.end()
    inside.check_history()
    before = inside.state()
    sent = [*inside.network.taken, *inside.network.flying]
    for request in sent[:: max(1, len(sent) // 12)]:
        if "status" in request.path or request.exact:
            inside.network.deliver(request)
    assert inside.state() == before, "what arrives after the end moves nothing, however it was sent"


@pytest.mark.django_db(transaction=True)
@given(schedule=schedules)
@settings(max_examples=5, **AS_FOUND)
def test_requests_repeated_delayed_reordered_and_lost(world: World, schedule: list[tuple[str, int]]) -> None:
    play(world, schedule)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)
@given(schedule=schedules)
@settings(max_examples=25, **AS_FOUND)
def test_requests_repeated_delayed_reordered_and_lost_at_length(world: World, schedule: list[tuple[str, int]]) -> None:
    play(world, schedule)


class Outside:
    """A router in a process of its own, with sites that wait at it and a poller of the old kind, all the time."""

    def __init__(self, world: waiting.World) -> None:
        self.world = world
        self.names = ("owner", "member", "other")
        self.over = threading.Event()
        self.held: dict[str, str] = {}
        self.rounds: dict[str, list[dict[int, tuple[int, int]]]] = {name: [] for name in (*self.names, "poller")}

    def knock(self, request: Request) -> int:
        router, headers = self.world.sites[self.names[request.who]].router, dict(request.headers)
        if request.raw is not None:
            headers["Content-type"] = "application/octet-stream"
        return router.request(request.method, request.path, request.body, raw=request.raw, headers=headers).status

    def wait(self, name: str) -> None:
        """As a site does, again and again."""
        site, known = self.world.sites[name], None
        while not self.over.is_set():
            waited = site.wait(known, 2)
            assert waited.answer.status in (200, 304), waited
            known = self.held[name] = waited.etag
            if waited.answer.status == 200:
                self.rounds[name].append({run["id"]: place(run) for run in waited.answer.json()})

    def poll(self) -> None:
        while not self.over.wait(0.05):
            runs = self.world.admin.get("runs/active/").json()
            self.rounds["poller"].append({run["id"]: place(run) for run in runs if run["project"] == self.world.project})

    def race(self, seed: int, network: Network) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            self.act(chance, network)

    def act(self, chance: random.Random, network: Network) -> None:
        """One turn of a thread of the adversary's: they race."""
        who, kind = chance.randrange(3), chance.choice(KINDS)
        site = self.world.sites[self.names[who]]
        runs = site.listing().json()
        if kind in ("arrive", "again", "forgotten"):
            chosen = network.flying if kind == "arrive" else network.taken
            request = chance.choice(chosen) if chosen else None
        elif kind == "upload":
            own = next((run for run in runs if run["site_uid"] == site.uid), None)
            request = streamed(who, own, "mid_artifacts") if own else None
        else:
            request = next_request(who, site.uid or "", runs, new=chance.random() < 0.5)
        if request is None or (kind == "again" and not request.exact):
            return
        if kind == "delay":
            network.flying.append(request)
            return
        network.deliver(request)
        if kind == "lose":
            network.deliver(request)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_waiters_and_pollers_of_a_real_server_end_with_the_same(serve: Callable[..., Server], seed: int) -> None:
    world = waiting.World.new(serve("serve"))
    world.open()
    outside = Outside(world)
    network = Network(outside)
    with ThreadPoolExecutor(12) as pool:
        watching = [pool.submit(outside.wait, name) for name in outside.names] + [pool.submit(outside.poll)]
        try:
            racing = [pool.submit(outside.race, seed * 1000 + number, network) for number in range(4)]
            for future in racing:
                future.result()
            ended = threading.Event()
            for turn in range(ENOUGH):
                if not world.owner.listing().json():
                    break
                site = world.sites[outside.names[turn % 3]]
                request = next_request(turn % 3, site.uid or "", site.listing().json(), new=turn % 2 == 0)
                if request:
                    network.deliver(request)
            assert world.owner.listing().json() == [], "the batch has ended"
            for _ in range(int(PROMPT_S * 10)):
                current = {name: world.sites[name].listing().headers["etag"] for name in outside.names}
                if outside.held == current:
                    break
                ended.wait(0.1)
            assert outside.held == current, "a waiter holds what is no longer so, and was not told"
        finally:
            outside.over.set()
        for watcher in watching:
            watcher.result()
    for name, rounds in outside.rounds.items():
        for before, after in pairwise(rounds):
            for run in before.keys() & after.keys():
                assert before[run] <= after[run], f"{name} has seen a round go back"
    assert outside.rounds["owner"], "somebody has waited"
