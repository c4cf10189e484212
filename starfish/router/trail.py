"""The audit, for people: who did what, what was refused, and who was shown how much."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet

from starfish.protocol.problems import NotFound
from starfish.router.models import AuditEvent, ReadCount, Site
from starfish.router.wire import JSON, time

M = TypeVar("M", bound=Model)


def events(*, since: datetime | None, account: str | None, refused: bool, last: int) -> list[JSON]:
    """The newest `last`, newest last. Raises NotFound where nobody has that name."""
    found = AuditEvent.objects.select_related("account").order_by("-id")
    if refused:
        found = found.filter(refused=True)
    if since is not None:
        found = found.filter(at__gte=since)
    rows = _newest(_of(found, account), last)
    sites = _sites({row.account_id for row in rows if row.account_id})
    return [
        {
            "at": time(row.at),
            "account": row.account.username if row.account else None,
            "sites": sites.get(row.account_id or 0, []),
            "action": row.action,
            "subject": row.subject,
            "refused": row.refused,
        }
        for row in rows
    ]


def reads(*, since: datetime | None, account: str | None, last: int) -> list[JSON]:
    """By hour, account and kind; newest last. Raises NotFound where nobody has that name."""
    found = ReadCount.objects.select_related("account").order_by("-hour", "-id")
    if since is not None:
        found = found.filter(hour__gte=since.replace(minute=0, second=0, microsecond=0))
    rows = _newest(_of(found, account), last)
    sites = _sites({row.account_id for row in rows})
    return [
        {
            "hour": time(row.hour),
            "account": row.account.username,
            "sites": sites.get(row.account_id, []),
            "kind": row.kind,
            "count": row.count,
        }
        for row in rows
    ]


def _newest(found: QuerySet[M], last: int) -> Sequence[M]:
    return [*found[:last]][::-1]


def _of(found: QuerySet[M], name: str | None) -> QuerySet[M]:
    """Those of the account of this name, or of the site of this name. Raises NotFound."""
    if name is None:
        return found
    accounts = {*User.objects.filter(username=name), *User.objects.filter(sites__name=name)}
    if not accounts:
        raise NotFound(f"There is no account and no site named {name!r}; 'starfish router sites' lists the sites.")
    return found.filter(account__in=accounts)


def _sites(accounts: Collection[int]) -> Mapping[int, list[str]]:
    """The names of the sites that these accounts act for."""
    names: dict[int, list[str]] = defaultdict(list)
    for owner, name in Site.objects.filter(owner__in=accounts).order_by("name").values_list("owner", "name"):
        names[owner or 0].append(name)
    return names
