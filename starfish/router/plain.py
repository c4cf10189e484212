"""Problem documents from views that are not DRF's, and from Django's own handlers."""

from django.http import HttpRequest, JsonResponse

from starfish.protocol import problems
from starfish.protocol.problems import Problem


def refusal(problem: Problem) -> JsonResponse:
    headers = {"WWW-Authenticate": 'Basic realm="starfish"'} if problem.status == 401 else {}
    return JsonResponse(problem.document(), status=problem.status, content_type=problems.MEDIA_TYPE, headers=headers)


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """handler400: what fails before a view is found."""
    return refusal(problems.Invalid("The request cannot be read"))


def forbidden(request: HttpRequest, exception: Exception) -> JsonResponse:
    """handler403."""
    return refusal(problems.Forbidden("Not allowed"))


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """handler404."""
    return refusal(problems.NotFound("There is nothing at this address"))


def server_error(request: HttpRequest) -> JsonResponse:
    """handler500: Django has logged the traceback; the answer says nothing of it."""
    return refusal(problems.Internal("The router failed inside; its log says why."))
