"""The audit's rows. A change writes its own in its own transaction; a refusal one a minute for each account and action."""

from datetime import timedelta

from django.utils import timezone

from starfish.router.access import Caller
from starfish.router.models import AuditEvent

REFUSALS_APART = timedelta(minutes=1)


def changed(caller: Caller | None, action: str, subject: str) -> None:
    """Call it inside the change's transaction."""
    AuditEvent.objects.create(account=caller.user if caller else None, action=action, subject=subject[:200])


def refused(caller: Caller | None, action: str, subject: str) -> None:
    """Call it outside any transaction: the refused change is rolled back, this stays."""
    account = caller.user if caller else None
    since = timezone.now() - REFUSALS_APART
    if not AuditEvent.objects.filter(account=account, action=action[:50], refused=True, at__gt=since).exists():
        AuditEvent.objects.create(account=account, action=action[:50], subject=subject.replace("\0", "%00")[:200], refused=True)
