"""`POST runs/{id}/step/`."""

import re

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from starfish.protocol import problems
from starfish.protocol.problems import Problem
from starfish.router.actions import audit, idempotency, steps
from starfish.router.credentials import caller_from
from starfish.router.live.requests import read_step
from starfish.router.plain import refusal


@csrf_exempt
async def step(request: HttpRequest, pk: str) -> HttpResponse:
    """Authentication by header alone, so no cookie can be ridden; one hop to a thread for all that the database does."""
    return await sync_to_async(_answer)(request, pk)


def _answer(request: HttpRequest, pk: str) -> HttpResponse:
    caller = None
    try:
        caller = caller_from(request.headers.get("Authorization"), request.META.get("REMOTE_ADDR"))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run_id = _run_id(pk)
        taken, raw = read_step(request.body)
        ticket = idempotency.ticket(caller.key, request.headers.get("Idempotency-Key"), request.method, request.path, raw)
        answer = steps.take(caller, run_id, taken, ticket)
    except Problem as problem:
        if isinstance(problem, problems.Forbidden):
            audit.refused(caller, "POST step", request.path)
        return refusal(problem)
    except (OperationalError, InterfaceError):
        return refusal(problems.Unavailable("The database does not answer; try again in a moment."))
    return JsonResponse(answer.body, status=answer.status)


def _run_id(text: str) -> int:
    if not re.fullmatch("[0-9]+", text):
        raise problems.Invalid("Invalid id")
    if len(text) > 18:
        raise problems.NotFound("Run not found")
    return int(text)
