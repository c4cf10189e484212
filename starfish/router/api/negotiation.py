"""A request whose Accept names nothing that we have gets JSON, not a refusal: clients in the field ask for all sorts of things."""

from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class JSONByDefault(DefaultContentNegotiation):
    """The first renderer is JSON's."""

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        available = list(renderers)
        try:
            chosen: tuple[Any, str] = super().select_renderer(request, available, format_suffix)
            return chosen
        except NotAcceptable:
            return available[0], available[0].media_type
