"""What the live views have in common: who asks, and every refusal as a problem document."""

from collections.abc import Callable
from typing import TypeVar

from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from starfish.protocol.problems import Forbidden, Problem, Unavailable
from starfish.router.access import Caller
from starfish.router.actions import audit, reads
from starfish.router.credentials import caller_from, remembered
from starfish.router.plain import refusal

T = TypeVar("T")
NO_DATABASE = "The database does not answer; try again in a moment."


def answered(
    request: HttpRequest, what: str, answer: Callable[[Caller], T], *, refused: Callable[[Problem], HttpResponse] = refusal
) -> T | HttpResponse:
    """In a database thread. `what` names the request in the audit: where the caller may not make it, and among what it has read."""
    caller, header = None, request.headers.get("Authorization")
    try:
        caller = remembered(header) or caller_from(header, request.META.get("REMOTE_ADDR"))
        given = answer(caller)
        if request.method in ("GET", "HEAD") and isinstance(given, HttpResponseBase) and given.status_code < 400:
            reads.count(caller.user.pk, f"run.{what.split()[-1]}")
        return given
    except Problem as problem:
        return refused(_audited(problem, caller, what, request.path))
    except (OperationalError, InterfaceError):
        return refused(Unavailable(NO_DATABASE))


def _audited(problem: Problem, caller: Caller | None, what: str, path: str) -> Problem:
    """A refusal that can't be recorded is no answer either."""
    try:
        if isinstance(problem, Forbidden):
            audit.refused(caller, what, path)
    except Error:
        return Unavailable(NO_DATABASE)
    return problem
