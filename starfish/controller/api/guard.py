"""The site's guard as its people see it: the policy that holds, what left, and the batches that wait for a person."""

import math
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starfish.controller.errors import NotNow

if TYPE_CHECKING:
    from starfish.controller.api.site import Site
    from starfish.controller.guard.audit import Verdict


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """One rule of the policy, and what its preset says; None: no limit."""

    name: str
    value: Any
    preset: Any
    why: str

    @property
    def changed(self) -> bool:
        return bool(self.value != self.preset)


@dataclass(frozen=True, kw_only=True)
class PolicyPage:
    """What this site allows. `digest` names it in the audit."""

    file: str
    preset: str
    purpose: str
    digest: str
    rules: list[RuleLine]


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """One entry of the audit; `content` is what left, in full, where the audit keeps it."""

    nr: int
    at: str
    kind: str
    project: int | None
    batch: int | None
    detail: dict[str, Any]
    content: Any
    hash: str


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Who approved what. `terms` and `rows` are digests: other terms or other rows need another approval."""

    project: str
    batch: int
    approver: str
    reasons: list[str]
    terms: str
    rows: str


class GuardActions:
    def __init__(self, site: "Site") -> None:
        self.site = site

    def policy(self) -> PolicyPage:
        """Raises HomeError, which names the line of what is wrong in the file."""
        from starfish.controller.guard.policy import read_policy
        from starfish.controller.guard.presets import PURPOSE, RULES

        self.site.home.load()
        held = read_policy(self.site.home.policy_file)
        rules = [
            RuleLine(name=rule.name, value=_plain(getattr(held, rule.name)), preset=_plain(rule.of(held.preset)), why=rule.why)
            for rule in RULES
        ]
        return PolicyPage(
            file=str(self.site.home.policy_file), preset=held.preset, purpose=PURPOSE[held.preset], digest=held.digest, rules=rules
        )

    def audit(self, *, contents: bool = False) -> list[AuditLine]:
        """Everything, in order; with `contents` also the numbers and texts that left. Raises HomeError."""
        from starfish.controller.guard import audit

        self.site.home.load()
        with self.site.home.journal() as journal, journal.read() as db:
            entries = [audit.entry(row) for row in audit.rows(db, contents=contents)]
        return [
            AuditLine(
                nr=entry.nr,
                at=entry.at,
                kind=entry.kind,
                project=entry.project,
                batch=entry.batch,
                detail=dict(entry.detail),
                content=None if entry.content is None else _readable(entry.content),
                hash=entry.hash,
            )
            for entry in entries
        ]

    def verify(self, head: str | None = None) -> "Verdict":
        """Walk the audit's chain; `head` is one that was noted before. Raises HomeError."""
        from starfish.controller.guard import audit

        self.site.home.load()
        with self.site.home.journal() as journal, journal.read() as db:
            return audit.verify(audit.rows(db), head)

    def waiting(self) -> list[str]:
        """What waits for a person here, and how it goes on. Raises HomeError."""
        from starfish.controller.guard import holds

        if not self.site.home.journal_file.exists():
            return []
        with self.site.home.journal() as journal, journal.read() as db:
            found = holds.waiting(db)
        bindings = {project: self.site.home.binding(project) for project, _ in found}
        names = {project: binding.project if binding else str(project) for project, binding in bindings.items()}
        return [f"Batch {batch} of '{names[project]}': 'starfish run approve {project} --batch {batch}'" for project, batch in found]

    def approve(self, project_id: int, project: str, batch: int) -> Approval:
        """Let a batch go on that waits, in the name of the system's user who asks. Raises NotNow."""
        from starfish.controller.guard import holds

        with self.site.home.journal() as journal, journal.write() as db:
            found = holds.find(db, (project_id, batch))
            if found is None:
                raise NotNow(f"Batch {batch} of '{project}' does not wait for an approval here.")
            if found.approver is not None:
                raise NotNow(f"Batch {batch} of '{project}' was approved already, by {found.approver} ({found.approved}).")
            approver = pwd.getpwuid(os.getuid()).pw_name
            holds.approve(db, found, approver)
        return Approval(project=project, batch=batch, approver=approver, reasons=found.reasons, terms=found.terms, rows=found.rows)


def _plain(value: Any) -> Any:
    """For JSON, which knows no infinity."""
    return None if value == math.inf else value


def _readable(content: bytes) -> Any:
    from starfish.controller.guard.contents import numbers_of

    return numbers_of(content) or content.decode("utf-8", "replace")
