"""`sites/{id}/cards/` and `sites/cards/`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.router import access, queries, wire
from starfish.router.actions.cards import CARD_BYTES, post_card
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, id_in_path, query
from starfish.router.api.serializers import StrictText
from starfish.router.models import SiteCard


class CardRequest(serializers.Serializer[Any]):
    card = StrictText(max_length=CARD_BYTES, trim_whitespace=False)


class CardAnswer(serializers.Serializer[Any]):
    version = serializers.IntegerField()


CARDS = {200: {"type": "array", "items": {"type": "string"}}, **REFUSALS}


class CardView(View):
    """A site's cards, in order; for those who see the site, and those whom it invites."""

    permission_classes = [Account]
    serializer_class = CardRequest
    queryset = SiteCard.objects.none()
    pagination_class = None
    part_b = True

    @extend_schema(operation_id="sites_cards_list", parameters=[id_in_path()], responses=CARDS)
    def list(self, request: Request, pk: str) -> Response:
        return Response(wire.cards(access.site_with_cards(self.caller, pk=queries.path_id(pk))))

    @extend_schema(
        operation_id="sites_cards_create",
        parameters=[id_in_path(), IDEMPOTENCY_KEY],
        responses={200: CardAnswer, 201: CardAnswer, **REFUSALS},
    )
    def create(self, request: Request, pk: str) -> Response:
        """The next card, after that of the version before; the same card again changes nothing."""
        site, text = queries.path_id(pk), self.body(CardRequest)["card"]

        def post() -> Answer:
            card, new = post_card(self.caller, site, text)
            return Answer(status=201 if new else 200, body={"version": card.version})

        return self.once(post)

    @extend_schema(operation_id="sites_cards_lookup", parameters=[query("uid", required=True)], responses=CARDS)
    def lookup(self, request: Request) -> Response:
        uid = queries.uid(request.query_params, "uid", required=True)
        return Response(wire.cards(access.site_with_cards(self.caller, uid=uid)))
