"""One request of a live route: its body as it arrives, whether the client is still there, and threads for what blocks.

Under ASGI the body is the client's stream, and nothing is spooled; the database has threads of its own, with connections that are kept.
Under WSGI (`runserver`) Django has the body on its disk already, and the view's own thread does all: slower, and the same answers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest

from starfish.protocol.problems import TooLarge

T = TypeVar("T")
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
PIECE = 256 << 10
POSTGRES_THREADS, FILE_THREADS = 8, 8


class Gone(Exception):
    """The client has gone before its request was complete."""


class Exchange(Protocol):
    """What a live view has beside its HttpRequest."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces of some kilobytes to a megabyte. Raises Gone where it breaks off."""

    async def gone(self) -> None:
        """Returns when the client has gone. Only once the body has been read, or where none is."""

    async def database(self, work: Callable[[], T]) -> T:
        """`work`, which uses the database, in a thread for that."""

    async def disk(self, work: Callable[[], T]) -> T:
        """`work`, which reads or writes files and no database."""


async def whole_body(exchange: Exchange, limit: int, too_large: str) -> bytes:
    """Raises TooLarge, Gone."""
    parts, size = [], 0
    async for chunk in exchange.chunks():
        size += len(chunk)
        if size > limit:
            raise TooLarge(too_large)
        parts.append(chunk)
    return b"".join(parts)


class Threads:
    """Where blocking work goes. SQLite has one writer at a time: one thread waits for it in order, and its connection is kept."""

    def __init__(self) -> None:
        self._database = ThreadPoolExecutor(1 if connection.vendor == "sqlite" else POSTGRES_THREADS, "database")
        self._files = ThreadPoolExecutor(FILE_THREADS, "files")

    async def database(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._database, _with_connection, work)

    async def disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files, work)


class Streamed:
    """Under ASGI."""

    def __init__(self, receive: Receive, threads: Threads) -> None:
        self._receive = receive
        self._more = True
        self._left_behind: Callable[[], bytes] = partial(_left_behind, receive)
        self.database, self.disk = threads.database, threads.disk

    async def chunks(self) -> AsyncIterator[bytes]:
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                left, self._left_behind = self._left_behind(), bytes
                if left:
                    yield left
                raise Gone
            self._more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _left_behind(receive: Receive) -> bytes:
    """What had arrived when the client went: uvicorn tells of the end first, and then keeps these bytes to itself. Empty elsewhere."""
    return bytes(getattr(getattr(receive, "__self__", None), "body", b""))


class Spooled:
    """Under WSGI."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.disk(lambda: self._request.read(PIECE)):
            yield chunk

    async def gone(self) -> None:
        await asyncio.Event().wait()

    async def database(self, work: Callable[[], T]) -> T:
        return await sync_to_async(work)()

    async def disk(self, work: Callable[[], T]) -> T:
        return await sync_to_async(work)()


def exchange_of(request: HttpRequest) -> Exchange:
    """The handler's, under ASGI; of the request itself elsewhere."""
    found: Exchange = getattr(request, "exchange", None) or Spooled(request)
    return found


def _with_connection(work: Callable[[], T]) -> T:
    """A connection that has failed is not kept, whether or not `work` has made an answer of that."""
    try:
        return work()
    finally:
        if connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()
