"""What the router keeps. Reading is free to everyone inside; writing is for `actions`."""

from starfish.router.models.artifact import Artifact
from starfish.router.models.audit import AuditEvent, IdempotencyRecord, ReadCount, Sweep
from starfish.router.models.batch import Batch
from starfish.router.models.project import Project, ProjectParticipant
from starfish.router.models.run import Run, RunTransition
from starfish.router.models.site import EnrolCode, Site, SiteToken
from starfish.router.models.telemetry import RunLines, RunProgress
from starfish.router.models.trust import Invitation, Letter, SiteCard
from starfish.router.models.upload import Upload

__all__ = [
    "Artifact",
    "AuditEvent",
    "Batch",
    "EnrolCode",
    "IdempotencyRecord",
    "Invitation",
    "Letter",
    "Project",
    "ProjectParticipant",
    "ReadCount",
    "Run",
    "RunLines",
    "RunProgress",
    "RunTransition",
    "Site",
    "SiteCard",
    "SiteToken",
    "Sweep",
    "Upload",
]
