"""What a site tells of its run while it works: lines of its log, and how far it is. Neither is a change of the run."""

from django.db import models
from django.utils import timezone

from starfish.router.models.run import Run


class Told(models.Model):
    """When, and in which task and round the run was then."""

    task_seq = models.PositiveIntegerField()
    round_seq = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True


class RunLines(Told):
    """One batch of lines, as it came; "\\n" between them."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines", db_index=False)
    text = models.TextField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="lines_of_run")]


class RunProgress(Told):
    """One report; `body` as the site sent it: round, step, fraction, and metrics and message, or `sealed` in a sealed project."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="progress", db_index=False)
    body = models.JSONField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="progress_of_run")]
