"""What has arrived of files that are still on their way."""

from django.db import models
from django.utils import timezone

from starfish.router.models.artifact import Artifact
from starfish.router.models.run import Run


class Upload(models.Model):
    """A stream that has begun and is not stored yet. How far it has come is the length of the file at `key`, and nowhere else.

    Whoever writes to that file holds its lock (`flock`). `size`, `sha256`: of the whole, as its sender announced them.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=13, choices=Artifact.Kind.choices)
    task_seq = models.PositiveIntegerField()
    round_seq = models.PositiveIntegerField()
    name = models.CharField(max_length=150)
    attempt = models.PositiveIntegerField()
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "kind", "task_seq", "round_seq", "name"], name="one upload of a name at a time")
        ]
