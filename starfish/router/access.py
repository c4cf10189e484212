"""Who is calling, what they may see, and for whom they may act. The one place; every route asks here.

An administrator (superuser) acts for any site. An account acts for the sites that it owns, a token for its own site alone.
A coordinator sees its projects' runs, a participant its own; both see the sites they work with. Of a project that sites join by name
everyone sees that there is one; of one that they join by invitation its members alone. Everything else does not exist.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from starfish.protocol.problems import Forbidden, NotFound
from starfish.router.models import Artifact, Invitation, Letter, Project, ProjectParticipant, Run, Site

M = TypeVar("M", bound=Model)

SITE_NOT_FOUND = "Site not found"
PROJECT_NOT_FOUND = "Project not found"
RUN_NOT_FOUND = "Run not found"
INVITATION_NOT_FOUND = "Invitation not found"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`by_token`: the caller proved to be one site, not an account. `site_uid`: the one site that it is or asks for."""

    user: User
    administrator: bool
    site_ids: frozenset[int]
    by_token: bool = False
    site_uid: UUID | None = None

    @classmethod
    def of_account(cls, user: User) -> "Caller":
        """An account that has proved its password."""
        return cls(
            user=user, administrator=user.is_superuser, site_ids=frozenset(Site.objects.filter(owner=user).values_list("pk", flat=True))
        )

    @classmethod
    def of_site(cls, site: Site) -> "Caller":
        """A site that has shown its token; never an administrator, whoever owns it."""
        assert site.owner is not None
        return cls(user=site.owner, administrator=False, site_ids=frozenset({site.pk}), by_token=True, site_uid=site.uid)

    @property
    def key(self) -> str:
        """Whose Idempotency-Keys these are."""
        return f"site {min(self.site_ids)}" if self.by_token else f"account {self.user.pk}"

    def acts_for(self, site_id: int) -> bool:
        return self.administrator or site_id in self.site_ids

    def acting_for(self, site_id: int) -> "Caller":
        """This caller as that one site: what it gets is what the site would get."""
        return Caller(user=self.user, administrator=False, site_ids=frozenset({site_id}), by_token=self.by_token)


def require_acting(caller: Caller, site_id: int) -> None:
    """Raises Forbidden."""
    if not caller.acts_for(site_id):
        raise Forbidden("This account does not act for that site.")


def require_administrator(caller: Caller) -> None:
    """Raises Forbidden."""
    if not caller.administrator:
        raise Forbidden("Only administrators may do this.")


def visible_sites(caller: Caller) -> QuerySet[Site]:
    """Its own, the participants of projects it coordinates, the coordinators of projects it is in."""
    if caller.administrator:
        return Site.objects.all()
    own = caller.site_ids
    participants = ProjectParticipant.objects.filter(project__site__in=own).values("site")
    coordinators = Project.objects.filter(memberships__site__in=own).values("site")
    return Site.objects.filter(Q(pk__in=own) | Q(pk__in=participants) | Q(pk__in=coordinators))


def visible_memberships(caller: Caller) -> QuerySet[ProjectParticipant]:
    """A participant's: its own and the coordinator's. A coordinator's: all of the project."""
    memberships = ProjectParticipant.objects.select_related("site", "project")
    if caller.administrator:
        return memberships
    own = caller.site_ids
    joined = ProjectParticipant.objects.filter(site__in=own).values("project")
    coordinators = Q(role=ProjectParticipant.Role.COORDINATOR, project__in=joined)
    return memberships.filter(Q(site__in=own) | Q(project__site__in=own) | coordinators)


def visible_runs(caller: Caller) -> QuerySet[Run]:
    """A participant's own; a coordinator's projects'."""
    runs = Run.objects.select_related("batch__project", "site")
    if caller.administrator:
        return runs
    return runs.filter(Q(site__in=caller.site_ids) | Q(batch__project__site__in=caller.site_ids))


def sees_run(caller: Caller, *, site: int, coordinator: int) -> bool:
    """The same of one run, whose site and whose project's coordinator are known by their ids."""
    return caller.acts_for(site) or caller.acts_for(coordinator)


def visible_projects(caller: Caller) -> QuerySet[Project]:
    """Those that exist for it: of one that is joined by name anyone sees id, name and coordinator."""
    if caller.administrator:
        return Project.objects.all()
    joined = ProjectParticipant.objects.filter(site__in=caller.site_ids).values("project")
    return Project.objects.filter(Q(joining=Project.Joining.BY_NAME) | Q(site__in=caller.site_ids) | Q(pk__in=joined))


def member_projects(caller: Caller) -> QuerySet[Project]:
    """Those that it may see whole."""
    if caller.administrator:
        return Project.objects.all()
    joined = ProjectParticipant.objects.filter(site__in=caller.site_ids).values("project")
    return Project.objects.filter(Q(site__in=caller.site_ids) | Q(pk__in=joined))


def readable_artifacts(runs: QuerySet[Run]) -> Q:
    """What these runs' sites may read of the artifacts: their own, and the batch's global models."""
    return Q(run__in=runs.values("pk")) | Q(kind=Artifact.Kind.MODEL, run__batch__in=runs.values("batch"))


def as_site(caller: Caller, uid: UUID) -> Caller:
    """The caller as the site of that uid, for which it must act. Raises NotFound."""
    site = site_by_uid(caller, uid)
    if not caller.acts_for(site.pk):
        raise NotFound(SITE_NOT_FOUND)
    return replace(caller.acting_for(site.pk), site_uid=uid)


def site_by_id(caller: Caller, site_id: int) -> Site:
    """Raises NotFound."""
    return _one(visible_sites(caller).filter(pk=site_id), SITE_NOT_FOUND)


def site_by_uid(caller: Caller, uid: UUID) -> Site:
    """Raises NotFound."""
    return _one(visible_sites(caller).filter(uid=uid), SITE_NOT_FOUND)


def project_by_id(caller: Caller, project_id: int) -> Project:
    """Raises NotFound."""
    return _one(visible_projects(caller).filter(pk=project_id), PROJECT_NOT_FOUND)


def visible_invitations(caller: Caller) -> QuerySet[Invitation]:
    """A coordinator's own, and those for a site of its name."""
    invitations = Invitation.objects.select_related("project__site")
    if caller.administrator:
        return invitations
    names = Site.objects.filter(pk__in=caller.site_ids).values("name")
    return invitations.filter(Q(project__site__in=caller.site_ids) | Q(site_name__in=names))


def invitation_by_uid(caller: Caller, uid: str) -> Invitation:
    """Raises NotFound."""
    return _one(visible_invitations(caller).filter(uid=uid), INVITATION_NOT_FOUND)


def sites_with_visible_cards(caller: Caller) -> QuerySet[Site]:
    """The sites that it sees, and whoever invites it now."""
    if caller.administrator:
        return Site.objects.all()
    pending = Q(state__in=[Invitation.State.OPEN, Invitation.State.ASKED], expires_at__gt=timezone.now())
    inviting = visible_invitations(caller).filter(pending).values("project__site")
    return Site.objects.filter(Q(pk__in=visible_sites(caller).values("pk")) | Q(pk__in=inviting))


def site_with_cards(caller: Caller, **which: Any) -> Site:
    """By `pk` or `uid`. Raises NotFound."""
    return _one(sites_with_visible_cards(caller).filter(**which), SITE_NOT_FOUND)


def readable_letters(caller: Caller, project_id: int, uid: UUID) -> QuerySet[Letter]:
    """Those to the member of that uid: for itself and for the coordinator; to others there is no such site. Raises NotFound."""
    project = project_by_id(caller, project_id)
    if not caller.acts_for(project.site_id):
        _one(Site.objects.filter(uid=uid, pk__in=caller.site_ids), SITE_NOT_FOUND)
    return Letter.objects.filter(project=project, site__uid=uid)


def run_by_id(caller: Caller, run_id: int) -> Run:
    """Raises NotFound."""
    return _one(visible_runs(caller).filter(pk=run_id), RUN_NOT_FOUND)


def membership_by_id(caller: Caller, membership_id: int) -> ProjectParticipant:
    """Raises NotFound."""
    return _one(visible_memberships(caller).filter(pk=membership_id), "Project participant not found")


def _one(found: QuerySet[M], missing: str) -> M:
    thing = found.first()
    if thing is None:
        raise NotFound(missing)
    return thing
