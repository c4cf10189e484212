"""`POST enrol/`: the one route that needs no account."""

from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.router import wire
from starfish.router.actions import enrolment
from starfish.router.api.base import View
from starfish.router.api.permissions import Anyone
from starfish.router.api.schema import REFUSALS
from starfish.router.api.serializers import EnrolRequest, SiteAnswer


class EnrolView(View):
    """A one-time code becomes a site with a token of its own making."""

    authentication_classes = []
    renderer_classes = [JSONRenderer]
    permission_classes = [Anyone]
    serializer_class = EnrolRequest
    part_b = True

    @extend_schema(auth=[], responses={200: SiteAnswer, 201: SiteAnswer, **REFUSALS})
    def create(self, request: Request) -> Response:
        site, new = enrolment.enrol(**self.body(EnrolRequest))
        return Response(wire.site(site), status=201 if new else 200)
