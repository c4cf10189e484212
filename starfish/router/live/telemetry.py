"""`runs/{id}/lines/` and `runs/{id}/progress/`: a site tells, those who see its run read."""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from starfish.protocol.problems import Invalid, NotFound, Problem, TooMany
from starfish.router import telemetry
from starfish.router.access import Caller, require_acting, run_by_id
from starfish.router.actions import idempotency
from starfish.router.actions.telemetry import report, tell
from starfish.router.live.answers import answered
from starfish.router.live.exchange import exchange_of, whole_body
from starfish.router.live.reports import LINES_BODY_BYTES, REPORT_BYTES, LinesRequest, ProgressRequest, pace
from starfish.router.live.requests import read
from starfish.router.plain import refusal
from starfish.router.queries import path_id, query_id
from starfish.router.wire import JSON

Answer = Callable[[HttpRequest, Caller, int, bytes], HttpResponse]


@csrf_exempt
async def lines(request: HttpRequest, pk: str) -> HttpResponse:
    """The site's log, in batches of lines."""
    return await _taken(request, pk, _lines, LINES_BODY_BYTES)


@csrf_exempt
async def progress(request: HttpRequest, pk: str) -> HttpResponse:
    """How far the site is: a series of reports."""
    return await _taken(request, pk, _progress, REPORT_BYTES)


def _lines(request: HttpRequest, caller: Caller, run_id: int, body: bytes) -> HttpResponse:
    if request.method == "GET":
        return _page(telemetry.lines(run_by_id(caller, run_id), after=_after(request)))
    asked, raw = read(LinesRequest, body)
    ticket = idempotency.ticket(caller.key, request.headers.get("Idempotency-Key"), request.method, request.path, raw)
    tell(caller, run_id, asked.lines, ticket)
    return HttpResponse(status=201)


def _progress(request: HttpRequest, caller: Caller, run_id: int, body: bytes) -> HttpResponse:
    run = run_by_id(caller, run_id)
    if request.method == "GET":
        return _page(telemetry.progress(run, after=_after(request)))
    require_acting(caller, run.site_id)
    asked, _ = read(ProgressRequest, body)
    if not pace.allows(run_id):
        answer = refusal(TooMany(f"A run reports at most {pace.RATE:.0f} times a second; leave this one out, the next one tells more."))
        answer["Retry-After"] = "1"
        return answer
    report(run, asked.model_dump())
    return HttpResponse(status=201)


async def _taken(request: HttpRequest, pk: str, answer: Answer, limit: int) -> HttpResponse:
    exchange = exchange_of(request)
    try:
        body = await whole_body(exchange, limit, f"At most {limit} bytes are taken here; send less at once.")
    except Problem as problem:
        return refusal(problem)

    def told(caller: Caller) -> HttpResponse:
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        return answer(request, caller, path_id(pk), body)

    return await exchange.database(partial(answered, request, f"{request.method} {answer.__name__.strip('_')}", told))


def _page(rows: list[JSON]) -> HttpResponse:
    return JsonResponse(rows, safe=False, headers={"Cache-Control": "no-store"})


def _after(request: HttpRequest) -> int:
    """Raises Invalid."""
    try:
        return query_id(request.GET, "after") if "after" in request.GET else 0
    except NotFound:
        raise Invalid("Invalid after") from None
