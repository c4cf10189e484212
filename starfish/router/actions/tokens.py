"""A site's token is renewed by the site, without a break: old and new are both good until the new one has been used once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from starfish.protocol.problems import Conflict, InvalidFields, NotFound, Unauthorized
from starfish.router.access import Caller
from starfish.router.actions import audit
from starfish.router.models import Site, SiteToken

OVERLAP = timedelta(days=3)
"""So long a replaced token is good at most, where the new one is not used: a site that was down over a weekend finds its way."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """How long a token is good, by the router's clock."""

    begins: datetime
    ends: datetime
    left_s: float

    @classmethod
    def of(cls, token: SiteToken) -> "Life":
        return cls(begins=token.created_at, ends=token.expires_at, left_s=(token.expires_at - timezone.now()).total_seconds())


def life(shown: str) -> Life:
    """Of the token with this digest. Raises NotFound."""
    return Life.of(_present(shown))


def renew(caller: Caller, *, shown: str, new: str) -> Life:
    """A token for the one that was shown, both by their digests; the same again changes nothing.

    Raises NotFound, Unauthorized, InvalidFields.
    """
    with transaction.atomic():
        present, now = _present(shown, lock=True), timezone.now()
        if present.revoked_at is not None:
            raise Unauthorized("This token has just ended; use the one that replaced it.")
        known = SiteToken.objects.filter(sha256=new).first()
        if known is not None:
            return Life.of(_same_again(present, known))
        present.successors.filter(revoked_at=None).update(revoked_at=now)
        made = SiteToken.objects.create(
            site=present.site, sha256=new, created_at=now, expires_at=now + timedelta(days=settings.TOKEN_DAYS), replaces=present
        )
        present.expires_at = min(present.expires_at, now + OVERLAP)
        present.save(update_fields=["expires_at"])
        audit.changed(caller, "token.renew", f"site {present.site_id}")
    return Life.of(made)


def used(token: SiteToken) -> None:
    """For the first time, perhaps: then the one that it replaces ends."""
    if token.replaces_id is None:
        return
    with transaction.atomic():
        if SiteToken.objects.filter(pk=token.pk, replaces=token.replaces_id).update(replaces=None):
            SiteToken.objects.filter(pk=token.replaces_id, revoked_at=None).update(revoked_at=timezone.now())
            audit.changed(Caller.of_site(token.site), "token.replace", f"site {token.site_id}")


def extend(name: str, *, valid: timedelta) -> datetime:
    """The newest token of the site of this name, expired or not, is good that long from now on. Raises NotFound, Conflict."""
    with transaction.atomic():
        site = Site.objects.filter(name=name).first()
        if site is None:
            raise NotFound(f"There is no site named {name!r}; 'starfish router sites' lists them.")
        token = site.tokens.filter(revoked_at=None).order_by("-created_at", "-pk").first()
        if token is None:
            raise Conflict(f"{name} has no token that could be extended: none was made, or all were revoked.")
        token.expires_at = max(token.expires_at, timezone.now() + valid)
        token.save(update_fields=["expires_at"])
        audit.changed(None, "token.extend", f"site {site.pk}")
    return token.expires_at


def _present(shown: str, *, lock: bool = False) -> SiteToken:
    tokens = SiteToken.objects.select_related("site")
    found = (tokens.select_for_update(of=("self",)) if lock else tokens).filter(sha256=shown).first()
    if found is None:
        raise NotFound("This request came without a site's token.")
    return found


def _same_again(present: SiteToken, known: SiteToken) -> SiteToken:
    """A repeat, or the new token itself. Raises InvalidFields."""
    good = known.revoked_at is None and known.expires_at > timezone.now()
    if not good or present.pk not in (known.pk, known.replaces_id):
        raise InvalidFields({"token": ["Make a new token for each renewal."]})
    return known
