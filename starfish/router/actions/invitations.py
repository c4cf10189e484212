"""Invitations: made by a coordinator, asked for by the invited site, answered. Whom to believe is the sites' matter."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from starfish.protocol.problems import Conflict, Forbidden, Invalid, NotFound
from starfish.router.access import INVITATION_NOT_FOUND, Caller, invitation_by_uid, require_acting, site_by_id
from starfish.router.actions import audit
from starfish.router.actions.projects import lock_project, lock_visible_project
from starfish.router.models import Invitation, Project, ProjectParticipant

State = Invitation.State
MOST_INVITATIONS = 1000
"""Of one project, whatever has come of them."""


def invite(caller: Caller, *, project_id: int, uid: str, site_name: str, expires: datetime) -> tuple[Invitation, bool]:
    """The invitation, and whether it is new. Raises NotFound, Forbidden, Invalid, Conflict."""
    with transaction.atomic():
        project = lock_visible_project(caller, project_id)
        require_acting(caller, project.site_id)
        if not project.sealed:
            raise Invalid("Sites join this project by name: it has no invitations.")
        known = Invitation.objects.select_related("project__site").filter(uid=uid).first()
        if known and (known.project_id, known.site_name, known.expires_at) == (project.pk, site_name, expires):
            return known, False
        if known:
            raise Conflict("Another invitation has this id: take 16 new random bytes.")
        _refuse_pointless(project, site_name, expires)
        made = Invitation.objects.create(project=project, uid=uid, site_name=site_name, expires_at=expires)
        audit.changed(caller, "invitation.create", f"project {project.pk}, invitation {made.pk}")
    return made, True


def ask(caller: Caller, uid: str, *, site_id: int, request: str) -> None:
    """The invited site's request. Until the coordinator has answered, a later one replaces the earlier: which is true it finds out.

    Raises NotFound, Forbidden, Conflict.
    """
    invitation_by_uid(caller, uid)
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    with transaction.atomic():
        it = _lock(uid)
        if site.name != it.site_name:
            raise Forbidden("This invitation is for a site of another name.")
        if (it.asker_id, it.request) == (site.pk, request):
            return
        if it.state not in (State.OPEN, State.ASKED) or it.expired:
            raise _over(it)
        it.state, it.asker, it.request = State.ASKED, site, request
        it.save(update_fields=["state", "asker", "request"])
        audit.changed(caller, "invitation.request", f"project {it.project_id}, invitation {it.pk}, site {site.pk}")


def answer(caller: Caller, uid: str, *, approved: bool, text: str) -> None:
    """The coordinator's; who is approved is in the project then. Raises NotFound, Forbidden, Conflict."""
    project_id = _coordinated(caller, uid)
    state = State.APPROVED if approved else State.REFUSED
    with transaction.atomic():
        project = lock_project(project_id)
        it = _lock(uid)
        if (it.state, it.answer) == (state, text):
            return
        if it.state == State.OPEN or (it.state == State.ASKED and it.asker is None):
            raise Conflict("Nobody has asked for this invitation yet, so there is nothing to answer.", state=it.shown_state)
        if it.state != State.ASKED:
            raise _over(it)
        it.state, it.answer = state, text
        it.save(update_fields=["state", "answer"])
        if approved:
            ProjectParticipant.objects.get_or_create(project=project, site=it.asker)
        audit.changed(caller, f"invitation.{state}", f"project {project.pk}, invitation {it.pk}, site {it.asker_id}")


def withdraw(caller: Caller, uid: str) -> None:
    """One that is over stays as it is. Raises NotFound, Forbidden."""
    _coordinated(caller, uid)
    with transaction.atomic():
        it = _lock(uid)
        if it.state in (State.OPEN, State.ASKED):
            it.state = State.WITHDRAWN
            it.save(update_fields=["state"])
            audit.changed(caller, "invitation.withdraw", f"project {it.project_id}, invitation {it.pk}")


def _refuse_pointless(project: Project, site_name: str, expires: datetime) -> None:
    if site_name == project.site.name:
        raise Invalid("This is the coordinator's own site: it is in the project already.")
    if project.memberships.filter(site__name=site_name).exists():
        raise Conflict("This site is in the project already.")
    if expires <= timezone.now():
        raise Invalid("The invitation would be over before it begins: expires is not in the future.")
    if project.invitations.count() >= MOST_INVITATIONS:
        raise Conflict(f"A project has at most {MOST_INVITATIONS} invitations.")


def _coordinated(caller: Caller, uid: str) -> int:
    """The id of its project, whose coordinator the caller acts for. Raises NotFound, Forbidden."""
    project = invitation_by_uid(caller, uid).project
    require_acting(caller, project.site_id)
    return project.pk


def _lock(uid: str) -> Invitation:
    """Held to the end of the transaction. Raises NotFound."""
    it = Invitation.objects.select_for_update(of=("self",)).filter(uid=uid).first()
    if it is None:
        raise NotFound(INVITATION_NOT_FOUND)
    return it


def _over(it: Invitation) -> Conflict:
    state = it.EXPIRED if it.expired and it.state == State.ASKED else it.shown_state
    return Conflict(f"This invitation is {state}: the coordinator can make another.", state=state)
