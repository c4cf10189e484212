"""`users/` and `groups/`: administrators only."""

from abc import abstractmethod
from typing import Any

from django.contrib.auth.models import Group, User
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.problems import NotFound
from starfish.router import queries
from starfish.router.actions import accounts
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View
from starfish.router.api.errors import invalid
from starfish.router.api.permissions import Administrator
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, id_in_path
from starfish.router.api.serializers import GroupSerializer, UserSerializer


class _AccountsView(View):
    permission_classes = [Administrator]

    def get_object(self) -> Any:
        found = self.get_queryset().filter(pk=queries.path_id(self.kwargs["pk"])).first()
        if found is None:
            raise NotFound("Not found")
        return found

    def list(self, request: Request) -> Response:
        return self.paged(self.get_queryset(), lambda page: [self._shown(it) for it in page])

    def create(self, request: Request) -> Response:
        return self.once(self._made)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._shown(self.get_object()))

    def update(self, request: Request, pk: str) -> Response:
        it = self.get_object()
        return Response(self._shown(self._save(it, self._checked(it))))

    def partial_update(self, request: Request, pk: str) -> Response:
        it = self.get_object()
        return Response(self._shown(self._save(it, self._checked(it, partial=True))))

    def destroy(self, request: Request, pk: str) -> Response:
        accounts.delete(self.caller, self.get_object())
        return Response(status=204)

    def _made(self) -> Answer:
        """Raises Problem: that a name is taken may be this very request's doing, which came before."""
        try:
            values = self._checked(None)
        except ValidationError as error:
            raise invalid(error) from error
        return Answer(status=201, body=self._shown(self._save(self.get_queryset().model(), values)))

    def _checked(self, it: Any, *, partial: bool = False) -> dict[str, Any]:
        read = self.get_serializer(it, data=self.request.data, partial=partial)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def _shown(self, it: Any) -> dict[str, Any]:
        return dict(self.get_serializer(it).data)

    @abstractmethod
    def _save(self, it: Any, values: dict[str, Any]) -> Any:
        """Store the checked values; the account as it is then."""


def _described(serializer: Any) -> Any:
    one, by_id = {200: serializer, **REFUSALS}, [id_in_path()]
    return extend_schema_view(
        list=extend_schema(responses={200: serializer(many=True), **REFUSALS}),
        create=extend_schema(parameters=[IDEMPOTENCY_KEY], responses={201: serializer, **REFUSALS}),
        retrieve=extend_schema(parameters=by_id, responses=one),
        update=extend_schema(parameters=by_id, responses=one),
        partial_update=extend_schema(parameters=by_id, responses=one),
        destroy=extend_schema(parameters=by_id, responses={204: None, **REFUSALS}),
    )


@_described(UserSerializer)
class UserView(_AccountsView):
    """Accounts."""

    serializer_class = UserSerializer
    queryset = User.objects.order_by("pk")

    def _save(self, it: User, values: dict[str, Any]) -> User:
        return accounts.save_account(self.caller, it, values)


@_described(GroupSerializer)
class GroupView(_AccountsView):
    """Groups of accounts."""

    serializer_class = GroupSerializer
    queryset = Group.objects.order_by("pk")

    def _save(self, it: Group, values: dict[str, Any]) -> Group:
        return accounts.save_group(self.caller, it, values)
