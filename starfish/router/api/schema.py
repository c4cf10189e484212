"""What the OpenAPI document says beside what the views themselves know."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from starfish.router.api.serializers import ParticipantAnswer, ProjectAnswer

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same request again gets the same answer, and happens once."
)
_REFUSED = OpenApiResponse(
    description="A sentence, or field errors; where Accept names it, a problem document (`openapi` adds the contents)."
)
REFUSALS: dict[Any, Any] = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 422, 429, 503), _REFUSED)

ProjectLookup = PolymorphicProxySerializer(
    component_name="ProjectLookup", serializers=[ProjectAnswer, ParticipantAnswer(many=True)], resource_type_field_name=None, many=False
)


def query(name: str, *, required: bool = False, enum: Sequence[str] | None = None) -> OpenApiParameter:
    """A query parameter, by what its name means everywhere."""
    kind: Any = {"uid": OpenApiTypes.UUID, "site_uid": OpenApiTypes.UUID, "name": str, "type": str}.get(name, OpenApiTypes.INT64)
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, required=required, enum=enum)


def id_in_path() -> OpenApiParameter:
    return OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class PasswordScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "starfish.router.api.authentication.PasswordAuthentication"
    name = "PasswordAuthentication"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic"}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "starfish.router.api.authentication.TokenAuthentication"
    name = "TokenAuthentication"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer"}
