"""What the router does by itself, every few seconds."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from starfish.router.models import IdempotencyRecord, Site, Sweep

KEYS_KEPT = timedelta(days=7)


def check_site_status() -> int:
    """Sites that have been silent for SITE_TIMEOUT_S become Disconnected; runs are not touched. Returns how many."""
    now = timezone.now()
    with transaction.atomic():
        silent = Site.objects.filter(
            status=Site.SiteStatus.CONNECTED, last_seen_at__lt=now - timedelta(seconds=settings.SITE_TIMEOUT_S)
        ).update(status=Site.SiteStatus.DISCONNECTED, updated_at=now)
        IdempotencyRecord.objects.filter(created_at__lt=now - KEYS_KEPT).delete()
        Sweep.objects.update_or_create(pk=1, defaults={"at": now})
    return silent
