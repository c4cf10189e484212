"""Projects and who is in them."""

from django.db import models

from starfish.router.models.base import Dated
from starfish.router.models.site import Site


class Project(Dated):
    """An ordered list of tasks, one coordinator (`site`), any number of participants. `batch` is the last batch's number."""

    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(blank=True, default="")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="projects")
    batch = models.PositiveIntegerField(default=0)
    tasks = models.JSONField(default=list, blank=True)
    definition = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class ProjectParticipant(Dated):
    """A site's place in a project; the coordinator has one too."""

    class Role(models.TextChoices):
        COORDINATOR = "CO", "coordinator"
        PARTICIPANT = "PA", "participant"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=2, choices=Role.choices, default=Role.PARTICIPANT)
    notes = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["site", "project"], name="a site is in a project once")]

    def __str__(self) -> str:
        return f"{self.site} in {self.project}"
