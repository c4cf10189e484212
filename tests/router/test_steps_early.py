"""A step's file goes to the disk before the step's turn at the database: nobody waits for that, and what is refused leaves nothing."""

import asyncio
import base64
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import connection

from starfish.protocol.run_state import RunStatus as S
from starfish.router import storage
from starfish.router.live import exchange
from starfish.router.live.exchange import Streamed, Threads
from starfish.router.live.step import step
from starfish.router.models import Artifact, Run
from tests.router.world import BASE, Member, World

INLINE = {"kind": "mid_artifacts", "name": "mid-artifacts", "data": base64.b64encode(b"update").decode()}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    monkeypatch.setattr(exchange, "POSTGRES_THREADS", 1)  # as on SQLite
    made = Threads()
    yield made
    asyncio.run(made.database(lambda: connection.close()))


@pytest.fixture
def runs(world: World) -> list[Run]:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    for member in world.members:  # their tokens are known from now on
        assert member.http.get("runs/active/").status_code == 200
    return runs


async def taken(threads: Threads, member: Member, pk: object, key: str = "", authorization: str = "", **changes: Any) -> Any:
    """The answer to a step to Pending Success, as the server's live routes take it."""
    body = json.dumps({"from": 4, "to": [5], "batch": 1, "task_seq": 1, "round_seq": 1, **changes}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(messages)

    headers = {"authorization": authorization or member.http.authorization or ""} | ({"idempotency-key": key} if key else {})
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": f"{BASE}runs/{pk}/step/", "headers": pairs}
    request: Any = ASGIRequest(scope, io.BytesIO())
    request.exchange = Streamed(receive, threads)
    return await step(request, str(pk))


def stored(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_slow_disk_holds_up_no_other_step(world: World, runs: list[Run], threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, let_go, save = threading.Event(), threading.Event(), storage.save

    def slow(chunks: Any) -> storage.Stored:
        begun.set()
        assert let_go.wait(20)
        return save(chunks)

    monkeypatch.setattr(storage, "save", slow)

    async def both() -> list[int]:
        slowly = asyncio.ensure_future(taken(threads, world.member, runs[1].pk, artifact=INLINE))
        assert await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
        try:
            quick = await asyncio.wait_for(taken(threads, world.other, runs[2].pk), 5)
        finally:
            let_go.set()
        return [quick.status_code, (await slowly).status_code]

    assert asyncio.run(both()) == [200, 200]
    assert world.words() == ["Running", "Pending Success", "Pending Success"]
    assert storage.read(Artifact.objects.get(run=runs[1]).key) == b"update"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"source": 3}, 409),
        ({"to": [7]}, 409),
        ({"artifact": {**INLINE, "name": "../name"}}, 400),
        ({"artifact": {**INLINE, "kind": "artifacts"}}, 403),
        ({"artifact": {**INLINE, "data": "no Base64"}}, 400),
        ({"pk": 10**9}, 404),
        ({"pk": "no number"}, 400),
        ({"key": "x" * 256}, 400),
        ({"authorization": "Bearer unknown"}, 401),
    ],
)
def test_what_is_refused_leaves_no_bytes(
    world: World, runs: list[Run], threads: Threads, settings: Any, changes: dict[str, Any], status: int
) -> None:
    given = {"pk": runs[1].pk, "artifact": INLINE, **changes}
    if "source" in given:
        given["from"] = given.pop("source")
    answer = asyncio.run(taken(threads, world.member, **given))
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert stored(settings.ARTIFACTS_DIR) == []
    assert world.words() == ["Running"] * 3


def test_the_same_step_again_leaves_one_file(world: World, runs: list[Run], threads: Threads, settings: Any) -> None:
    async def twice() -> list[Any]:
        return [await taken(threads, world.member, runs[1].pk, "key", artifact=INLINE) for _ in range(2)]

    first, again = asyncio.run(twice())
    assert (first.status_code, again.status_code) == (200, 200)
    assert json.loads(first.content)["status"] == json.loads(again.content)["status"] == "Pending Success"
    assert stored(settings.ARTIFACTS_DIR) == [b"update"]
