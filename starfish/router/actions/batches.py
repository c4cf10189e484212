"""A project's next batch."""

import base64

from django.db import transaction

from starfish.protocol.problems import Conflict, Invalid, InvalidFields, NotFound
from starfish.router.access import Caller, require_acting
from starfish.router.actions import audit, task_list
from starfish.router.actions.projects import coordinator_of, live_runs, lock_visible_project
from starfish.router.actions.sealed import is_age_file
from starfish.router.actions.upkeep import check_site_status
from starfish.router.hub import announce
from starfish.router.models import Batch, Project, ProjectParticipant, Run, Site

SEALED = (
    "This project is sealed: each batch begins with its number and an order that the coordinator's site has signed (batch, order). "
    "Start it with that site's own controller."
)


def open_batch(caller: Caller, project_id: int, *, number: int | None = None, order: str | None = None) -> Batch:
    """One Standby run for each member. A refusal changes nothing. Raises Forbidden, Conflict; Invalid with the reason.

    `number`, `order` (Base64): of an invitation project's next batch. The same again is that batch.
    """
    check_site_status()
    with transaction.atomic():
        try:
            project = lock_visible_project(caller, project_id)
        except NotFound as error:
            raise Invalid(error.detail) from error
        require_acting(caller, project.site_id)
        sealed_order = _order(project, number, order)
        known = project.batches.filter(number=project.batch).first() if sealed_order and number == project.batch else None
        if known and known.order is not None and bytes(known.order) == sealed_order:
            return known
        if number not in (None, project.batch + 1):
            raise Conflict(f"The next batch of this project is {project.batch + 1}, not {number}.", next=project.batch + 1)
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
        batch = Batch.objects.create(project=project, number=project.batch, tasks=tasks, order=sealed_order)
        Run.objects.bulk_create([_run(batch, member) for member in members])
        announce(member.site_id for member in members)
        audit.changed(caller, "batch.open", f"project {project.pk}, batch {batch.number}")
    return batch


def _order(project: Project, number: int | None, order: str | None) -> bytes | None:
    """Raises Invalid."""
    if not project.sealed:
        if order is not None:
            raise Invalid("This project is joined by name, and not sealed: its batches have no order.")
        return None
    if number is None or order is None:
        raise Invalid(SEALED)
    try:
        data = base64.b64decode(order, validate=True)
    except ValueError:
        data = b""
    if not is_age_file(data):
        raise Invalid("order is not the Base64 of an age file: an order is sealed to its project's members.")
    return data


def _run(batch: Batch, member: ProjectParticipant) -> Run:
    return Run(batch=batch, site=member.site, participant=member, role=member.role)
