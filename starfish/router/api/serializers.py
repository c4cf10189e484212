"""Requests, checked; and what answers look like, for the OpenAPI document. The answers themselves come from `wire`."""

from typing import Any

from django.contrib.auth.models import Group, User
from rest_framework import serializers

from starfish.router.models import Project
from starfish.router.queries import LARGEST_ID, LARGEST_NUMBER
from starfish.router.wire import ROLE_WORDS, RUN_WORDS, SITE_WORDS

TEXT = 10_000
ORDER_CHARACTERS = 8192


class StrictNumber(serializers.IntegerField):
    """A whole number, or its ASCII digits, as forms send it: Python would read `1_0` and other alphabets' digits, too."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not (data.isascii() and data.removeprefix("-").isdigit()):
            self.fail("invalid")
        return super().to_internal_value(data)


def record_id(**options: Any) -> StrictNumber:
    return StrictNumber(min_value=1, max_value=LARGEST_ID, **options)


def _number(**options: Any) -> StrictNumber:
    return StrictNumber(min_value=1, max_value=LARGEST_NUMBER, **options)


class StrictText(serializers.CharField):
    """Text only: a number where a name belongs is a mistake, not a name."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class SiteRequest(serializers.Serializer[Any]):
    uid = serializers.UUIDField()
    name = StrictText(max_length=100)
    description = StrictText(max_length=TEXT, allow_blank=True, required=False)


class Heartbeat(serializers.Serializer[Any]):
    uid = serializers.UUIDField()
    status = StrictNumber(min_value=0, max_value=1)


class ProjectRequest(serializers.Serializer[Any]):
    name = StrictText(max_length=200)
    description = StrictText(max_length=TEXT, allow_blank=True, default="")
    site = record_id()
    tasks = serializers.JSONField(default=list)  # type: ignore[arg-type]
    definition = serializers.DictField(default=dict)
    joining = serializers.ChoiceField(choices=Project.Joining.values, default=Project.Joining.BY_NAME)
    uid = StrictText(max_length=32, required=False)


class ParticipantRequest(serializers.Serializer[Any]):
    site = record_id()
    project = record_id()
    role = StrictText(max_length=20, default="PA")
    notes = StrictText(max_length=TEXT, allow_blank=True, default="")


class StartRequest(serializers.Serializer[Any]):
    project = StrictNumber(min_value=0, max_value=LARGEST_ID)  # 0 is a project that does not exist: a sentence, as for any other
    batch = _number(required=False)
    order = StrictText(max_length=ORDER_CHARACTERS, required=False)


class StatusRequest(serializers.Serializer[Any]):
    status = StrictNumber(min_value=0, max_value=8)
    update_all = serializers.BooleanField(default=False)
    increase_round = serializers.BooleanField(default=False)


class ActionRequest(serializers.Serializer[Any]):
    run = record_id()
    action = serializers.ChoiceField(choices=["stop", "restart"])
    role = serializers.ChoiceField(choices=ROLE_WORDS, required=False)
    project = record_id(required=False)
    batch = _number(required=False)


class UploadRequest(serializers.Serializer[Any]):
    run = record_id()
    task_seq = _number()
    round_seq = _number()
    artifacts = serializers.ListField(child=serializers.FileField(allow_empty_file=True), required=False)
    mid_artifacts = serializers.ListField(child=serializers.FileField(allow_empty_file=True), required=False)
    logs = serializers.ListField(child=serializers.FileField(allow_empty_file=True), required=False)


class TokenRequest(serializers.Serializer[Any]):
    token = serializers.RegexField(r"^[!-~]{32,256}\Z", error_messages={"invalid": "A token has 32 to 256 printable ASCII characters."})


class TokenAnswer(serializers.Serializer[Any]):
    """How long a token is good; `seconds_left` by the router's clock."""

    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    seconds_left = serializers.FloatField()


class EnrolRequest(TokenRequest):
    code = StrictText(max_length=100)
    uid = serializers.UUIDField()
    description = StrictText(max_length=TEXT, allow_blank=True, default="")


class SiteAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    uid = serializers.UUIDField()
    status = serializers.ChoiceField(choices=SITE_WORDS)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProjectSummary(serializers.Serializer[Any]):
    """What an account sees of a project that it is not in."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    site = serializers.IntegerField()


class TaskAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    model = serializers.CharField()
    config = serializers.DictField()


class ProjectAnswer(ProjectSummary):
    """A project; of one that the account is not in, `id`, `name` and `site` alone."""

    description = serializers.CharField(required=False)
    batch = serializers.IntegerField(required=False)
    tasks = TaskAnswer(many=True, required=False)
    definition = serializers.DictField(required=False)
    uid = serializers.RegexField("^[0-9a-f]{32}$", required=False)
    joining = serializers.ChoiceField(choices=Project.Joining.values, required=False)
    agent_config = serializers.DictField(required=False)
    agent_log = serializers.ListField(required=False)
    created_at = serializers.DateTimeField(required=False)
    updated_at = serializers.DateTimeField(required=False)


class ParticipantAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    site = SiteAnswer()
    project = ProjectAnswer()
    role = serializers.ChoiceField(choices=ROLE_WORDS)
    notes = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProgressAnswer(serializers.Serializer[Any]):
    """The last that a run's site has reported."""

    id = serializers.IntegerField()
    task_seq = serializers.IntegerField()
    round_seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    round = serializers.IntegerField()
    step = serializers.JSONField(help_text="A name or a number.")
    fraction = serializers.FloatField(allow_null=True)
    metrics = serializers.DictField(child=serializers.FloatField(), required=False)
    message = serializers.CharField(required=False)
    sealed = serializers.CharField(required=False, help_text="Of a sealed project, in place of metrics and message.")


class RunAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.IntegerField()
    batch = serializers.IntegerField()
    participant = serializers.IntegerField(allow_null=True)
    role = serializers.ChoiceField(choices=ROLE_WORDS)
    site_uid = serializers.UUIDField()
    cur_seq = serializers.IntegerField()
    status = serializers.ChoiceField(choices=RUN_WORDS)
    logs = serializers.ListField(child=serializers.CharField())
    artifacts = serializers.ListField(child=serializers.CharField())
    middle_artifacts = serializers.ListField(child=serializers.CharField())
    tasks = TaskAnswer(many=True)
    agent_advice = serializers.DictField()
    agent_diagnosis = serializers.DictField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ToldRunAnswer(RunAnswer):
    progress = ProgressAnswer(allow_null=True)


class NestedRunAnswer(ToldRunAnswer):
    project = ProjectAnswer()  # type: ignore[assignment]
    participant = ParticipantAnswer(allow_null=True)  # type: ignore[assignment]


class DetailAnswer(serializers.Serializer[Any]):
    participant = serializers.IntegerField()
    runs = ToldRunAnswer(many=True)


class UserSerializer(serializers.ModelSerializer[User]):
    """Accounts, for administrators; a password goes in and never comes out."""

    password = serializers.CharField(write_only=True, required=False, max_length=128)

    class Meta:
        model = User
        fields = ["id", "username", "email", "is_active", "groups", "password"]


class GroupSerializer(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ["id", "name"]
