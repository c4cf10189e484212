"""`runs/`: batches are opened, runs seen and moved."""

from itertools import groupby
from operator import itemgetter
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.problems import Invalid, NotFound
from starfish.protocol.run_state import RunStatus
from starfish.router import access, queries, wire
from starfish.router.actions import batches, moves
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View, sealed_bytes
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, id_in_path, query
from starfish.router.api.serializers import DetailAnswer, NestedRunAnswer, RunAnswer, StartRequest, StatusRequest
from starfish.router.listing import ENDED
from starfish.router.models import ProjectParticipant, Run, Site
from starfish.router.telemetry import last_progress


class RunView(View):
    """Runs: a coordinator's projects', a participant's own."""

    permission_classes = [Account]
    serializer_class = StartRequest
    queryset = Run.objects.none()

    @extend_schema(responses={200: RunAnswer(many=True), **REFUSALS})
    def list(self, request: Request) -> Response:
        return self.paged(access.visible_runs(self.caller), wire.runs)

    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses={201: None, **REFUSALS})
    def create(self, request: Request) -> Response:
        body = self.body(StartRequest)

        def start() -> Answer:
            batches.open_batch(self.caller, body["project"], number=body.get("batch"), order=body.get("order"))
            return Answer(status=201)

        return self.once(start)

    @extend_schema(parameters=[id_in_path()], responses={200: NestedRunAnswer, **REFUSALS})
    def retrieve(self, request: Request, pk: str) -> Response:
        run = access.run_by_id(self.caller, queries.path_id(pk))
        member = access.member_projects(self.caller).filter(pk=run.batch.project_id).exists()
        return Response({**wire.nested_run(run, member=member), "progress": last_progress([run.pk]).get(run.pk)})

    @extend_schema(parameters=[id_in_path()], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **REFUSALS})
    @action(detail=True)
    def order(self, request: Request, pk: str) -> Any:
        """What the run's batch was opened with."""
        order = access.run_by_id(self.caller, queries.path_id(pk)).batch.order
        if order is None:
            raise NotFound("This batch has no order: its project is joined by name.")
        return sealed_bytes(order)

    @extend_schema(parameters=[query("site_uid")], responses={200: RunAnswer(many=True), **REFUSALS})
    @action(detail=False, pagination_class=None)
    def active(self, request: Request) -> Response:
        runs = access.visible_runs(self._narrowed(request)).exclude(status__in=ENDED)
        return Response(wire.runs(runs))

    @extend_schema(
        parameters=[query("project", required=True), query("batch_id"), query("site_uid")],
        responses={200: RunAnswer(many=True), **REFUSALS},
    )
    @action(detail=False, pagination_class=None)
    def lookup(self, request: Request) -> Response:
        asked = request.query_params
        project = access.project_by_id(self.caller, queries.query_id(asked, "project"))
        number = queries.whole_number(asked, "batch_id")
        runs = access.visible_runs(self._narrowed(request)).filter(batch__project=project)
        if number is not None:
            runs = runs.filter(batch__number=number)
        rows = groupby(wire.runs(runs.order_by("batch__number", "id")), key=itemgetter("batch"))
        return Response([wire.merged_run([*parts]) for _, parts in rows])

    @extend_schema(
        parameters=[query("project", required=True), query("batch", required=True), query("site"), query("site_uid")],
        responses={200: DetailAnswer, **REFUSALS},
    )
    @action(detail=False, pagination_class=None, url_path="detail", url_name="detail-of-batch")
    def batch_detail(self, request: Request) -> Response:
        asked = request.query_params
        project = access.project_by_id(self.caller, queries.query_id(asked, "project"))
        number = queries.whole_number(asked, "batch")
        if number is None:
            raise Invalid("batch is required")
        site = self._acting_site(request)
        member = ProjectParticipant.objects.filter(project=project, site=site).first()
        runs = access.visible_runs(self.caller.acting_for(site.pk)).filter(batch__project=project, batch__number=number)
        shown = wire.runs(runs)
        if member is None or not shown:
            raise NotFound("No such batch of this site")
        told = last_progress([run["id"] for run in shown])
        return Response({"participant": member.pk, "runs": [{**run, "progress": told.get(run["id"])} for run in shown]})

    @extend_schema(parameters=[id_in_path(), IDEMPOTENCY_KEY], request=StatusRequest, responses={202: None, **REFUSALS})
    @action(detail=True, methods=["put"], serializer_class=StatusRequest)
    def status(self, request: Request, pk: str) -> Response:
        run_id = queries.path_id(pk)
        body = self.body(StatusRequest)
        body["status"] = RunStatus(body["status"])

        def move() -> Answer:
            moves.set_status(self.caller, run_id, **body)
            return Answer(status=202)

        return self.once(move)

    def _narrowed(self, request: Request) -> access.Caller:
        """The caller as the site that `site_uid` names; of another's site, no more than both of them see. Raises NotFound."""
        uid = queries.uid(request.query_params, "site_uid")
        if uid is None:
            return self.caller
        return self.caller.acting_for(self._own(access.site_by_uid(self.caller, uid)).pk)

    def _acting_site(self, request: Request) -> Site:
        """The site that `site` or `site_uid` names: it must be the caller's. Raises Invalid, NotFound."""
        asked = request.query_params
        if "site" in asked:
            return self._own(access.site_by_id(self.caller, queries.query_id(asked, "site")))
        if "site_uid" in asked:
            return self._own(access.site_by_uid(self.caller, queries.uid(asked, "site_uid", required=True)))
        raise Invalid("site or site_uid is required")

    def _own(self, site: Site) -> Site:
        """Seen is not enough: what another site would get is for that site. Raises NotFound."""
        if not self.caller.acts_for(site.pk):
            raise NotFound(access.SITE_NOT_FOUND)
        return site


@extend_schema_view(create=extend_schema(operation_id="runs_start"))
class RunsWithoutSlash(RunView):
    """`POST runs`, as controllers in the field send it."""
