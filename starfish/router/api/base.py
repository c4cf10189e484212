"""What the views have in common: a checked body, a caller, paging, and creating once."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from starfish.protocol.problems import Invalid
from starfish.router.access import Caller
from starfish.router.actions import idempotency, reads
from starfish.router.actions.idempotency import Answer
from starfish.router.api.authentication import caller_of


class View(GenericViewSet[Any]):
    """Ids in paths may be anything that is no slash: the view says what is wrong with them."""

    lookup_value_regex = "[^/]+"
    part_b = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length"):
            raise Invalid("Send the body with a Content-Length; one of unknown length (chunked) is not taken here.")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method in ("GET", "HEAD") and response.status_code < 400 and request.user.pk:
            noun = self.basename or type(self).__name__.removesuffix("View").lower()
            reads.count(request.user.pk, f"{noun}.{self.action}")
        return super().finalize_response(request, response, *args, **kwargs)

    @property
    def caller(self) -> Caller:
        return caller_of(self.request)

    def body(self, serializer: type[Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
        """The request's body, checked. Raises ValidationError."""
        read = serializer(data=self.request.data, partial=partial)
        read.is_valid(raise_exception=True)
        values: dict[str, Any] = read.validated_data
        return values

    def paged(self, queryset: Any, shown: Callable[[list[Any]], Sequence[Any]]) -> Response:
        """One page of a collection, in its wire's words."""
        page = self.paginate_queryset(queryset)
        assert page is not None
        return self.get_paginated_response(shown(page))

    def once(self, do: Callable[[], Answer]) -> Response:
        """A creating POST: with an Idempotency-Key it happens once."""
        request = self.request
        ticket = idempotency.ticket(self.caller.key, idempotency_key(request), request.method, request.path, request.data)
        return reply(idempotency.once(ticket, do))


def sealed_bytes(data: bytes | memoryview) -> HttpResponse:
    """As they came."""
    return HttpResponse(bytes(data), content_type="application/octet-stream", headers={"Cache-Control": "no-store"})


def idempotency_key(request: Request) -> str | None:
    return request.headers.get("Idempotency-Key")


def reply(answer: Answer) -> Response:
    """Nothing to say is an empty body, not `null`."""
    return Response(status=answer.status) if answer.body is None else Response(answer.body, status=answer.status)
