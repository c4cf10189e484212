"""The addresses of the live views: for Django's URL configuration, and for the handler that gets there without it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.http import HttpResponseBase
from django.urls import Resolver404, URLPattern, URLResolver, path
from django.urls.resolvers import RegexPattern

from starfish.router.live.active import active, is_live
from starfish.router.live.step import step

BASE = "starfish/api/v1/"
View = Callable[..., Awaitable[HttpResponseBase]]

patterns: list[URLPattern] = [
    path("runs/active/", active, name="runs-active"),
    path("runs/<str:pk>/step/", step, name="run-step"),
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
