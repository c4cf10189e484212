"""Sites, and how they prove who they are."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from starfish.router.models.base import Dated


class Site(Dated):
    """One controller's home: a hospital, say. `owner` is the account that acts for it."""

    class SiteStatus(models.IntegerChoices):
        DISCONNECTED = 0, "Disconnected"
        CONNECTED = 1, "Connected"

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True, default="")
    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    status = models.IntegerField(choices=SiteStatus.choices, default=SiteStatus.CONNECTED)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="sites")
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class SiteToken(models.Model):
    """A site's Bearer token: made by the site, kept here as its SHA-256. `replaces`: the token that ends when this one is first used."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="tokens")
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="successors")


class EnrolCode(models.Model):
    """A one-time code that turns into an account, a site of this name and a token."""

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="enrol_codes")
