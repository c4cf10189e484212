"""What sites tell each other so that they need not trust the router: it keeps these, in order, and can open none of them."""

from django.db import models
from django.utils import timezone

from starfish.router.models.project import Project
from starfish.router.models.site import Site


class SiteCard(models.Model):
    """One of a site's cards: which keys are its, said by itself. They are numbered from 1, and none ever changes."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="cards")
    version = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["site_id", "version"]
        constraints = [models.UniqueConstraint(fields=["site", "version"], name="a site's card has its version once")]


class Invitation(models.Model):
    """A coordinator's, for the site of that name; the secret is not here. `asker`: the site that sent the request."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ASKED = "asked", "asked"
        APPROVED = "approved", "approved"
        REFUSED = "refused", "refused"
        WITHDRAWN = "withdrawn", "withdrawn"

    EXPIRED = "expired"

    uid = models.CharField(max_length=32, unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    site_name = models.CharField(max_length=100, db_index=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    expires_at = models.DateTimeField()
    asker = models.ForeignKey(Site, null=True, on_delete=models.SET_NULL, related_name="+")
    request = models.TextField(null=True)
    answer = models.TextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    @property
    def expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def shown_state(self) -> str:
        """A request that came in time can be answered later; an open invitation is over with its time."""
        return self.EXPIRED if self.state == self.State.OPEN and self.expired else self.state


class Letter(models.Model):
    """A member's manifest and view of one version of its project, sealed to that member. It never changes."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="letters")
    version = models.PositiveIntegerField()
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="letters")
    data = models.BinaryField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["version"]
        constraints = [models.UniqueConstraint(fields=["project", "version", "site"], name="a member has one letter of a version")]
