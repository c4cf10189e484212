"""The router's objects in the wire's words: the one place where they are translated, for `api` and `live` alike."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from starfish.protocol.run_state import RunStatus
from starfish.router.models import Artifact, Invitation, Letter, Project, ProjectParticipant, Run, Site

RUN_WORDS = [status.word for status in RunStatus]
SITE_WORDS = Site.SiteStatus.labels
ROLE_WORDS = ProjectParticipant.Role.labels
_ROLES = {role.value: role.label for role in ProjectParticipant.Role}

LEFT_OUT = ("logs", "artifacts", "middle_artifacts", "agent_advice", "agent_diagnosis")

JSON = dict[str, Any]
Files = Mapping[tuple[str, int], Sequence[str]]
"""By kind and run id: the paths of the files that the run lists."""


def time(value: datetime) -> str:
    """With microseconds and Z, always: clients in the field cut the last character and parse the rest."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def site(it: Site) -> JSON:
    return {
        "id": it.pk,
        "name": it.name,
        "description": it.description,
        "uid": str(it.uid),
        "status": Site.SiteStatus(it.status).label,
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


def project(it: Project) -> JSON:
    return {
        "id": it.pk,
        "name": it.name,
        "description": it.description,
        "site": it.site_id,
        "batch": it.batch,
        "tasks": it.tasks,
        "definition": it.definition,
        "uid": it.uid,
        "joining": it.joining,
        "agent_config": {},
        "agent_log": [],
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


def project_summary(it: Project) -> JSON:
    """What an account sees of a project that it is not in."""
    return {"id": it.pk, "name": it.name, "site": it.site_id}


def invitation(it: Invitation) -> JSON:
    """To its coordinator, and to the invited site: with the coordinator's cards."""
    return {**listed_invitation(it), "cards": cards(it.project.site)}


def listed_invitation(it: Invitation) -> JSON:
    """To its coordinator, whose own cards would be many times the same."""
    return {
        "id": it.uid,
        "project": {"id": it.project_id, "name": it.project.name, "uid": it.project.uid},
        "coordinator": {"id": it.project.site_id, "uid": str(it.project.site.uid), "name": it.project.site.name},
        "site": it.site_name,
        "state": it.shown_state,
        "expires": time(it.expires_at),
        "request": it.request,
        "answer": it.answer,
    }


def cards(it: Site) -> list[str]:
    """From its first."""
    return [card.text for card in it.cards.all()]


def letter(it: Letter) -> JSON:
    return {"version": it.version, "size": it.size, "sha256": it.sha256}


def participant(it: ProjectParticipant) -> JSON:
    return {
        "id": it.pk,
        "site": site(it.site),
        "project": project(it.project),
        "role": ProjectParticipant.Role(it.role).label,
        "notes": it.notes,
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


def runs(chosen: Iterable[Run]) -> list[JSON]:
    """In their order, in two queries whatever their number."""
    found = list(chosen)
    files = _files(found)
    return [_run(it, files) for it in found]


def minimal_runs(rows: Iterable[tuple[Any, ...]]) -> list[JSON]:
    """Without their files, whose number grows with the rounds; for those who know from the status what there is.

    `rows`: as `hot.active_runs` gives them.
    """
    return [
        {
            "id": pk,
            "project": project,
            "batch": number,
            "participant": participant,
            "role": _ROLES[role],
            "site_uid": str(UUID(str(uid))),
            "cur_seq": cur_seq,
            "status": RUN_WORDS[status],
            "tasks": tasks if isinstance(tasks, list) else json.loads(tasks),
            "created_at": _driver_time(created_at),
            "updated_at": _driver_time(updated_at),
        }
        for pk, project, number, participant, role, uid, cur_seq, status, tasks, created_at, updated_at in rows
    ]


def _driver_time(value: datetime | str) -> str:
    """SQLite's driver gives text, in UTC."""
    return time(datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value)


def minimal_run(it: Run) -> JSON:
    """The same of one run that is at hand."""
    return {name: value for name, value in _run(it, {}).items() if name not in LEFT_OUT}


def run(it: Run) -> JSON:
    return _run(it, _files([it]))


def nested_run(it: Run, *, member: bool) -> JSON:
    """As `GET runs/{id}/` shows it: project and participant as objects. `member`: the reader is still in the project."""
    return {
        **run(it),
        "project": project(it.batch.project) if member else project_summary(it.batch.project),
        "participant": participant(it.participant) if it.participant else None,
    }


def merged_run(parts: Sequence[JSON]) -> JSON:
    """One batch's runs as one row: the lowest status, the oldest and the newest time; the rest as its first run has it."""
    return {
        **parts[0],
        "status": min(RunStatus.from_word(part["status"]) for part in parts).word,
        "created_at": min(part["created_at"] for part in parts),
        "updated_at": max(part["updated_at"] for part in parts),
    }


def member_name(run_id: int, task_seq: int, round_seq: int, name: str) -> str:
    """A stored file's name in a zip, and the end of its path in a run's lists."""
    return f"{run_id}-{task_seq}-{round_seq}-{name}"


def _run(it: Run, files: Files) -> JSON:
    return {
        "id": it.pk,
        "project": it.batch.project_id,
        "batch": it.batch.number,
        "participant": it.participant_id,
        "role": ProjectParticipant.Role(it.role).label,
        "site_uid": str(it.site.uid),
        "cur_seq": it.batch.cur_seq,
        "status": it.state.word,
        "logs": files.get((Artifact.Kind.LOG, it.pk), []),
        "artifacts": files.get((Artifact.Kind.MODEL, it.pk), []),
        "middle_artifacts": files.get((Artifact.Kind.UPDATE, it.pk), []),
        "tasks": it.batch.tasks,
        "agent_advice": {},
        "agent_diagnosis": {},
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


def _files(them: Iterable[Run]) -> Files:
    """The global model is kept once and listed under each run's own id."""
    by_batch: dict[int, list[int]] = defaultdict(list)
    for it in them:
        by_batch[it.batch_id].append(it.pk)
    own = [run_id for run_ids in by_batch.values() for run_id in run_ids]
    rows = Artifact.objects.filter(Q(run__in=own) | Q(kind=Artifact.Kind.MODEL, run__batch__in=by_batch)).order_by("id")
    files: dict[tuple[str, int], list[str]] = defaultdict(list)
    for kind, sender, batch, task, turn, name in rows.values_list("kind", "run", "run__batch", "task_seq", "round_seq", "name"):
        readers = by_batch[batch] if kind == Artifact.Kind.MODEL else [sender]
        for reader in readers:
            files[kind, reader].append(f"{kind}/{reader}/{task}/{turn}/{member_name(reader, task, turn, name)}")
    return files
