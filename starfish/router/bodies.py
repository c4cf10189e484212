"""Request bodies under ASGI, before Django sees them: Django writes a body to the disk whole before any view can refuse it.

A body has at most MAX_UPLOAD_BYTES where files go up and MAX_JSON_BYTES elsewhere, and nobody without an account sends a large one.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from starfish.protocol.problems import MEDIA_TYPE, Problem, TooLarge, Unavailable
from starfish.router.credentials import caller_from

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

UPLOADS = "/runs-action/upload/"
FORM_BYTES = 2**20  # what a multipart form adds to its files


def bounded(application: Application) -> Application:
    """`application`, which gets no body that is too large."""

    async def guarded(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await application(scope, receive, send)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        limit = settings.MAX_UPLOAD_BYTES + FORM_BYTES if scope["path"].endswith(UPLOADS) else settings.MAX_JSON_BYTES
        try:
            length = _length(headers, limit)
            if length is None or length > settings.MAX_JSON_BYTES:
                await _known(headers, scope)
            return await application(scope, _counted(receive, limit), send)
        except Problem as problem:
            return await _refuse(problem, send)

    return guarded


def _length(headers: dict[bytes, str], limit: int) -> int | None:
    """None where the body's length is not known beforehand. Raises TooLarge."""
    if b"transfer-encoding" in headers:
        return None
    text = headers.get(b"content-length", "0")
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else limit + 1
    if length > limit:
        raise _too_large(limit)
    return length


async def _known(headers: dict[bytes, str], scope: Any) -> None:
    """Raises Unauthorized, TooMany, Unavailable."""
    address = scope["client"][0] if scope.get("client") else None

    def ask() -> None:
        try:
            caller_from(headers.get(b"authorization"), address)
        except (OperationalError, InterfaceError) as error:
            raise Unavailable("The database does not answer; try again in a moment.") from error
        finally:
            connection.close()

    async with ThreadSensitiveContext():
        await sync_to_async(ask)()


def _counted(receive: Receive, limit: int) -> Receive:
    """Raises TooLarge where more arrives than was announced."""
    taken = 0

    async def counting() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return counting


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"This router takes at most {limit} bytes here (MAX_UPLOAD_BYTES, MAX_JSON_BYTES).")


async def _refuse(problem: Problem, send: Send) -> None:
    body = json.dumps(problem.document()).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    if problem.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="starfish"'))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
