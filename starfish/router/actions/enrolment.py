"""One-time codes become accounts, sites and tokens."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from starfish.protocol.problems import Forbidden, InvalidFields, NotFound
from starfish.router.actions import audit
from starfish.router.actions.sites import check_name, insert_site
from starfish.router.credentials import token_digest
from starfish.router.models import EnrolCode, Site, SiteToken

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is read out as something else
REPEATABLE = timedelta(hours=1)
REFUSED = "This code is not known, has expired or was used; ask the router's operator for a new one."


def make_code(name: str, *, valid: timedelta) -> str:
    """A code for a site of this name; the router keeps its digest alone. Raises InvalidFields."""
    check_name(name)
    if Site.objects.filter(name=name).exists():
        raise InvalidFields({"name": ["site with this name already exists."]})
    letters = "".join(secrets.choice(ALPHABET) for _ in range(20))
    code = "-".join(letters[start : start + 5] for start in range(0, 20, 5))
    with transaction.atomic():
        EnrolCode.objects.create(sha256=_digest(code), name=name, expires_at=timezone.now() + valid)
        audit.changed(None, "code.create", f"site named {name}")
    return code


def enrol(*, code: str, uid: UUID, token: str, description: str) -> tuple[Site, bool]:
    """The site, and whether it is new: the same code, uid and token within the hour is answered again. Raises Forbidden, InvalidFields."""
    with transaction.atomic():
        entry = EnrolCode.objects.select_for_update(of=("self",)).select_related("site").filter(sha256=_digest(code)).first()
        now = timezone.now()
        if entry is None:
            raise Forbidden(REFUSED)
        if entry.used_at is not None:
            return _again(entry, uid, token), False
        if entry.expires_at <= now:
            raise Forbidden(REFUSED)
        if SiteToken.objects.filter(sha256=token_digest(token)).exists():
            raise InvalidFields({"token": ["Make a new token for each site."]})
        site = insert_site(Site(name=entry.name, uid=uid, description=description))
        site.owner = User.objects.create_user(f"site-{site.pk}-{secrets.token_hex(4)}")
        site.save(update_fields=["owner"])
        SiteToken.objects.create(site=site, sha256=token_digest(token), expires_at=now + timedelta(days=settings.TOKEN_DAYS))
        entry.used_at, entry.site = now, site
        entry.save(update_fields=["used_at", "site"])
        audit.changed(None, "site.enrol", f"site {site.pk}")
    return site, True


def revoke(name: str) -> int:
    """End all tokens of the site of this name; how many were good until now. Raises NotFound."""
    with transaction.atomic():
        site = Site.objects.filter(name=name).first()
        if site is None:
            raise NotFound(f"There is no site named {name!r}; 'starfish router sites' lists them.")
        tokens, now = site.tokens.filter(revoked_at=None), timezone.now()
        ended = tokens.filter(expires_at__gt=now).count()
        tokens.update(revoked_at=now)
        audit.changed(None, "site.revoke", f"site {site.pk}")
    return ended


def _again(entry: EnrolCode, uid: UUID, token: str) -> Site:
    site = entry.site
    recent = entry.used_at is not None and timezone.now() - entry.used_at <= REPEATABLE
    if site is None or not recent or site.uid != uid or not site.tokens.filter(sha256=token_digest(token), revoked_at=None).exists():
        raise Forbidden(REFUSED)
    return site


def _digest(code: str) -> str:
    letters = code.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(letters.encode()).hexdigest()
