"""`runs-action/`: files up and down, stop and restart."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.problems import Invalid, NotFound
from starfish.router import access, queries
from starfish.router.actions import artifacts, moves
from starfish.router.actions.idempotency import Answer
from starfish.router.api.archive import Member, zipped
from starfish.router.api.base import View
from starfish.router.api.parsers import BoundedMultiPartParser
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, query
from starfish.router.api.serializers import ActionRequest, UploadRequest
from starfish.router.models import Artifact, ProjectParticipant, Run


class RunActionView(View):
    """What is done to runs but is not their status."""

    permission_classes = [Account]
    queryset = Run.objects.none()

    @extend_schema(request={"multipart/form-data": UploadRequest}, responses={200: None, **REFUSALS})
    @action(detail=False, methods=["post"], parser_classes=[BoundedMultiPartParser], serializer_class=UploadRequest)
    def upload(self, request: Request) -> Response:
        body = self.body(UploadRequest)
        files = [
            artifacts.Incoming(kind=kind, name=file.name, head=_head(file), chunks=file.chunks())
            for kind in Artifact.Kind
            for file in body.get(kind.value, [])
        ]
        if not files:
            raise Invalid("No file came: send artifacts, logs or mid_artifacts")
        artifacts.upload(self.caller, body["run"], body["task_seq"], body["round_seq"], files)
        return Response(status=200)

    @extend_schema(
        parameters=[
            query("run", required=True),
            query("type", required=True, enum=Artifact.Kind.values),
            query("task_seq"),
            query("round_seq"),
            query("all_runs"),
        ],
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **REFUSALS},
    )
    @action(detail=False, pagination_class=None)
    def download(self, request: Request) -> Any:
        asked = request.query_params
        run = access.run_by_id(self.caller, queries.query_id(asked, "run"))
        kind = asked.get("type")
        if kind not in Artifact.Kind.values:
            raise Invalid(f"type is one of {', '.join(Artifact.Kind.values)}")
        task, turn = queries.whole_number(asked, "task_seq"), queries.whole_number(asked, "round_seq")
        found = _readable(run, kind, everyone=queries.flag(asked, "all_runs") and self._coordinates(run))
        if task is not None:
            found = found.filter(task_seq=task)
        if turn is not None:
            found = found.filter(round_seq=turn)
        members = [Member.of(it, reader=run.pk) for it in found.order_by("run", "id")]
        if not members:
            raise NotFound("There is no such file")
        return zipped(request, f"{kind}.zip", members)

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=ActionRequest, responses={202: None, **REFUSALS})
    @action(detail=False, methods=["put"], url_path="update", serializer_class=ActionRequest)
    def act(self, request: Request) -> Response:
        body = self.body(ActionRequest)

        def act() -> Answer:
            moves.act(
                self.caller,
                body["run"],
                restart=body["action"] == "restart",
                whole=body.get("role") == ProjectParticipant.Role.COORDINATOR.label,
                project_id=body.get("project"),
                number=body.get("batch"),
            )
            return Answer(status=202)

        return self.once(act)

    def _coordinates(self, run: Run) -> bool:
        """Whether the acting site is the coordinator's: an administrator acts for the addressed run's."""
        coordinator = run.batch.project.site_id
        return run.site_id == coordinator if self.caller.administrator else coordinator in self.caller.site_ids


def _head(file: Any) -> bytes:
    """Its first bytes; `chunks` begins anew."""
    head: bytes = file.read(64)
    return head


def _readable(run: Run, kind: str, *, everyone: bool) -> Any:
    """A global model is the batch's; the rest is its sender's, or everyone's to the coordinator."""
    found = Artifact.objects.filter(kind=kind)
    if everyone or kind == Artifact.Kind.MODEL:
        return found.filter(run__batch=run.batch)
    return found.filter(run=run)
