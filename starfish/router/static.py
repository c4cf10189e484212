"""The browsable API's static files, with DEBUG off too, found where the packages keep them: nothing is collected."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]


@sync_and_async_middleware
def static_files(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """WhiteNoise's own middleware is synchronous, and would cost every other request a thread."""
    files = WhiteNoiseMiddleware(get_response)

    def found(request: HttpRequest) -> HttpResponse | None:
        file = files.files.get(request.path_info)
        return _served(file.get_response(request.method, request.META)) if file else None

    if not iscoroutinefunction(get_response):
        return lambda request: found(request) or get_response(request)

    async def middleware(request: HttpRequest) -> Any:
        return found(request) or await get_response(request)

    return middleware


def _served(answer: Any) -> HttpResponse:
    """Small files: read at once."""
    response = HttpResponse(status=int(answer.status))
    del response["Content-Type"]
    for name, value in answer.headers:
        response[name] = value
    if answer.file:
        with answer.file as file:
            response.content = file.read()
    return response
