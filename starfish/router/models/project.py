"""Projects and who is in them."""

import secrets

from django.db import models

from starfish.router.models.base import Dated
from starfish.router.models.site import Site


def new_uid() -> str:
    """16 random bytes: what a project is called beyond this router."""
    return secrets.token_hex(16)


class Project(Dated):
    """An ordered list of tasks, one coordinator (`site`), any number of participants. `batch` is the last batch's number.

    `joining` never changes. An invitation project is sealed: what it is about is in its manifest, which is not the router's to read.
    """

    class Joining(models.TextChoices):
        BY_NAME = "by-name", "by name"
        INVITATION = "invitation", "by invitation"

    uid = models.CharField(max_length=32, unique=True, default=new_uid)
    joining = models.CharField(max_length=10, choices=Joining.choices, default=Joining.BY_NAME)
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

    @property
    def sealed(self) -> bool:
        return self.joining == self.Joining.INVITATION


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
