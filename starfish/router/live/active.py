"""`GET runs/active/`: the runs that have not ended; with `Prefer: wait` and an ETag, as soon as they differ.

The state is what is delivered, not an event. A waiter costs its connection and a few kilobytes: as long as nothing happens nothing asks
the database, and a wake-up asks for this site alone.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

from starfish.protocol import problems
from starfish.protocol.problems import Problem, Unavailable
from starfish.router import access, credentials
from starfish.router.access import Caller
from starfish.router.actions import reads
from starfish.router.hub import EVERYTHING, Waiter, hub
from starfish.router.listing import Listing, active_runs
from starfish.router.live.answers import NO_DATABASE
from starfish.router.live.exchange import Exchange, exchange_of
from starfish.router.live.keeper import keeper
from starfish.router.live.preferences import Preferences, same_etag
from starfish.router.live.seen import seen_listings
from starfish.router.plain import refusal
from starfish.router.queries import uid

AGAIN_S = 0.5
"""After a database that did not answer, while somebody waits."""
ACCOUNT_CHECKED_S = 4.0
"""So often it is asked whether an account that waits is still welcome; of tokens the keeper hears."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    """Whose runs, in which form, and what the client knows already."""

    caller: Caller
    topics: tuple[int, ...]
    minimal: bool
    known: str | None


async def active(request: HttpRequest) -> HttpResponse:
    """Part A's plain list, with an ETag; and Part B's wait."""
    exchange, asked = exchange_of(request), Preferences.of(request.headers.get("Prefer", ""))
    known = request.headers.get("If-None-Match")
    try:
        question = await _question(request, exchange, asked, known)
        if asked.wait and known:
            listing = await _wait(request, exchange, question, asked.wait)
        else:
            listing = await _look(exchange, question, fresh=True)
    except (OperationalError, InterfaceError):
        return _refused(request, Unavailable(NO_DATABASE))
    except Problem as problem:
        return _refused(request, problem)
    reads.count(question.caller.user.pk, "run.active")
    headers = {"ETag": listing.etag, "Cache-Control": "no-store"} | asked.applied(waited=bool(known))
    if same_etag(known, listing.etag):
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(listing.body, content_type="application/json", headers=headers)


async def _question(request: HttpRequest, exchange: Exchange, asked: Preferences, known: str | None) -> _Question:
    """Raises Problem."""
    header, address = request.headers.get("Authorization"), request.META.get("REMOTE_ADDR")
    caller = credentials.remembered(header, watched=bool(asked.wait and known))
    if caller is None:
        caller = await exchange.database(lambda: credentials.caller_from(header, address))
    wanted = uid(request.GET, "site_uid")
    if wanted is None:
        topics = (EVERYTHING,) if caller.administrator else tuple(sorted(caller.site_ids))
        return _Question(caller=caller, topics=topics, minimal=asked.minimal, known=known)
    if caller.site_uid != wanted:
        caller = await exchange.database(partial(access.as_site, caller, wanted))
    return _Question(caller=caller, topics=tuple(caller.site_ids), minimal=asked.minimal, known=known)


async def _wait(request: HttpRequest, exchange: Exchange, question: _Question, seconds: float) -> Listing:
    """As soon as it differs from what is known, or when the wait is over. Raises Problem, OperationalError."""
    deadline = time.monotonic() + seconds
    keeper.watch()
    by_token = question.caller.by_token
    own, checked_every = (question.topics, seconds) if by_token else ((), ACCOUNT_CHECKED_S)
    with hub.waiting(question.topics) as waiter, keeper.present(own):
        leaving = asyncio.ensure_future(exchange.gone())
        leaving.add_done_callback(lambda _: waiter.wake())
        try:
            while True:
                waiter.reset()
                listing = await _look_patiently(request, exchange, question, deadline)
                if not same_etag(question.known, listing.etag) or hub.closed:
                    return listing
                await _woken(waiter, min(deadline, time.monotonic() + checked_every))
                if hub.closed or leaving.done() or time.monotonic() >= deadline:
                    return listing
        finally:
            leaving.cancel()


async def _woken(waiter: Waiter, deadline: float) -> None:
    """Returns then, at the latest."""
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline - time.monotonic()):
            await waiter.woken()


async def _look_patiently(request: HttpRequest, exchange: Exchange, question: _Question, deadline: float) -> Listing:
    """A database that is away for a moment ends no wait. Raises Problem, OperationalError."""
    while True:
        try:
            await _still_welcome(request, exchange, watched=True)
            listing = await _look(exchange, question)
            if not same_etag(question.known, listing.etag):
                await _still_welcome(request, exchange, watched=False)
            return listing
        except (OperationalError, InterfaceError):
            if hub.closed or time.monotonic() + AGAIN_S > deadline:
                raise
            await asyncio.sleep(AGAIN_S)


async def _still_welcome(request: HttpRequest, exchange: Exchange, *, watched: bool) -> None:
    """A token that was revoked, or an account that was ended during the wait, gets nothing more. Raises Unauthorized."""
    header, address = request.headers.get("Authorization"), request.META.get("REMOTE_ADDR")
    if credentials.remembered(header, watched=watched) is None:
        await exchange.database(lambda: credentials.caller_from(header, address))


async def _look(exchange: Exchange, question: _Question, *, fresh: bool = False) -> Listing:
    """`fresh`: from the database. Else what was seen a moment ago will do to say that nothing is new, but never to say what is."""
    if not question.caller.by_token:
        return await exchange.database(lambda: active_runs(question.caller, minimal=question.minimal))
    (site,) = question.topics
    seen = None if fresh else seen_listings.get(site, question.minimal)
    if seen is None or not same_etag(question.known, seen.etag):
        changes = hub.changes(site)
        seen = await exchange.database(lambda: active_runs(question.caller, minimal=question.minimal))
        seen_listings.put(site, question.minimal, changes, seen)
    return seen


def is_live(method: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request is a controller's: a browser, and whoever has no Authorization header, gets the browsable API's answer."""
    return method == "GET" and "authorization" in headers and "text/html" not in headers.get("accept", "")


def _refused(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Part A's plain answer, or a document where the request's Accept names it."""
    document = refusal(problem)
    if problems.MEDIA_TYPE not in request.headers.get("Accept", ""):
        plain = {"detail": problem.detail} if isinstance(problem, problems.Unauthorized) else problem.detail
        answer = JsonResponse(plain, status=problem.status, safe=False)
        if "WWW-Authenticate" in document.headers:
            answer["WWW-Authenticate"] = document["WWW-Authenticate"]
        return answer
    return document
