"""`POST runs/{id}/step/`."""

import json
from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from starfish.protocol.problems import Problem
from starfish.router.access import Caller
from starfish.router.actions import artifacts, idempotency, steps
from starfish.router.credentials import remembered
from starfish.router.listing import Listing
from starfish.router.live.answers import answered
from starfish.router.live.exchange import exchange_of, whole_body
from starfish.router.live.preferences import Preferences
from starfish.router.live.requests import BODY_BYTES, BODY_TOO_LARGE, read_step
from starfish.router.live.seen import seen_listings
from starfish.router.plain import refusal
from starfish.router.queries import path_id

Asked = tuple[int, steps.Step, idempotency.Ticket | None, artifacts.Saved | None]
"""Of which run, what, under which key; and its file, if that is on the disk already."""
INLINE = b'"data":'
"""A body without it brings no file; one with it may."""


@csrf_exempt
async def step(request: HttpRequest, pk: str) -> HttpResponse:
    """Authentication by header alone, so no cookie can be ridden; one hop to a thread for all that the database does, one for a file."""
    exchange = exchange_of(request)
    try:
        body = await whole_body(exchange, BODY_BYTES, BODY_TOO_LARGE)
    except Problem as problem:
        return refusal(problem)
    early = await exchange.disk(lambda: _early(request, pk, body)) if INLINE in body else None
    return await exchange.database(lambda: answered(request, "POST step", lambda caller: _answer(request, caller, pk, body, early)))


def _early(request: HttpRequest, pk: str, body: bytes) -> Asked | None:
    """The step with its file on the disk, for which the database's one thread need not wait then. None: it is read when its turn comes.

    What can be refused at once is refused there. If the caller's token ends in between, the bytes are left over as after a crash.
    """
    caller = remembered(request.headers.get("Authorization"))
    if request.method != "POST" or caller is None:
        return None
    try:
        run_id, step, ticket, _ = _asked(request, caller, pk, body)
    except Problem:
        return None
    return run_id, step, ticket, artifacts.save(step.artifact) if isinstance(step.artifact, artifacts.Incoming) else None


def _asked(request: HttpRequest, caller: Caller, pk: str, body: bytes) -> Asked:
    """Raises Problem."""
    run_id, (step, raw) = path_id(pk), read_step(body)
    return run_id, step, idempotency.ticket(caller.key, request.headers.get("Idempotency-Key"), request.method, request.path, raw), None


def _answer(request: HttpRequest, caller: Caller, pk: str, body: bytes, early: Asked | None) -> HttpResponse:
    """Raises Problem."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    run_id, asked, ticket, saved = early or _asked(request, caller, pk, body)
    wanted = Preferences.of(request.headers.get("Prefer", ""))
    take = partial(steps.take, caller, run_id, asked, ticket, minimal=wanted.minimal, saved=saved)
    answer = _taken(caller, take, minimal=wanted.minimal)
    run = json.dumps(answer.run, separators=(",", ":")).encode()
    headers = {"ETag": answer.listing.etag, **wanted.applied(waited=False)}
    return HttpResponse(run[:-1] + b',"active":' + answer.listing.body + b"}", content_type="application/json", headers=headers)


def _taken(caller: Caller, take: Callable[[], steps.Taken], *, minimal: bool) -> steps.Taken:
    """A site's next wait knows what the step has told it."""
    if not caller.by_token:
        return take()
    answers = []

    def listing() -> Listing:
        answers.append(take())
        return answers[0].listing

    seen_listings.written(min(caller.site_ids), minimal, listing)
    return answers[0]
