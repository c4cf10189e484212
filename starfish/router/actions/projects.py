"""Projects are made, joined and left."""

from typing import Any

from django.db import IntegrityError, transaction

from starfish.protocol.problems import Conflict, InvalidFields, NotFound
from starfish.protocol.run_state import RunStatus
from starfish.router.access import PROJECT_NOT_FOUND, Caller, membership_by_id, require_acting, site_by_id
from starfish.router.actions import audit, task_list
from starfish.router.models import Project, ProjectParticipant, Run

Role = ProjectParticipant.Role


def create_project(caller: Caller, *, name: str, description: str, site_id: int, tasks: Any, definition: dict[str, Any]) -> Project:
    """Its site becomes the coordinator. Raises NotFound, Forbidden, InvalidFields."""
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    project = Project(name=name, description=description, site=site, tasks=task_list.checked(tasks), definition=definition)
    with transaction.atomic():
        try:
            with transaction.atomic():
                project.save(force_insert=True)
        except IntegrityError:
            if Project.objects.filter(name=name).exists():
                raise InvalidFields({"name": ["project with this name already exists."]}) from None
            raise
        coordinator_of(project)
        audit.changed(caller, "project.create", f"project {project.pk}")
    return project


def coordinator_of(project: Project) -> ProjectParticipant:
    """The coordinator's membership, made where it is missing."""
    membership, _ = ProjectParticipant.objects.get_or_create(project=project, site=project.site, defaults={"role": Role.COORDINATOR})
    return membership


def lock_project(project_id: int) -> Project:
    """Held to the end of the transaction; always before a batch of it is locked. Raises NotFound."""
    project = Project.objects.select_for_update(of=("self",)).select_related("site").filter(pk=project_id).first()
    if project is None:
        raise NotFound(PROJECT_NOT_FOUND)
    return project


def join(caller: Caller, *, project_id: int, site_id: int, role: str, notes: str) -> ProjectParticipant:
    """Raises NotFound, Forbidden, InvalidFields."""
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    with transaction.atomic():
        project = lock_project(project_id)
        if role != Role.PARTICIPANT:
            raise InvalidFields({"role": ['A site joins as a participant: role is "PA".']})
        if project.site_id == site.pk or ProjectParticipant.objects.filter(project=project, site=site).exists():
            raise InvalidFields({"non_field_errors": ["This site is in the project already."]})
        membership = ProjectParticipant.objects.create(project=project, site=site, role=role, notes=notes)
        audit.changed(caller, "project.join", f"project {project.pk}, site {site.pk}")
    return membership


def leave(caller: Caller, membership_id: int) -> None:
    """What the site computed stays. Raises NotFound, Forbidden, Conflict."""
    membership = membership_by_id(caller, membership_id)
    require_acting(caller, membership.site_id)
    with transaction.atomic():
        lock_project(membership.project_id)
        if membership.role == Role.COORDINATOR:
            raise Conflict("The coordinator cannot leave its own project.")
        if live_runs(membership.project_id).exists():
            raise Conflict("A batch of this project is active; leave when it has ended, or after the coordinator has stopped it.")
        ProjectParticipant.objects.filter(pk=membership.pk).delete()
        audit.changed(caller, "project.leave", f"project {membership.project_id}, site {membership.site_id}")


def live_runs(project_id: int) -> Any:
    """The runs that keep a project's last batch from having ended."""
    return Run.objects.filter(batch__project=project_id).exclude(status__in=[RunStatus.FAILED, RunStatus.SUCCESS])
