"""A project's next batch."""

from django.db import transaction

from starfish.protocol.problems import Invalid, InvalidFields, NotFound
from starfish.router.access import Caller, require_acting
from starfish.router.actions import audit, task_list
from starfish.router.actions.projects import coordinator_of, live_runs, lock_project
from starfish.router.actions.upkeep import check_site_status
from starfish.router.hub import announce
from starfish.router.models import Batch, ProjectParticipant, Run, Site


def open_batch(caller: Caller, project_id: int) -> Batch:
    """One Standby run for each member. A refusal changes nothing. Raises Forbidden; Invalid with the reason."""
    check_site_status()
    with transaction.atomic():
        try:
            project = lock_project(project_id)
        except NotFound as error:
            raise Invalid(error.detail) from error
        require_acting(caller, project.site_id)
        if live_runs(project.pk).exists():
            raise Invalid(f"The last batch has not ended: batch {project.batch} is still active")
        coordinator_of(project)
        members = list(project.memberships.select_related("site"))
        silent = [member.site.name for member in members if member.site.status != Site.SiteStatus.CONNECTED]
        if silent:
            raise Invalid(f"Not all sites are connected: {', '.join(silent)}")
        try:
            tasks = task_list.checked(project.tasks)  # they may have come by another way than the API
        except InvalidFields as error:
            raise Invalid(error.detail) from error
        project.batch += 1
        project.save(update_fields=["batch", "updated_at"])
        batch = Batch.objects.create(project=project, number=project.batch, tasks=tasks)
        Run.objects.bulk_create([_run(batch, member) for member in members])
        announce(member.site_id for member in members)
        audit.changed(caller, "batch.open", f"project {project.pk}, batch {batch.number}")
    return batch


def _run(batch: Batch, member: ProjectParticipant) -> Run:
    return Run(batch=batch, site=member.site, participant=member, role=member.role)
