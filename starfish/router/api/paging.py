"""`{"count", "next", "previous", "results"}`, 20 a page."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from starfish.router.queries import whole_number


class Pages(PageNumberPagination):
    """A page that is no number is 400, one that does not exist 404."""

    page_size = 20

    def paginate_queryset(self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None) -> list[Any] | None:
        whole_number(request.query_params, "page")
        return super().paginate_queryset(queryset, request, view)
