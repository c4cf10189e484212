"""`projects/` and `project-participants/`."""

from collections.abc import Iterable, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.problems import Invalid, NotFound
from starfish.router import access, queries, wire
from starfish.router.actions import projects
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, ProjectLookup, id_in_path, query
from starfish.router.api.serializers import ParticipantAnswer, ParticipantRequest, ProjectAnswer, ProjectRequest
from starfish.router.models import Project, ProjectParticipant


class ProjectView(View):
    """Projects: whole to those who are in them, id, name and coordinator to others."""

    permission_classes = [Account]
    serializer_class = ProjectRequest
    queryset = Project.objects.none()

    @extend_schema(responses={200: ProjectAnswer(many=True), **REFUSALS})
    def list(self, request: Request) -> Response:
        return self.paged(access.visible_projects(self.caller).order_by("pk"), self._shown)

    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses={201: ProjectAnswer, **REFUSALS})
    def create(self, request: Request) -> Response:
        body = self.body(ProjectRequest)
        site = body.pop("site")
        return self.once(lambda: Answer(status=201, body=wire.project(projects.create_project(self.caller, site_id=site, **body))))

    @extend_schema(parameters=[id_in_path()], responses={200: ProjectAnswer, **REFUSALS})
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._shown([access.project_by_id(self.caller, queries.path_id(pk))])[0])

    @extend_schema(parameters=[query("site_id"), query("name")], responses={200: ProjectLookup, **REFUSALS})
    @action(detail=False, pagination_class=None)
    def lookup(self, request: Request) -> Response:
        asked = request.query_params
        if "site_id" in asked:
            site = access.site_by_id(self.caller, queries.query_id(asked, "site_id"))
            return Response([wire.participant(it) for it in access.visible_memberships(self.caller).filter(site=site)])
        if "name" not in asked:
            raise Invalid("site_id or name is required")
        found = access.visible_projects(self.caller).filter(name=queries.text(asked, "name"))
        if not found:
            raise NotFound(access.PROJECT_NOT_FOUND)
        return Response(self._shown(found)[0])

    def _shown(self, found: Iterable[Project]) -> Sequence[wire.JSON]:
        chosen = [*found]
        whole = set(access.member_projects(self.caller).filter(pk__in=[it.pk for it in chosen]).values_list("pk", flat=True))
        return [wire.project(it) if it.pk in whole else wire.project_summary(it) for it in chosen]


class ParticipantView(View):
    """Who is in which project, as far as the caller may know."""

    permission_classes = [Account]
    serializer_class = ParticipantRequest
    queryset = ProjectParticipant.objects.none()

    @extend_schema(responses={200: ParticipantAnswer(many=True), **REFUSALS})
    def list(self, request: Request) -> Response:
        return self.paged(access.visible_memberships(self.caller), lambda page: [wire.participant(it) for it in page])

    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses={201: ParticipantAnswer, **REFUSALS})
    def create(self, request: Request) -> Response:
        body: dict[str, Any] = self.body(ParticipantRequest)
        site, project = body.pop("site"), body.pop("project")
        return self.once(
            lambda: Answer(status=201, body=wire.participant(projects.join(self.caller, site_id=site, project_id=project, **body)))
        )

    @extend_schema(parameters=[id_in_path()], responses={200: ParticipantAnswer, **REFUSALS})
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(wire.participant(access.membership_by_id(self.caller, queries.path_id(pk))))

    @extend_schema(parameters=[id_in_path()], responses={204: None, **REFUSALS})
    def destroy(self, request: Request, pk: str) -> Response:
        projects.leave(self.caller, queries.path_id(pk))
        return Response(status=204)

    @extend_schema(parameters=[query("project", required=True)], responses={200: ParticipantAnswer(many=True), **REFUSALS})
    @action(detail=False, pagination_class=None)
    def lookup(self, request: Request) -> Response:
        project = access.project_by_id(self.caller, queries.query_id(request.query_params, "project"))
        return Response([wire.participant(it) for it in access.visible_memberships(self.caller).filter(project=project)])
