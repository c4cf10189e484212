"""Refusals on their way out: Part A's plain answers, or `application/problem+json` where Part B or the request's Accept asks for it."""

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.db import DataError, Error, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from starfish.protocol import problems
from starfish.protocol.problems import Problem
from starfish.router.access import Caller
from starfish.router.actions import audit

log = logging.getLogger(__name__)


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler."""
    problem = as_problem(error)
    if problem is None:
        return None
    request, view = context["request"], context["view"]
    headers = dict(_headers(error))
    if isinstance(problem, problems.Forbidden):
        _audit(request, f"{request.method} {view.__class__.__name__}")
    if wants_document(request, part_b=getattr(view, "part_b", False)):
        response = Response(problem.document(), status=problem.status, content_type=problems.MEDIA_TYPE, headers=headers)
    else:
        plain = problem.fields if isinstance(problem, problems.InvalidFields) else problem.detail
        response = Response(plain, status=problem.status, headers=headers)
    return response


def wants_document(request: Any, *, part_b: bool) -> bool:
    return part_b or problems.MEDIA_TYPE in request.headers.get("Accept", "")


def as_problem(error: Exception) -> Problem | None:
    """None for what nobody has foreseen."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.ValidationError):
        return invalid(error)
    if isinstance(error, exceptions.APIException):
        known = problems.CATALOGUE.get(error.status_code)
        return known(str(error.detail)) if known else _Other(error.status_code, str(error.detail))
    if isinstance(error, Http404):
        return problems.NotFound("Not found")
    if isinstance(error, PermissionDenied):
        return problems.Forbidden("Not allowed")
    if isinstance(error, (TooManyFilesSent, TooManyFieldsSent, RequestDataTooBig)):
        return problems.TooLarge("A request has at most 100 files, 1000 fields, and 2.5 MB beside its files.")
    if isinstance(error, (SuspiciousOperation, UnreadablePostError)):
        return problems.Invalid("The request cannot be read")
    if isinstance(error, (OperationalError, InterfaceError)):
        log.error("database_unavailable error=%s", type(error).__name__)
        return problems.Unavailable("The database does not answer; try again in a moment.")
    if isinstance(error, IntegrityError):
        log.warning("changed_meanwhile error=%s", error)
        return problems.Conflict("What this request refers to was changed at the same moment; look again.")
    if isinstance(error, DataError):
        return problems.Invalid("The request holds a value that the database cannot keep.")
    if isinstance(error, OSError):
        log.error("storage_unavailable error=%s", error)
        return problems.Unavailable("The router cannot read or write its files now; its operator finds the reason in the log.")
    return None


def _who(request: Any) -> Caller | None:
    """A browser's session is an account, too."""
    if isinstance(request.auth, Caller):
        return request.auth
    return Caller.of_account(request.user) if isinstance(request.user, User) and request.user.pk else None


def _audit(request: Any, action: str) -> None:
    """The refusal stands, whether or not it can be written down."""
    try:
        audit.refused(_who(request), action, request.path)
    except Error as error:
        log.error("audit_failed action=%s error=%s", action, type(error).__name__)


class _Other(Problem):
    """One of DRF's own that the catalogue does not have: a wrong method, an unsupported media type."""

    code, title = "refused", "The request cannot be answered"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]


def invalid(error: exceptions.ValidationError) -> Problem:
    """DRF's, as one of the catalogue's."""
    detail = error.detail
    if isinstance(detail, dict):
        return problems.InvalidFields({str(name): _lines(value) for name, value in detail.items()})
    return problems.Invalid(" ".join(_lines(detail)))


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}: {line}" for name, item in value.items() for line in _lines(item)]
    if isinstance(value, (list, tuple)):
        return [line for item in value for line in _lines(item)]
    return [str(value)]


def _headers(error: Exception) -> Mapping[str, str]:
    header = getattr(error, "auth_header", None)
    if header:
        return {"WWW-Authenticate": header}
    return {"Retry-After": "5"} if isinstance(error, (OperationalError, InterfaceError, OSError)) else {}
