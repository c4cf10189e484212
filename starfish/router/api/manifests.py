"""`projects/{id}/manifests/`: each member's letters."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.problems import Invalid, NotFound
from starfish.router import access, queries, wire
from starfish.router.actions.manifests import put_letter
from starfish.router.api.base import View, sealed_bytes
from starfish.router.api.parsers import BytesParser
from starfish.router.api.permissions import Account
from starfish.router.api.schema import REFUSALS, id_in_path, query
from starfish.router.models import Letter

BYTES = "application/octet-stream"


class LetterAnswer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    size = serializers.IntegerField()
    sha256 = serializers.RegexField("^[0-9a-f]{64}$")


ADDRESS = [
    id_in_path(),
    OpenApiParameter("version", {"type": "integer", "minimum": 1, "maximum": queries.LARGEST_NUMBER}, OpenApiParameter.PATH),
    OpenApiParameter("site_uid", OpenApiTypes.UUID, OpenApiParameter.PATH),
]


class ManifestView(View):
    """Letters, sealed to their readers: for each member its own, for the coordinator all."""

    permission_classes = [Account]
    parser_classes = [BytesParser]
    serializer_class = LetterAnswer
    queryset = Letter.objects.none()
    pagination_class = None
    part_b = True

    @extend_schema(parameters=[id_in_path(), query("site_uid", required=True)], responses={200: LetterAnswer(many=True), **REFUSALS})
    def list(self, request: Request, pk: str) -> Response:
        """What there is for the member of that uid, by version."""
        uid = queries.uid(request.query_params, "site_uid", required=True)
        return Response([wire.letter(it) for it in access.readable_letters(self.caller, queries.path_id(pk), uid).defer("data")])

    @extend_schema(parameters=ADDRESS, responses={(200, BYTES): OpenApiTypes.BINARY, **REFUSALS})
    def retrieve(self, request: Request, pk: str, version: str, site_uid: str) -> HttpResponse:
        number, uid = _version(version), _uid(site_uid)
        found = access.readable_letters(self.caller, queries.path_id(pk), uid).filter(version=number).first()
        if found is None:
            raise NotFound("There is no such letter.")
        return sealed_bytes(found.data)

    @extend_schema(parameters=ADDRESS, request={BYTES: OpenApiTypes.BINARY}, responses={200: LetterAnswer, 201: LetterAnswer, **REFUSALS})
    def update(self, request: Request, pk: str, version: str, site_uid: str) -> Response:
        """By the coordinator, while no batch is active. The same bytes again change nothing; other bytes are refused."""
        data: Any = request.data or b""
        letter, new = put_letter(self.caller, project_id=queries.path_id(pk), version=_version(version), site_uid=_uid(site_uid), data=data)
        return Response(wire.letter(letter), status=201 if new else 200)


def _version(text: str) -> int:
    """Raises Invalid."""
    number = queries.whole_number({"version": text}, "version")
    if not number:
        raise Invalid("Versions are numbered from 1.")
    return number


def _uid(text: str) -> UUID:
    """Raises Invalid."""
    return queries.uid({"site_uid": text}, "site_uid", required=True)
