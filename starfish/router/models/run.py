"""One site's part in a batch, and its history."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from starfish.protocol.run_state import RunStatus
from starfish.router.models.base import Dated
from starfish.router.models.batch import Batch
from starfish.router.models.project import ProjectParticipant
from starfish.router.models.site import Site

STATUSES = [(int(status), status.word) for status in RunStatus]


class Run(Dated):
    """`site` and `role` stay when the site leaves the project; `participant` goes.

    `left_out` lists the `[task, round]` that barriers do not wait for it in. `failed_task`, `failed_round`: where it failed.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="runs")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="runs")
    participant = models.ForeignKey(ProjectParticipant, null=True, on_delete=models.SET_NULL, related_name="runs")
    role = models.CharField(max_length=2, choices=ProjectParticipant.Role.choices)
    status = models.PositiveSmallIntegerField(choices=STATUSES, default=RunStatus.STANDBY)
    left_out = models.JSONField(default=list)
    failed_task = models.PositiveIntegerField(null=True)
    failed_round = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["status"])]
        constraints = [models.UniqueConstraint(fields=["batch", "site"], name="a site has one run in a batch")]

    @property
    def state(self) -> RunStatus:
        return RunStatus(self.status)

    @property
    def coordinates(self) -> bool:
        """Whether this is its batch's coordinator's run."""
        return self.role == ProjectParticipant.Role.COORDINATOR

    @property
    def position(self) -> tuple[int, int]:
        """The task and round that it is in, or failed in: a run that failed and was left out stays behind."""
        if self.failed_task is not None and self.failed_round is not None:
            return self.failed_task, self.failed_round
        return self.batch.position


class RunTransition(models.Model):
    """The history of a run: one row for each change of status, written in the same transaction."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="transitions")
    source = models.PositiveSmallIntegerField(choices=STATUSES)
    target = models.PositiveSmallIntegerField(choices=STATUSES)
    task_seq = models.PositiveIntegerField()
    round_seq = models.PositiveIntegerField()
    account = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
