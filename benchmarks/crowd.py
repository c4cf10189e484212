"""Many waiting sites in one light process: each keeps one HTTP/1.1 connection, and asks again as soon as it is answered."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

BASE = "/starfish/api/v1"
WAIT_S = 25
PATIENCE_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the Routing Server sent, and when it had arrived (monotonic)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


class Connection:
    """One kept connection with one site's token."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Raises OSError, IncompleteReadError."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 16)
        lines = {"Host": f"127.0.0.1:{self._port}", "Authorization": f"Bearer {self._token}", **(headers or {})}
        if body:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"{method} {BASE}/{path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        first, *rest = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        content = await _body(self._reader, found)
        return Answer(status=int(first.split()[1]), headers=found, body=content, at=time.monotonic())

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """Raises IncompleteReadError."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


@dataclass(kw_only=True)
class Waiter:
    """One site. `news` are the answers that said something new; `etag` is what it knows."""

    number: int
    uid: str
    connection: Connection
    etag: str = ""
    asked: int = 0
    news: list[Answer] = field(default_factory=list)

    async def wait_forever(self) -> None:
        """Raises OSError, IncompleteReadError, UnexpectedAnswer."""
        path = f"runs/active/?site_uid={self.uid}"
        first = await self.connection.ask("GET", path, {"Prefer": "return=minimal"})
        self._note(first, 200)
        while True:
            self.asked += 1
            answer = await self.connection.ask("GET", path, {"Prefer": f"return=minimal, wait={WAIT_S}", "If-None-Match": self.etag})
            if answer.status != 304:
                self._note(answer, 200)
                self.news.append(answer)

    def _note(self, answer: Answer, expected: int) -> None:
        if answer.status != expected:
            raise UnexpectedAnswer(f"site {self.number} was answered {answer.status}: {answer.body[:200].decode(errors='replace')}")
        if answer.headers["etag"] == self.etag:
            raise UnexpectedAnswer(f"site {self.number} was woken though nothing is new for it")
        self.etag = answer.headers["etag"]


class UnexpectedAnswer(Exception):
    """An answer that no waiting site may get."""


class Crowd:
    """All the waiters; the first thing that goes wrong with one is raised by `check`."""

    def __init__(self, port: int, sites: Iterable[Mapping[str, Any]]) -> None:
        self.port = port
        self.waiters = [
            Waiter(number=number, uid=site["uid"], connection=Connection(port, site["token"])) for number, site in enumerate(sites)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def gather(self, each_second: float) -> None:
        """All wait; so many come in a second, so that they do not all ask again in the same moment."""
        began = time.monotonic()
        for number, waiter in enumerate(self.waiters):
            self._tasks.append(asyncio.create_task(waiter.wait_forever()))
            await asyncio.sleep(max(0.0, began + number / each_second - time.monotonic()))
        while any(waiter.asked == 0 for waiter in self.waiters):
            self.check()
            await asyncio.sleep(0.05)
            if time.monotonic() - began > PATIENCE_S + len(self.waiters) / each_second:
                raise UnexpectedAnswer(f"{sum(waiter.asked == 0 for waiter in self.waiters)} sites had no first answer")

    def check(self) -> None:
        """Raises UnexpectedAnswer, OSError, EOFError."""
        for task in self._tasks:
            if task.done():
                task.result()

    def answered_again(self) -> int:
        """How many waits have begun so far."""
        return sum(waiter.asked for waiter in self.waiters)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError, Exception):  # what was wrong has been said
                await task
        for waiter in self.waiters:
            waiter.connection.close()

    async def open_batch(self, project: int, coordinator: int) -> tuple[float, float]:
        """As a coordinator starts one, on a connection of its own; when it was asked for, and when that was answered."""
        site = self.waiters[coordinator]
        connection = Connection(self.port, site.connection._token)
        asked = time.monotonic()
        answer = await connection.ask("POST", "runs/", body=json.dumps({"project": project}).encode())
        connection.close()
        if answer.status != 201:
            raise UnexpectedAnswer(f"opening a batch was answered {answer.status}: {answer.body[:200].decode(errors='replace')}")
        return asked, answer.at
