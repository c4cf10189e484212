"""Who did and read what, which requests were answered already, and when the router last looked after itself."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class AuditEvent(models.Model):
    """A change, in the transaction that made it, or a refusal. Never a payload, a key or a row."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=50)
    subject = models.CharField(max_length=200)
    refused = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]


class ReadCount(models.Model):
    """How often an account was shown something of a kind ("run.list") in the hour that begins at `hour`."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=50)
    hour = models.DateTimeField(db_index=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["hour", "id"]
        constraints = [models.UniqueConstraint(fields=["account", "kind", "hour"], name="reads of a kind are counted once an hour")]


class IdempotencyRecord(models.Model):
    """The answer to a request that carried an Idempotency-Key, so that a repeat gets it again. `body`: JSON, to the letter."""

    caller = models.CharField(max_length=40)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(null=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="a caller's key is used once")]


class Sweep(models.Model):
    """When `check_site_status` last ran, by whatever process."""

    at = models.DateTimeField()
