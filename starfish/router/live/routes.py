"""The addresses of the live views: for Django's URL configuration, and for the handler that gets there without it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.http import HttpResponseBase
from django.urls import Resolver404, URLPattern, URLResolver, path, register_converter
from django.urls.converters import StringConverter
from django.urls.resolvers import RegexPattern

from starfish.router.live.active import active, is_live
from starfish.router.live.artifacts import artifact, artifacts
from starfish.router.live.step import step
from starfish.router.live.telemetry import lines, progress

BASE = "starfish/api/v1/"
View = Callable[..., Awaitable[HttpResponseBase]]


class FileName(StringConverter):
    """A file's address does not end in a slash, and is found with one, too."""

    regex = "[^/]+/?"

    def to_python(self, value: str) -> str:
        return value.removesuffix("/")


register_converter(FileName, "file")

patterns: list[URLPattern] = [
    path("runs/active/", active, name="runs-active"),
    path("runs/<str:pk>/step/", step, name="run-step"),
    path("runs/<str:pk>/artifacts/", artifacts, name="run-artifacts"),
    path("runs/<str:pk>/artifacts/<str:task_seq>/<str:round_seq>/<str:kind>/<file:name>", artifact, name="run-artifact"),
    path("runs/<str:pk>/lines/", lines, name="run-lines"),
    path("runs/<str:pk>/progress/", progress, name="run-progress"),
]
_resolver = URLResolver(RegexPattern(rf"^/{BASE}"), patterns)


def live_route(scope: Mapping[str, Any]) -> tuple[View, dict[str, Any]] | None:
    """The view that takes this ASGI request, and its arguments from the path."""
    if not scope["path"].startswith(f"/{BASE}runs/"):
        return None
    try:
        found = _resolver.resolve(scope["path"])
    except Resolver404:
        return None
    if found.func is active:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return (active, {}) if is_live(scope["method"], headers) else None
    return found.func, found.kwargs
