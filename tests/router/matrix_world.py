"""The world of the permission matrix: sites, projects and runs behind a real Routing Server, full of texts that tell whose they are.

`seed` runs in the server's own settings (`manage.py shell`) and prints what the callers need to know.
"""

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

SEED = "from tests.router.matrix_world import seed; print(seed({worlds}))"
SITES = ("outsider", "other", "participant", "coordinator")
MEMBERS = ("coordinator", "participant", "other")
CALLERS = ("anonymous", *SITES, "administrator")
TASKS = [{"seq": 1, "model": "A", "config": {"total_round": 3, "current_round": 1}}]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One world. `ids`: what paths and bodies name; `secrets`: by name, texts that not everyone may see."""

    tokens: Mapping[str, str]
    sessions: Mapping[str, str]
    ids: Mapping[str, Any]
    secrets: Mapping[str, str]


MAY_SEE: dict[str, tuple[str, ...]] = {
    "site coordinator": ("other", "participant", "coordinator"),
    "site participant": ("participant", "coordinator"),
    "site other": ("other", "coordinator"),
    "site outsider": ("outsider",),
    "uid coordinator": ("other", "participant", "coordinator"),
    "uid participant": ("participant", "coordinator"),
    "uid other": ("other", "coordinator"),
    "uid outsider": ("outsider",),
    "notes participant": ("participant", "coordinator"),
    "notes other": ("other", "coordinator"),
    "project": ("other", "participant", "coordinator"),
    "parameter": ("other", "participant", "coordinator"),
    "sealed": ("other", "participant", "coordinator"),
    "foreign": ("outsider",),
    "account participant": ("participant",),
    "group": (),
    "update participant": ("participant", "coordinator"),
    "update other": ("other", "coordinator"),
    "log participant": ("participant", "coordinator"),
    "log coordinator": ("coordinator",),
    "model": ("other", "participant", "coordinator"),
    "line participant": ("participant", "coordinator"),
    "line coordinator": ("coordinator",),
    "step participant": ("participant", "coordinator"),
    "step coordinator": ("coordinator",),
    "card participant": ("participant", "coordinator"),
    "letter participant": ("participant", "coordinator"),
    "letter other": ("other", "coordinator"),
    "order": ("other", "participant", "coordinator"),
    "inviting": ("participant", "coordinator"),
    "invitation": ("participant", "coordinator"),
    "asked": ("coordinator", "participant"),
}
"""Each secret, and the sites that may see it; an administrator sees all, and nobody else anything."""


def seed(worlds: int) -> str:
    """So many worlds, as JSON. The first is the one that is looked at; it is driven on over HTTP."""
    from django.db import transaction

    with transaction.atomic():
        return json.dumps([_world(number) for number in range(worlds)])


def stages(printed: str) -> list[Stage]:
    return [Stage(**made) for made in json.loads(printed.strip().splitlines()[-1])]


def _world(number: int) -> dict[str, Any]:
    from django.contrib.auth.models import Group
    from django.utils import timezone

    from starfish.router.actions.enrolment import make_code
    from starfish.router.models import Project, ProjectParticipant

    hidden = {name: f"{name.replace(' ', '-')}-{secrets.token_hex(6)}" for name in MAY_SEE if not name.startswith("uid")}
    uids = {name: uuid.uuid4() for name in SITES}
    hidden |= {f"uid {name}": str(uid) for name, uid in uids.items()}
    sites, tokens, sessions = {}, {}, {}
    for name in SITES:
        sites[name], tokens[name], sessions[name] = _site(hidden, name, uids[name])
    sessions["administrator"] = _session(_administrator())

    tasks = [{**TASKS[0], "config": {**TASKS[0]["config"], "mark": hidden["parameter"]}}]  # type: ignore[dict-item]
    ids: dict[str, Any] = {"number": number}
    for key, name, coordinator, more in (
        ("project", f"joint {secrets.token_hex(6)}", "coordinator", {"description": hidden["project"], "tasks": tasks}),
        ("idle", f"idle {secrets.token_hex(6)}", "coordinator", {"tasks": TASKS}),
        ("sealed", hidden["sealed"], "coordinator", {"joining": "invitation", "tasks": TASKS}),
        ("inviting", hidden["inviting"], "coordinator", {"joining": "invitation"}),
        ("foreign", f"foreign {secrets.token_hex(6)}", "outsider", {"description": hidden["foreign"]}),
    ):
        project = Project.objects.create(name=name, site=sites[coordinator], **more)
        ids |= {key: project.pk, f"{key}_name": name}
        for member in MEMBERS if key in ("project", "idle", "sealed") else (coordinator,):
            role, notes = ("CO" if member == coordinator else "PA"), hidden.get(f"notes {member}", "")
            membership = ProjectParticipant.objects.create(project=project, site=sites[member], role=role, notes=notes)
            ids[f"{key}_{member}"] = membership.pk
    ids |= _batch(ids["project"], sites) | _sealed(hidden, ids, sites)
    group = Group.objects.create(name=hidden["group"])
    ids |= {"group": group.pk, "code": make_code(f"new {secrets.token_hex(6)}", valid=timedelta(days=1))}
    for name in SITES:
        owner = sites[name].owner
        ids |= {f"site_{name}": sites[name].pk, f"uid_{name}": str(uids[name]), f"account_{name}": owner.pk}
    ids["joined_at"] = timezone.now().isoformat()
    return {"tokens": tokens, "sessions": sessions, "ids": ids, "secrets": hidden}


def _site(hidden: Mapping[str, str], name: str, uid: uuid.UUID) -> tuple[Any, str, str]:
    from django.contrib.auth.models import User
    from django.utils import timezone

    from starfish.router.credentials import token_digest
    from starfish.router.models import Site, SiteToken

    owner = User.objects.create(username=hidden.get(f"account {name}", f"account {name} {secrets.token_hex(6)}"))
    site = Site.objects.create(name=hidden[f"site {name}"], uid=uid, description="of the matrix", owner=owner)
    token = secrets.token_urlsafe(32)
    SiteToken.objects.create(site=site, sha256=token_digest(token), expires_at=timezone.now() + timedelta(days=1))
    return site, token, _session(owner)


def _administrator() -> Any:
    from django.contrib.auth.models import User

    return User.objects.filter(is_superuser=True).order_by("pk")[0]


def _session(user: Any) -> str:
    """A browser's that has logged in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from starfish.router.api.sessions import SessionStore

    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "starfish.router.api.authentication.LoginPage"
    session.save()
    return str(session.session_key)


def _batch(project: int, sites: Mapping[str, Any]) -> dict[str, int]:
    from starfish.router.models import Batch, Project, ProjectParticipant, Run

    it = Project.objects.get(pk=project)
    it.batch = 1
    it.save()
    batch = Batch.objects.create(project=it, number=1, tasks=it.tasks)
    made = {}
    for name in MEMBERS:
        membership = ProjectParticipant.objects.get(project=it, site=sites[name])
        made[f"run_{name}"] = Run.objects.create(batch=batch, site=sites[name], participant=membership, role=membership.role).pk
    return made


def _sealed(hidden: Mapping[str, str], ids: Mapping[str, Any], sites: Mapping[str, Any]) -> dict[str, Any]:
    """A card, letters, an order that is over, an invitation and one that was asked for."""
    from django.utils import timezone

    from starfish.router.models import Batch, Invitation, Letter, ProjectParticipant, Run, SiteCard

    SiteCard.objects.create(site=sites["participant"], version=1, text=f"{hidden['card participant']}\n")
    for name in ("participant", "other"):
        data = f"age-encryption.org/v1\n{hidden[f'letter {name}']}".encode()
        Letter.objects.create(project_id=ids["sealed"], version=1, site=sites[name], data=data, size=len(data), sha256="0" * 64)
    batch = Batch.objects.create(project_id=ids["sealed"], number=1, tasks=TASKS, order=hidden["order"].encode())
    made: dict[str, Any] = {}
    for name in MEMBERS:
        membership = ProjectParticipant.objects.get(project=ids["sealed"], site=sites[name])
        run = Run.objects.create(batch=batch, site=sites[name], participant=membership, role=membership.role, status=0)
        made[f"sealed_run_{name}"] = run.pk
    expires, invited = timezone.now() + timedelta(days=1), hidden["site participant"]
    for key in ("invitation", "asked"):
        uid = made[key] = uuid.uuid4().hex
        Invitation.objects.create(uid=uid, project_id=ids["inviting"], site_name=invited, expires_at=expires)
    Invitation.objects.filter(uid=made["asked"]).update(state="asked", asker=sites["participant"], request=hidden["asked"])
    Invitation.objects.filter(uid=made["invitation"]).update(answer=hidden["invitation"])
    return made
