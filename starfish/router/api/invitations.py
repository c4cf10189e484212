"""`invitations/`."""

from re import fullmatch
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from starfish.protocol.messages import INVITATION_STATES
from starfish.protocol.problems import Invalid
from starfish.router import access, queries, wire
from starfish.router.actions import invitations
from starfish.router.actions.idempotency import Answer
from starfish.router.api.base import View
from starfish.router.api.permissions import Account
from starfish.router.api.schema import IDEMPOTENCY_KEY, REFUSALS, query
from starfish.router.api.serializers import StrictText, record_id
from starfish.router.models import Invitation

HEX = "[0-9a-f]{32}"
REQUEST_BYTES, ANSWER_CHARACTERS = 16 * 1024, 4096
ID = OpenApiParameter("id", {"type": "string", "pattern": f"^{HEX}$"}, OpenApiParameter.PATH)


class InvitationRequest(serializers.Serializer[Any]):
    project = record_id()
    id = serializers.RegexField(
        rf"^{HEX}\Z",
        trim_whitespace=False,
        error_messages={"invalid": "An invitation's id is 32 hexadecimal digits, in lower case."},
    )
    site = StrictText(max_length=100)
    expires = serializers.DateTimeField()


class JoinRequest(serializers.Serializer[Any]):
    site = record_id()
    request = StrictText(max_length=REQUEST_BYTES, trim_whitespace=False)


class JoinAnswer(serializers.Serializer[Any]):
    approved = serializers.BooleanField()
    answer = StrictText(max_length=ANSWER_CHARACTERS, trim_whitespace=False, allow_blank=True)


class InvitedTo(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    uid = serializers.RegexField(f"^{HEX}$")


class InvitedBy(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    uid = serializers.UUIDField()
    name = serializers.CharField()


class ListedInvitation(serializers.Serializer[Any]):
    id = serializers.RegexField(f"^{HEX}$")
    project = InvitedTo()
    coordinator = InvitedBy()
    site = serializers.CharField(help_text="The invited site's name.")
    state = serializers.ChoiceField(choices=INVITATION_STATES)
    expires = serializers.DateTimeField()
    request = serializers.CharField(allow_null=True)
    answer = serializers.CharField(allow_null=True)


class InvitationAnswer(ListedInvitation):
    cards = serializers.ListField(child=serializers.CharField(), help_text="The coordinator's.")


class InvitationView(View):
    """Invitations: for the coordinator who makes them, and for the site of the name that each is for."""

    permission_classes = [Account]
    serializer_class = InvitationRequest
    queryset = Invitation.objects.none()
    part_b = True

    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses={200: InvitationAnswer, 201: InvitationAnswer, **REFUSALS})
    def create(self, request: Request) -> Response:
        """By the coordinator of an invitation project; the same again changes nothing."""
        body = self.body(InvitationRequest)

        def invite() -> Answer:
            made, new = invitations.invite(
                self.caller, project_id=body["project"], uid=body["id"], site_name=body["site"], expires=body["expires"]
            )
            return Answer(status=201 if new else 200, body=wire.invitation(made))

        return self.once(invite)

    @extend_schema(parameters=[ID], responses={200: InvitationAnswer, **REFUSALS})
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(wire.invitation(access.invitation_by_uid(self.caller, _uid(pk))))

    @extend_schema(parameters=[ID], responses={204: None, **REFUSALS})
    def destroy(self, request: Request, pk: str) -> Response:
        """By the coordinator; one that is over stays as it is."""
        invitations.withdraw(self.caller, _uid(pk))
        return Response(status=204)

    @extend_schema(parameters=[query("project", required=True)], responses={200: ListedInvitation(many=True), **REFUSALS})
    @action(detail=False, pagination_class=None)
    def lookup(self, request: Request) -> Response:
        """A project's, for its coordinator, and without the cards, which are its own."""
        project = access.project_by_id(self.caller, queries.query_id(request.query_params, "project"))
        access.require_acting(self.caller, project.site_id)
        return Response([wire.listed_invitation(it) for it in access.visible_invitations(self.caller).filter(project=project)])

    @extend_schema(parameters=[ID], request=JoinRequest, responses={200: None, **REFUSALS})
    @action(detail=True, methods=["put"], url_path="request", serializer_class=JoinRequest)
    def ask(self, request: Request, pk: str) -> Response:
        """By the invited site; until it is answered, a later request replaces the earlier."""
        body = self.body(JoinRequest)
        invitations.ask(self.caller, _uid(pk), site_id=body["site"], request=body["request"])
        return Response(status=200)

    @extend_schema(parameters=[ID], request=JoinAnswer, responses={200: None, **REFUSALS})
    @action(detail=True, methods=["put"], serializer_class=JoinAnswer)
    def answer(self, request: Request, pk: str) -> Response:
        """By the coordinator; a site that is approved is in the project then."""
        body = self.body(JoinAnswer)
        invitations.answer(self.caller, _uid(pk), approved=body["approved"], text=body["answer"])
        return Response(status=200)


def _uid(text: str) -> str:
    """Raises Invalid."""
    if not fullmatch(HEX, text):
        raise Invalid("Invalid id")
    return text
