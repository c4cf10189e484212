"""Sites come, change, show that they live, and go."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from starfish.protocol.problems import Conflict, Forbidden, InvalidFields, NotFound
from starfish.router.access import SITE_NOT_FOUND, Caller, require_acting, site_by_id, site_by_uid
from starfish.router.actions import audit
from starfish.router.models import Invitation, Site


def create_site(caller: Caller, *, name: str, uid: UUID, description: str) -> Site:
    """The account becomes its owner. Raises Forbidden, InvalidFields."""
    if caller.by_token:
        raise Forbidden("A site's token makes no further sites; enrol each with a code of its own.")
    with transaction.atomic():
        _refuse_invited(caller, name)
        site = insert_site(Site(name=name, uid=uid, description=description, owner=caller.user))
        audit.changed(caller, "site.create", f"site {site.pk}")
    return site


def insert_site(site: Site) -> Site:
    """Raises InvalidFields where name or uid is taken, or the name is none."""
    check_name(site.name)
    try:
        with transaction.atomic():
            site.save(force_insert=True)
    except IntegrityError:
        _refuse_taken(site)
        raise
    return site


def check_name(name: str) -> None:
    """One that a terminal, a log and a person can show and tell from others. Raises InvalidFields."""
    if not 1 <= len(name) <= 100 or not name.isprintable() or name != name.strip():
        raise InvalidFields({"name": ["A site's name has 1 to 100 printable characters, and no space at its ends."]})


def change_site(caller: Caller, site_id: int, *, name: str | None, uid: UUID | None, description: str | None) -> Site:
    """What is None stays. Raises NotFound, Forbidden, InvalidFields."""
    with transaction.atomic():
        site = _lock(caller, site_id)
        if uid is not None and uid != site.uid:
            raise InvalidFields({"uid": ["A site's uid is fixed at its creation."]})
        if name is not None and name != site.name:  # what was taken in earlier times may stay
            check_name(name)
            _refuse_invited(caller, name)
            site.name = name
        site.description = site.description if description is None else description
        try:
            with transaction.atomic():
                site.save(update_fields=["name", "description", "updated_at"])
        except IntegrityError:
            _refuse_taken(site)
            raise
        audit.changed(caller, "site.change", f"site {site.pk}")
    return site


def delete_site(caller: Caller, site_id: int) -> None:
    """Raises NotFound, Forbidden, Conflict."""
    with transaction.atomic():
        site = _lock(caller, site_id)
        if site.runs.exists() or site.projects.filter(batches__isnull=False).exists():
            raise Conflict("This site has runs; it stays, so that what was computed can be traced.")
        site.delete()
        audit.changed(caller, "site.delete", f"site {site_id}")


def heartbeat(caller: Caller, uid: UUID, *, connected: bool) -> None:
    """A sign of life, or a goodbye; runs are not touched. Raises NotFound, Forbidden."""
    site = site_by_uid(caller, uid)
    require_acting(caller, site.pk)
    status = Site.SiteStatus.CONNECTED if connected else Site.SiteStatus.DISCONNECTED
    now = timezone.now()
    Site.objects.filter(pk=site.pk).update(status=status, last_seen_at=now, updated_at=now)


def _lock(caller: Caller, site_id: int) -> Site:
    """The caller's own, held to the end of the transaction. Raises NotFound, Forbidden."""
    require_acting(caller, site_by_id(caller, site_id).pk)
    site = Site.objects.select_for_update().filter(pk=site_id).first()
    if site is None:
        raise NotFound(SITE_NOT_FOUND)
    return site


def _refuse_invited(caller: Caller, name: str) -> None:
    """Nobody takes the name of a site that is or was invited, to see the invitation. Raises InvalidFields."""
    others = Invitation.objects.filter(site_name=name).exclude(asker__in=caller.site_ids)
    if not caller.administrator and others.exists():
        raise InvalidFields({"name": ["A site of this name was invited to a project; let the router's operator give the name."]})


def _refuse_taken(site: Site) -> None:
    others = Site.objects.filter(Q(name=site.name) | Q(uid=site.uid)).exclude(pk=site.pk)
    taken = {}
    if others.filter(name=site.name).exists():
        taken["name"] = ["site with this name already exists."]
    if others.filter(uid=site.uid).exists():
        taken["uid"] = ["site with this uid already exists."]
    if taken:
        raise InvalidFields(taken)
