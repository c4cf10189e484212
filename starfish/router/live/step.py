"""`POST runs/{id}/step/`."""

import json

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from starfish.protocol.problems import Problem
from starfish.router.access import Caller
from starfish.router.actions import idempotency, steps
from starfish.router.listing import Listing
from starfish.router.live.answers import answered
from starfish.router.live.exchange import exchange_of, whole_body
from starfish.router.live.preferences import Preferences
from starfish.router.live.requests import BODY_BYTES, BODY_TOO_LARGE, read_step
from starfish.router.live.seen import seen_listings
from starfish.router.plain import refusal
from starfish.router.queries import path_id


@csrf_exempt
async def step(request: HttpRequest, pk: str) -> HttpResponse:
    """Authentication by header alone, so no cookie can be ridden; one hop to a thread for all that the database does."""
    exchange = exchange_of(request)
    try:
        body = await whole_body(exchange, BODY_BYTES, BODY_TOO_LARGE)
    except Problem as problem:
        return refusal(problem)
    return await exchange.database(lambda: answered(request, "POST step", lambda caller: _answer(request, caller, pk, body)))


def _answer(request: HttpRequest, caller: Caller, pk: str, body: bytes) -> HttpResponse:
    """Raises Problem."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    run_id = path_id(pk)
    taken, raw = read_step(body)
    ticket = idempotency.ticket(caller.key, request.headers.get("Idempotency-Key"), request.method, request.path, raw)
    asked = Preferences.of(request.headers.get("Prefer", ""))
    answer = _taken(caller, run_id, taken, ticket, minimal=asked.minimal)
    run = json.dumps(answer.run, separators=(",", ":")).encode()
    headers = {"ETag": answer.listing.etag, **asked.applied(waited=False)}
    return HttpResponse(run[:-1] + b',"active":' + answer.listing.body + b"}", content_type="application/json", headers=headers)


def _taken(caller: Caller, run_id: int, step: steps.Step, ticket: idempotency.Ticket | None, *, minimal: bool) -> steps.Taken:
    """A site's next wait knows what the step has told it."""
    if not caller.by_token:
        return steps.take(caller, run_id, step, ticket, minimal=minimal)
    answers = []

    def take() -> Listing:
        answers.append(steps.take(caller, run_id, step, ticket, minimal=minimal))
        return answers[0].listing

    seen_listings.written(min(caller.site_ids), minimal, take)
    return answers[0]
