"""`runs/{id}/artifacts/`: files as streams. Up in one piece or several, down whole or in part; memory does not grow with them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from re import fullmatch
from typing import Any, BinaryIO, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from starfish.protocol.problems import Invalid, NotFound, Problem, RangeNotSatisfiable, Unavailable
from starfish.router import access, hot, queries, storage, wire
from starfish.router.access import Caller
from starfish.router.actions import uploads
from starfish.router.actions.artifacts import SAFE_NAME
from starfish.router.actions.uploads import Announced, Receiving
from starfish.router.hub import hub
from starfish.router.live.answers import answered
from starfish.router.live.exchange import PIECE, Exchange, Gone, Streamed, exchange_of
from starfish.router.live.preferences import same_etag
from starfish.router.live.ranges import Part, digest_announced, digest_header, part_asked_for, part_sent
from starfish.router.models import Artifact, Run, Upload
from starfish.router.plain import refusal
from starfish.router.wire import JSON

T = TypeVar("T")
SMALL = 256 << 10
"""Up to this a file is read where its row is; a thread of its own would cost more."""
SYNC_EVERY = 32 << 20
"""So much of an upload is left to the system's memory before the disk is waited for: the end of a large file is no long wait then."""
LOOK_S = 0.5
IDLE_S = 60
"""So long an upload may pause; then what has arrived is kept, and somebody else may go on."""
KEPT = "What has arrived is kept: go on from its Upload-Offset."
LINGER_BYTES, LINGER_S = 16 << 20, 2.0
"""What is taken of a body that nobody wants, so that its sender gets to read the answer."""
MEDIA_TYPE = "application/octet-stream"
log = logging.getLogger("starfish.router")


class Place:
    """Where a file belongs, as its address has it. Raises Invalid, NotFound."""

    def __init__(self, pk: str, task_seq: str, round_seq: str, kind: str, name: str) -> None:
        self.run_id, self.name = queries.path_id(pk), name
        numbers = {"task_seq": task_seq, "round_seq": round_seq}
        self.task_seq = queries.whole_number(numbers, "task_seq") or 0
        self.round_seq = queries.whole_number(numbers, "round_seq") or 0
        if kind not in Artifact.Kind.values:
            raise Invalid(f"The kind is one of {', '.join(Artifact.Kind.values)}")
        self.kind = Artifact.Kind(kind)


@csrf_exempt
async def artifacts(request: HttpRequest, pk: str) -> HttpResponseBase:
    """What is stored for a run, and who sent it."""

    def listed(caller: Caller) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        run = access.run_by_id(caller, queries.path_id(pk))
        found = Artifact.objects.filter(access.readable_artifacts(Run.objects.filter(pk=run.pk))).select_related("run__site", "run__batch")
        return JsonResponse([described(it) for it in found], safe=False, headers={"Cache-Control": "no-store"})

    return await exchange_of(request).database(partial(_answered, request, listed))


@csrf_exempt
async def artifact(request: HttpRequest, pk: str, task_seq: str, round_seq: str, kind: str, name: str) -> HttpResponseBase:
    """One file: PUT, HEAD, GET. Authentication by header alone, so no cookie can be ridden."""
    exchange = exchange_of(request)

    def shown(caller: Caller) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "PUT"])
        return _shown(request, exchange, caller, Place(pk, task_seq, round_seq, kind, name))

    def begun(caller: Caller) -> HttpResponseBase | tuple[Caller, Place, Receiving]:
        place = Place(pk, task_seq, round_seq, kind, name)
        found = uploads.begin(caller, place.run_id, _announced(request, place))
        return (caller, place, found) if isinstance(found, Receiving) else _stored(found, status=200)

    if request.method != "PUT":
        return await exchange.database(partial(_answered, request, shown))
    begin = await exchange.database(partial(_answered, request, begun))
    if isinstance(begin, HttpResponseBase):
        return _unread(request, exchange, begin)
    caller, place, receiving = begin
    try:
        return await _taken(request, exchange, caller, place, receiving)
    finally:
        receiving.file.close()


def described(it: Artifact) -> JSON:
    """Metadata. Whoever may read the file may know its sender: a site its own and its coordinator's, a coordinator all."""
    return {
        "kind": it.kind,
        "task_seq": it.task_seq,
        "round_seq": it.round_seq,
        "name": it.name,
        "attempt": it.attempt,
        "size": it.size,
        "sha256": it.sha256,
        "sealed": it.run.batch.sealed,
        "sender": str(it.run.site.uid),
        "signature": None,
        "created_at": wire.time(it.created_at),
    }


def _answered(request: HttpRequest, answer: Callable[[Caller], T]) -> T | HttpResponseBase:
    """In a database thread."""
    try:
        return answered(request, f"{request.method} artifact", answer, refused=_refused)
    except OSError as error:
        return _disk_failed(error)


def _refused(problem: Problem) -> HttpResponse:
    answer = refusal(problem)
    if "upload_offset" in problem.extra:
        answer["Upload-Offset"] = str(problem.extra["upload_offset"])
    if problem.extra.get("busy"):
        answer["Retry-After"] = "1"
    if isinstance(problem, RangeNotSatisfiable):
        answer["Content-Range"] = f"bytes */{problem.extra['size']}"
    return answer


def _disk_failed(error: OSError) -> HttpResponseBase:
    log.error("storage_failed error=%s", error)
    return refusal(Unavailable(f"The router's storage fails ({error.strerror or type(error).__name__}); its operator has to look at it."))


def _announced(request: HttpRequest, place: Place) -> Announced:
    """Raises Invalid."""
    attempt = queries.whole_number(request.GET, "attempt")
    if attempt == 0:
        raise Invalid("Attempts are numbered from 1.")
    start, length, size = part_sent(request.headers)
    return Announced(
        kind=place.kind,
        task_seq=place.task_seq,
        round_seq=place.round_seq,
        name=place.name,
        attempt=attempt or 1,
        size=size,
        sha256=digest_announced(request.headers.get("Repr-Digest")),
        start=start,
        length=length,
    )


async def _taken(request: HttpRequest, exchange: Exchange, caller: Caller, place: Place, receiving: Receiving) -> HttpResponseBase:
    """The body, and what comes of it. Raises Gone."""
    file, told = receiving.file, receiving.announced
    try:
        await _receive(exchange, receiving)
        await exchange.disk(file.sync)
        if not told.is_last:
            return _bare(202, {"Upload-Offset": str(file.size)})
        stored = await exchange.disk(file.stored)
    except TimeoutError:
        answer = refusal(Unavailable(f"No byte came for {IDLE_S} s. {KEPT}"))
        return _unread(request, exchange, answer, by_itself=False)
    except Invalid as problem:
        await exchange.database(partial(uploads.discard, receiving))
        return _unread(request, exchange, refusal(problem))
    except Unavailable as problem:
        return refusal(problem)  # and the connection closes, as all do
    except UnreadablePostError:  # under WSGI; under ASGI nobody is there to answer
        return refusal(Invalid(f"The body broke off. {KEPT}"))
    except OSError as error:
        return _unread(request, exchange, _disk_failed(error))

    def completed(caller: Caller) -> HttpResponseBase:
        return _stored(uploads.complete(caller, place.run_id, receiving, stored), status=201)

    return await exchange.database(partial(_answered, request, completed))


async def _receive(exchange: Exchange, receiving: Receiving) -> None:
    """What arrives is written and digested at once; for the disk a thread waits. Raises Gone, TimeoutError, Invalid, Unavailable, OSError.

    To hand each piece to another thread costs more, in locks, than to write it to the system's memory.
    """
    file, left = receiving.file, receiving.announced.length
    async with _Watched() as watched, aclosing(exchange.chunks()) as chunks:  # type: ignore[type-var]
        while left:
            chunk = await anext(chunks, b"")
            if not chunk:
                raise UnreadablePostError
            watched.heard()
            receiving.write(chunk)
            left -= len(chunk)
            if file.unsynced >= SYNC_EVERY:
                await exchange.disk(file.sync_data)
                watched.heard()


class _Watched:
    """An upload that pauses for too long, or that the router's end finds under way, is broken off. Raises TimeoutError, Unavailable."""

    async def __aenter__(self) -> "_Watched":
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._reason: Exception | None = None
        self.heard()
        self._timer = self._loop.call_later(LOOK_S, self._look)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._reason and isinstance(error, asyncio.CancelledError) and self._task:
            self._task.uncancel()
            raise self._reason from None

    def heard(self) -> None:
        """A byte has come."""
        self._at = self._loop.time()

    def _look(self) -> None:
        if hub.closed:
            self._reason = Unavailable(f"The router stops now. {KEPT}")
        elif self._loop.time() - self._at > IDLE_S:
            self._reason = TimeoutError()
        if self._reason and self._task:
            self._task.cancel()
        else:
            self._timer = self._loop.call_later(LOOK_S, self._look)


def _unread(request: HttpRequest, exchange: Exchange, answer: HttpResponseBase, *, by_itself: bool = True) -> HttpResponseBase:
    """An answer before the body. A short one is read past by the server itself, and the connection stays.

    Where a long one is coming, or its sender waits for `100 Continue`, the connection closes, but not before its sender can have read
    the answer: bytes that nobody has read would take it along.
    """
    length = request.headers.get("Content-Length", "0")
    short = length.isdigit() and len(length) < 9 and int(length) <= LINGER_BYTES
    if not isinstance(exchange, Streamed) or (by_itself and short and "Expect" not in request.headers):
        return answer
    body: bytes = answer.content  # type: ignore[attr-defined]

    async def lingering() -> AsyncIterator[bytes]:
        yield body
        taken = 0
        try:
            async with asyncio.timeout(LINGER_S):
                async for chunk in exchange.chunks():
                    taken += len(chunk)
                    if taken > LINGER_BYTES:
                        return
        except (TimeoutError, Gone):
            return

    headers = {**answer.headers, "Content-Length": str(len(body)), "Connection": "close"}
    return StreamingHttpResponse(lingering(), status=answer.status_code, headers=headers)


def _shown(request: HttpRequest, exchange: Exchange, caller: Caller, place: Place) -> HttpResponseBase:
    """GET and HEAD. Raises NotFound, RangeNotSatisfiable."""
    attempt = queries.whole_number(request.GET, "attempt")
    for _ in range(3):  # a file that is replaced between row and bytes is looked for again
        found = _find(caller, place) if fullmatch(SAFE_NAME, place.name) else None
        if found is None or attempt not in (None, found.attempt):
            if request.method == "HEAD":
                return _arriving(caller, place, attempt)
            raise NotFound("There is no such file, or it has not arrived yet.")
        headers = _headers(found)
        if same_etag(request.headers.get("If-None-Match"), headers["ETag"]):
            return HttpResponse(status=304, headers=headers)
        if request.method == "HEAD":
            size = str(found.size)
            return HttpResponse(content_type=MEDIA_TYPE, headers={**headers, "Content-Length": size, "Upload-Offset": size})
        asked = request.headers.get("Range") if request.headers.get("If-Range") in (None, headers["ETag"]) else None
        part = part_asked_for(asked, found.size)
        try:
            file = storage.open_file(found.key)
        except FileNotFoundError:
            continue
        return _content(exchange, file, found, part)
    log.error("artifact_lost run=%d kind=%s task=%d round=%d", place.run_id, place.kind, place.task_seq, place.round_seq)
    return refusal(Unavailable("The bytes of this file are not where they were stored; the router's operator has to look at it."))


def _find(caller: Caller, place: Place) -> Artifact | None:
    found: Any = hot.stored_file(place.run_id, place.kind, place.task_seq, place.round_seq, place.name)
    seen = found is not None and access.sees_run(caller, site=found.reader_site, coordinator=found.coordinator_site)
    return found if seen else None


def _arriving(caller: Caller, place: Place, attempt: int | None) -> HttpResponseBase:
    """How far an upload has come: for those alone who may go on with it. Raises NotFound."""
    run = access.run_by_id(caller, place.run_id)
    if not fullmatch(SAFE_NAME, place.name):
        raise NotFound("There is no such file, and nothing of it has arrived.")
    begun = Upload.objects.filter(run=run, kind=place.kind, task_seq=place.task_seq, round_seq=place.round_seq, name=place.name).first()
    arrived = uploads.offset(begun) if begun and caller.acts_for(run.site_id) and attempt in (None, begun.attempt) else 0
    if begun is None or not arrived:
        raise NotFound("There is no such file, and nothing of it has arrived.")
    return _bare(204, {"Upload-Offset": str(arrived), "Upload-Length": str(begun.size), "Cache-Control": "no-store"})


def _bare(status: int, headers: dict[str, str]) -> HttpResponse:
    answer = HttpResponse(status=status, headers=headers)
    del answer["Content-Type"]
    return answer


def _headers(it: Artifact) -> dict[str, str]:
    return {
        "ETag": f'"{it.sha256}"',
        "Repr-Digest": digest_header(it.sha256),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }


def _stored(it: Artifact, *, status: int) -> HttpResponseBase:
    """The answer to a PUT."""
    told = _headers(it)
    headers = {"ETag": told["ETag"], "Repr-Digest": told["Repr-Digest"], "Upload-Offset": str(it.size)}
    return JsonResponse(described(it), status=status, headers=headers)


def _content(exchange: Exchange, file: BinaryIO, it: Artifact, part: Part | None) -> HttpResponseBase:
    """The file, or a part of it; from one descriptor, so that bytes of two files are never mixed."""
    start, end = (part.start, part.end) if part else (0, it.size)
    headers = {**_headers(it), "Content-Length": str(end - start)}
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{it.size}"
    status = 206 if part else 200
    file.seek(start)
    if end - start <= SMALL:
        with file:
            return HttpResponse(file.read(end - start), status=status, content_type=MEDIA_TYPE, headers=headers)
    pieces = _pieces(exchange, file, end - start) if isinstance(exchange, Streamed) else _plain_pieces(file, end - start)
    return StreamingHttpResponse(pieces, status=status, content_type=MEDIA_TYPE, headers=headers)


async def _pieces(exchange: Exchange, file: BinaryIO, left: int) -> AsyncIterator[bytes]:
    """What the system has in its memory is read at once, the rest in a thread; none once the client has gone."""
    leaving = asyncio.ensure_future(exchange.gone())
    try:
        while left and not leaving.done():
            wanted = min(PIECE, left)
            piece = storage.read_at_once(file, wanted) or await exchange.disk(partial(file.read, wanted))
            if not piece:
                log.error("artifact_short missing=%d", left)  # then the connection breaks off, and the client sees that it did
                return
            left -= len(piece)
            yield piece
    finally:
        leaving.cancel()
        file.close()


def _plain_pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    """The same for WSGI."""
    with file:
        while left and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
