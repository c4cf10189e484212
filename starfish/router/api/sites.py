"""`sites/`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.router import access, credentials, queries, wire
from starfish.router.actions import sites, tokens
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, id_in_path, query
from starfish.router.api.serializers import Heartbeat, SiteAnswer, SiteRequest, TokenAnswer, TokenRequest
from starfish.router.models import Site


@extend_schema(responses={200: SiteAnswer, **REFUSALS})
class SiteView(View):
    """Sites: the caller's own, and those it works with."""

    permission_classes = [Account]
    serializer_class = SiteRequest
    queryset = Site.objects.none()

    def get_object(self) -> Site:
        return access.site_by_id(self.caller, queries.path_id(self.kwargs["pk"]))

    @extend_schema(responses={200: SiteAnswer(many=True), **REFUSALS})
    def list(self, request: Request) -> Response:
        return self.paged(access.visible_sites(self.caller), lambda page: [wire.site(site) for site in page])

    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses={201: SiteAnswer, **REFUSALS})
    def create(self, request: Request) -> Response:
        body = {"description": "", **self.body(SiteRequest)}
        return self.once(lambda: Answer(status=201, body=wire.site(sites.create_site(self.caller, **body))))

    @extend_schema(parameters=[id_in_path()])
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(wire.site(self.get_object()))

    @extend_schema(parameters=[id_in_path()])
    def update(self, request: Request, pk: str) -> Response:
        return self._change(pk, self.body(SiteRequest))

    @extend_schema(parameters=[id_in_path()])
    def partial_update(self, request: Request, pk: str) -> Response:
        return self._change(pk, self.body(SiteRequest, partial=True))

    @extend_schema(parameters=[id_in_path()], responses={204: None, **REFUSALS})
    def destroy(self, request: Request, pk: str) -> Response:
        sites.delete_site(self.caller, queries.path_id(pk))
        return Response(status=204)

    @extend_schema(parameters=[query("uid", required=True)])
    @action(detail=False, pagination_class=None)
    def lookup(self, request: Request) -> Response:
        return Response(wire.site(access.site_by_uid(self.caller, queries.uid(request.query_params, "uid", required=True))))

    @extend_schema(request=Heartbeat, responses={202: None, **REFUSALS})
    @action(detail=False, methods=["post"], serializer_class=Heartbeat)
    def heartbeat(self, request: Request) -> Response:
        body = self.body(Heartbeat)
        sites.heartbeat(self.caller, body["uid"], connected=body["status"] == 1)
        return Response(status=202)

    @extend_schema(responses={200: TokenAnswer, **REFUSALS})
    @action(detail=False, pagination_class=None)
    def token(self, request: Request) -> Response:
        """How long the token that this request came with is good."""
        return Response(_life(tokens.life(self._bearer())))

    @extend_schema(request=TokenRequest, responses={200: TokenAnswer, **REFUSALS})
    @token.mapping.post
    def renew(self, request: Request) -> Response:
        """A new token of the site's own making. Both are good until the new one has been used once; the same again changes nothing."""
        new = credentials.token_digest(self.body(TokenRequest)["token"])
        return Response(_life(tokens.renew(self.caller, shown=self._bearer(), new=new)))

    def _bearer(self) -> str:
        return credentials.shown_token(self.request.headers.get("Authorization"))

    def _change(self, pk: str, body: dict[str, Any]) -> Response:
        values = {name: body.get(name) for name in ("name", "uid", "description")}
        return Response(wire.site(sites.change_site(self.caller, queries.path_id(pk), **values)))


def _life(it: tokens.Life) -> wire.JSON:
    return {"created_at": wire.time(it.begins), "expires_at": wire.time(it.ends), "seconds_left": it.left_s}
