"""Letters: what a coordinator has sealed to each member of a version of its project. Each is handed to its reader."""

import hashlib
from uuid import UUID

from django.db import transaction

from starfish.protocol.problems import Conflict, Invalid, NotFound, TooLarge
from starfish.router.access import Caller, require_acting
from starfish.router.actions import audit
from starfish.router.actions.projects import live_runs, lock_visible_project
from starfish.router.actions.sealed import is_age_file
from starfish.router.models import Letter

LETTER_BYTES = 4 << 20


def put_letter(caller: Caller, *, project_id: int, version: int, site_uid: UUID, data: bytes) -> tuple[Letter, bool]:
    """The letter, and whether it is new; the same bytes again change nothing. Raises NotFound, Forbidden, Invalid, TooLarge, Conflict."""
    with transaction.atomic():
        project = lock_visible_project(caller, project_id)
        require_acting(caller, project.site_id)
        if not project.sealed:
            raise Invalid("Sites join this project by name: it has no manifest.")
        if len(data) > LETTER_BYTES:
            raise TooLarge(f"A letter has at most {LETTER_BYTES} bytes.")
        if not is_age_file(data):
            raise Invalid("A letter is an age file: manifest and view, sealed to their reader.")
        member = project.memberships.filter(site__uid=site_uid).first()
        if member is None:
            raise NotFound("No member of this project has this uid.")
        sha256 = hashlib.sha256(data).hexdigest()
        known = Letter.objects.filter(project=project, version=version, site=member.site_id).defer("data").first()
        if known and known.sha256 == sha256:
            return known, False
        if known:
            raise Conflict(f"This member has another letter of version {version}, and letters stay: publish the next version.")
        if live_runs(project.pk).exists():
            raise Conflict("A batch of this project is active, and ends under the manifest that it began with: publish when it has ended.")
        letter = Letter.objects.create(project=project, version=version, site_id=member.site_id, data=data, size=len(data), sha256=sha256)
        audit.changed(caller, "manifest.put", f"project {project.pk}, version {version}, site {member.site_id}")
    return letter, True
