"""What arrives under ASGI, before Django writes it to the disk."""

import asyncio
import json
from typing import Any

import pytest

from starfish.router.bodies import bounded
from tests.router.world import BASE, World

pytestmark = pytest.mark.django_db(transaction=True)
UPLOAD, OTHER = f"{BASE}runs-action/upload/", f"{BASE}sites/"


def ask(path: str, pieces: list[bytes], **headers: str) -> tuple[int, int]:
    """The status, and how many bytes were read."""
    sent: list[Any] = []
    read = 0

    async def django(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        nonlocal read
        piece = pieces.pop(0)
        read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": encoded, "client": ("127.0.0.1", 1)}
    asyncio.run(bounded(django)(scope, receive, send))
    if sent[0]["status"] != 200:
        assert json.loads(sent[1]["body"])["status"] == sent[0]["status"]
    return sent[0]["status"], read


def test_what_is_announced_too_large_is_not_read(world: World, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10 * 2**20
    token = world.member.http.authorization or ""
    for path, length, status in (
        (OTHER, str(settings.MAX_JSON_BYTES), 200),
        (OTHER, str(settings.MAX_JSON_BYTES + 1), 413),
        (UPLOAD, str(10 * 2**20), 200),
        (UPLOAD, str(12 * 2**20), 413),
        (UPLOAD, "9" * 40, 413),
        (UPLOAD, "-1", 413),
    ):
        assert ask(path, [b"x"], content_length=length, authorization=token) == (status, 1 if status == 200 else 0)


def test_what_grows_too_large_is_read_no_further(world: World, settings: Any) -> None:
    settings.MAX_JSON_BYTES = 1000
    token = world.member.http.authorization or ""
    pieces = [b"x" * 600] * 5
    assert ask(OTHER, pieces, transfer_encoding="chunked", authorization=token) == (413, 1200)


def test_nobody_sends_large_bodies(world: World, settings: Any) -> None:
    settings.MAX_JSON_BYTES = 1000
    for headers in ({"content_length": "5000"}, {"transfer_encoding": "chunked"}):
        for authorization in ({}, {"authorization": "Bearer " + "x" * 40}):
            assert ask(UPLOAD, [b"x" * 5000], **headers, **authorization) == (401, 0)
    assert ask(UPLOAD, [b"x" * 500], content_length="500") == (200, 500), "what is small may come from anyone as far as the view"
