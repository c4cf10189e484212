"""Projects are made, joined and left."""

from re import fullmatch
from typing import Any

from django.db import IntegrityError, transaction

from starfish.protocol.problems import Conflict, Invalid, InvalidFields, NotFound
from starfish.protocol.run_state import RunStatus
from starfish.router.access import PROJECT_NOT_FOUND, Caller, membership_by_id, require_acting, site_by_id, visible_projects
from starfish.router.actions import audit, task_list
from starfish.router.models import Project, ProjectParticipant, Run

Role = ProjectParticipant.Role


IN_THE_MANIFEST = "A sealed project's parameters travel in its manifest, which its members alone can read: leave them out here."


def create_project(
    caller: Caller,
    *,
    name: str,
    description: str,
    site_id: int,
    tasks: Any,
    definition: dict[str, Any],
    joining: str = Project.Joining.BY_NAME,
    uid: str | None = None,
) -> Project:
    """Its site becomes the coordinator. `uid`: of an invitation project, and of no other. Raises NotFound, Forbidden, InvalidFields."""
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    project = Project(name=name, description=description, site=site, tasks=task_list.checked(tasks), definition=definition, joining=joining)
    if project.sealed:
        _refuse_told(project)
    if uid is not None or project.sealed:
        project.uid = _given_uid(project, uid)
    with transaction.atomic():
        try:
            with transaction.atomic():
                project.save(force_insert=True)
        except IntegrityError:
            for field, value in (("name", project.name), ("uid", project.uid)):
                if Project.objects.filter(**{field: value}).exists():
                    raise InvalidFields({field: [f"project with this {field} already exists."]}) from None
            raise
        coordinator_of(project)
        audit.changed(caller, "project.create", f"project {project.pk}")
    return project


def _refuse_told(project: Project) -> None:
    """Of what an invitation project is about the router knows its tasks' names and rounds. Raises InvalidFields."""
    told = {name: [IN_THE_MANIFEST] for name in ("description", "definition") if getattr(project, name)}
    known = {"seq", "model", "config"}, {"total_round", "current_round"}
    if any(not known[0].issuperset(task) or not known[1].issuperset(task["config"]) for task in project.tasks):
        told["tasks"] = [IN_THE_MANIFEST]
    if told:
        raise InvalidFields(told)


def _given_uid(project: Project, uid: str | None) -> str:
    """Raises InvalidFields."""
    if not project.sealed:
        raise InvalidFields({"uid": ["The router makes the uid of a project that is joined by name."]})
    if not fullmatch("[0-9a-f]{32}", uid or ""):
        raise InvalidFields({"uid": ["An invitation project brings its uid: 16 random bytes as 32 hexadecimal digits, in lower case."]})
    return str(uid)


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


def lock_visible_project(caller: Caller, project_id: int) -> Project:
    """The same, of a project that exists for the caller. Raises NotFound."""
    project = lock_project(project_id)
    if project.sealed and not visible_projects(caller).filter(pk=project.pk).exists():
        raise NotFound(PROJECT_NOT_FOUND)
    return project


def join(caller: Caller, *, project_id: int, site_id: int, role: str, notes: str) -> ProjectParticipant:
    """By name. Raises NotFound, Forbidden, Invalid, InvalidFields."""
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    with transaction.atomic():
        project = lock_visible_project(caller, project_id)
        if project.sealed:
            raise Invalid("Sites come into this project by invitation, which its coordinator makes; nobody joins it by name.")
        if role != Role.PARTICIPANT:
            raise InvalidFields({"role": ['A site joins as a participant: role is "PA".']})
        if project.site_id == site.pk or ProjectParticipant.objects.filter(project=project, site=site).exists():
            raise InvalidFields({"non_field_errors": ["This site is in the project already."]})
        membership = ProjectParticipant.objects.create(project=project, site=site, role=role, notes=notes)
        audit.changed(caller, "project.join", f"project {project.pk}, site {site.pk}")
    return membership


def leave(caller: Caller, membership_id: int) -> None:
    """What the site computed stays. From a project by invitation its coordinator, too, takes members away.

    Raises NotFound, Forbidden, Conflict.
    """
    membership = membership_by_id(caller, membership_id)
    if not (membership.project.sealed and caller.acts_for(membership.project.site_id)):
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
