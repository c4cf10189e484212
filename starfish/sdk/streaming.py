"""A file of a Routing Server's, read as it comes: for whoever checks it by itself, and keeps nothing before that."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import httpx2

from starfish.sdk.transport import RouterUnreachable, Transport

ATTEMPTS = 6
"""In a row that bring no byte across; with the pauses between them, some six seconds."""


class ArtifactStream:
    """`read` it to its end, in a `with`. It goes on where the connection broke off; what came is compared with no digest."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path
        self._connection = ExitStack()
        self._pieces: Iterator[bytes] | None = None
        self._ready, self._at = b"", 0
        self._arrived, self._etag, self._size = 0, "", 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end alone. Raises RouterUnreachable, Problem."""
        if self._at == len(self._ready):
            self._ready, self._at = self._next(), 0
        part = self._ready[self._at : self._at + size]
        self._at += len(part)
        return part

    def _next(self) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                return self._piece()
            except httpx2.TransportError as error:
                self._break_off()
                if attempt == ATTEMPTS - 1:
                    raise self._transport.unreachable(error) from error
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("the last attempt ends with a piece or an error")

    def _piece(self) -> bytes:
        """The next one, empty at the end. Raises TransportError where it broke off."""
        if self._pieces is None:
            if self._etag and self._arrived == self._size:
                return b""
            self._pieces = self._begin()
        piece = next(self._pieces, b"")
        self._arrived += len(piece)
        if not piece and self._arrived != self._size:
            raise httpx2.ReadError("the file ended too early")
        return piece

    def _begin(self) -> Iterator[bytes]:
        """From where it broke off. Raises RouterUnreachable where another file stands there meanwhile."""
        headers = {"Accept-Encoding": "identity"}
        if self._arrived:
            headers |= {"Range": f"bytes={self._arrived}-", "If-Range": self._etag}
        answer = self._connection.enter_context(self._transport.stream(self._path, headers=headers))
        if not answer.is_success:
            answer.read()
        self._transport.check(answer)
        left, etag = answer.headers.get("Content-Length", ""), answer.headers.get("ETag", "")
        if not (left.isascii() and left.isdigit()) or not etag:
            raise RouterUnreachable(f"{self._transport.url} sends a file without its length or without an ETag.")
        if self._arrived and (answer.status_code != 206 or etag != self._etag or self._arrived + int(left) != self._size):
            raise RouterUnreachable(f"A file from {self._transport.url} was replaced while it was read; it has to be read anew.")
        self._etag, self._size = etag, self._arrived + int(left)
        return answer.iter_raw()

    def _break_off(self) -> None:
        self._connection.close()
        self._connection, self._pieces = ExitStack(), None
