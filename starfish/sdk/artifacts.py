"""Files to and from a Routing Server as streams: memory does not grow with them, and a transfer that broke off goes on from there."""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import quote

import httpx2

from starfish.protocol.problems import Conflict, Invalid, NotFound, RangeNotSatisfiable
from starfish.sdk.streaming import ATTEMPTS, ArtifactStream
from starfish.sdk.transport import RouterUnreachable, Transport

Kind = Literal["artifacts", "logs", "mid_artifacts"]
PIECE = 1 << 20
ASKED_FIRST = 8 << 20
"""From this size on the router is asked how much of it has arrived already, by an earlier process perhaps."""
SLOWEST = 20e6
"""Bytes a second at which a router is trusted to bring a large file onto its disk, before it is said not to answer."""


class ArtifactCalls:
    """Methods raise RouterUnreachable and Problem; OSError where this machine's own files fail."""

    _transport: Transport

    def put_artifact(
        self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, file: Path, *, sha256: str, attempt: int = 1
    ) -> None:
        """Store a file of a run's round. The same bytes again change nothing; other bytes under its name need a higher `attempt`."""
        path = _address(run_id, task_seq, round_seq, kind, name)
        with file.open("rb") as opened:
            sending = _Sending(self._transport, path, opened, os.fstat(opened.fileno()).st_size, sha256, attempt)
            _patiently(sending.go_on, lambda: sending.arrived)

    def stream_artifact(self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str) -> ArtifactStream:
        """A run's file as it comes, for whoever checks it by itself."""
        return ArtifactStream(self._transport, _address(run_id, task_seq, round_seq, kind, name))

    def get_artifact(self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, to: Path) -> str:
        """A run's file, durably and whole or not at all; its SHA-256, which is the one that the router announced."""
        path = _address(run_id, task_seq, round_seq, kind, name)
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(f".{to.name}.part")
        try:
            with part.open("wb") as opened:
                receiving = _Receiving(self._transport, path, opened)
                _patiently(receiving.go_on, lambda: receiving.arrived)
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(part, to)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(to.parent)
        return receiving.digest.hexdigest()


def _patiently(go_on: Callable[[], None], arrived: Callable[[], int]) -> None:
    """Until it is done; as long as bytes arrive in between, however often it breaks off. Raises RouterUnreachable."""
    furthest, in_vain = 0, 0
    while True:
        try:
            return go_on()
        except RouterUnreachable:
            in_vain = 1 if arrived() > furthest else in_vain + 1
            furthest = max(furthest, arrived())
            if in_vain >= ATTEMPTS:
                raise
            time.sleep(0.1 * 2**in_vain)


@dataclass
class _Sending:
    """`arrived`: what the router has, as far as is known here."""

    transport: Transport
    path: str
    file: BinaryIO
    size: int
    sha256: str
    attempt: int
    arrived: int = 0
    known: bool = False

    def go_on(self) -> None:
        """Raises RouterUnreachable where it broke off."""
        if (self.known or self.size >= ASKED_FIRST) and self._is_stored():
            return
        self.known = True
        try:
            self._put(self.arrived)
        except (Conflict, Invalid) as problem:
            if problem.extra.get("busy") or "upload_offset" in problem.extra:
                raise RouterUnreachable(problem.detail) from problem
            if not self.arrived:
                raise
            self._put(0)  # what had arrived is of another file, or damaged; if not, the refusal comes again

    def _is_stored(self) -> bool:
        """Whether all is there; else `arrived` is how much."""
        self.arrived = 0
        try:
            answer = self.transport.request("HEAD", self.path, params={"attempt": self.attempt}, attempts=1)
        except NotFound:
            return False
        if "ETag" in answer.headers:
            return answer.headers["ETag"] == f'"{self.sha256}"'
        offset = answer.headers.get("Upload-Offset", "")
        if offset.isascii() and offset.isdigit() and int(offset) <= self.size:
            self.arrived = int(offset)
        return False

    def _put(self, start: int) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(self.size - start),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(self.sha256)).decode()}:",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{self.size - 1}/{self.size}" if start < self.size else f"bytes */{self.size}"
        patience = self.size / SLOWEST
        params = {"attempt": self.attempt}
        self.transport.request("PUT", self.path, params=params, headers=headers, content=self._pieces(start), attempts=1, patience=patience)

    def _pieces(self, start: int) -> Iterator[bytes]:
        self.file.seek(start)
        left = self.size - start
        while left:
            piece = self.file.read(min(PIECE, left))
            if not piece:
                raise OSError(f"{self.file.name} became shorter while it was sent.")
            left -= len(piece)
            yield piece


class _Receiving:
    """`arrived`: what is in the file, and digested."""

    def __init__(self, transport: Transport, path: str, file: BinaryIO) -> None:
        self.transport, self.path, self.file = transport, path, file
        self._restart()

    def _restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.arrived, self.etag, self.digest = 0, "", hashlib.sha256()

    def go_on(self) -> None:
        """Raises RouterUnreachable where it broke off, or where what came is not what was announced."""
        headers = {"Accept-Encoding": "identity"}
        if self.arrived:
            headers |= {"Range": f"bytes={self.arrived}-", "If-Range": self.etag}
        try:
            with self.transport.stream(self.path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                self.transport.check(answer)
                self._take(answer)
        except RangeNotSatisfiable as problem:
            self._restart()
            raise RouterUnreachable(problem.detail) from problem
        except httpx2.TransportError as error:
            raise self.transport.unreachable(error) from error

    def _take(self, answer: httpx2.Response) -> None:
        continues = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {self.arrived}-")
        if self.arrived and not continues:
            self._restart()
            if answer.status_code == 206:
                raise RouterUnreachable(f"{self.transport.url} sent another range than was asked for.")
        self.etag = answer.headers.get("ETag", "")
        for piece in answer.iter_raw():
            self.file.write(piece)
            self.digest.update(piece)
            self.arrived += len(piece)
        announced, came = _announced(answer), self.digest.hexdigest()
        if announced != came:
            self._restart()
            raise RouterUnreachable(
                f"A file from {self.transport.url} arrived damaged: its SHA-256 is {came}, and {announced or 'none'} was announced."
            )


def _announced(answer: httpx2.Response) -> str:
    """The SHA-256 of its Repr-Digest, in hexadecimal; empty where there is none."""
    for entry in answer.headers.get("Repr-Digest", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "sha-256":
            try:
                return base64.b64decode(value.strip(":"), validate=True).hex()
            except ValueError:
                return ""
    return ""


def _address(run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str) -> str:
    return f"runs/{run_id}/artifacts/{task_seq}/{round_seq}/{kind}/{quote(name, safe='')}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
