"""What sites sent: the bytes are in storage, this says whose they are."""

from django.db import models
from django.utils import timezone

from starfish.router.models.run import Run


class Artifact(models.Model):
    """One stored file of a run (its sender). Of a global model, sent by the coordinator's run, every run of the batch may read.

    `attempt` grows with each set of other bytes under the same name.
    """

    class Kind(models.TextChoices):
        MODEL = "artifacts", "global model"
        UPDATE = "mid_artifacts", "update"
        LOG = "logs", "logs"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    kind = models.CharField(max_length=13, choices=Kind.choices)
    task_seq = models.PositiveIntegerField()
    round_seq = models.PositiveIntegerField()
    name = models.CharField(max_length=150)
    attempt = models.PositiveIntegerField(default=1)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "kind", "task_seq", "round_seq", "name"], name="a run's file has its name once")
        ]
