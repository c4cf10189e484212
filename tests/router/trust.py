"""A small world with an invitation project: `owner` coordinates it, `member` has joined, `other` and `outsider` know nothing of it."""

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from starfish.router.models import Batch, Project, Run
from tests.router.world import Member, World

AGE = b"age-encryption.org/v1\n-> X25519 sealed\n"
ENVELOPE = b"starfish-envelope/1\n" + AGE
LINE = base64.b64encode(ENVELOPE + b"line").decode()
BYTES = "application/octet-stream"
TASKS = [{"seq": 1, "model": "A", "config": {"total_round": 3, "current_round": 1}}]


def hex_id() -> str:
    return secrets.token_hex(16)


def later(**span: float) -> str:
    return (timezone.now() + timedelta(**(span or {"days": 7}))).isoformat()


def card(version: int, **said: Any) -> str:
    """As far as a router looks at it."""
    return f"starfish/card/1\n{json.dumps({'version': version, **said})}\nc2lnbmF0dXJl\n"


def sealed_project(owner: Member, name: str = "sealed", **more: Any) -> Any:
    body = {"name": name, "site": owner.site.pk, "tasks": TASKS, "joining": "invitation", "uid": hex_id(), **more}
    return owner.http.send("POST", "projects/", body)


def invite(owner: Member, project: int, site: str, **more: Any) -> Any:
    return owner.http.send("POST", "invitations/", {"project": project, "id": hex_id(), "site": site, "expires": later(), **more})


def ask(joiner: Member, uid: str, request: str = "request", **more: Any) -> Any:
    return joiner.http.send("PUT", f"invitations/{uid}/request/", {"site": joiner.site.pk, "request": request, **more})


def answer(owner: Member, uid: str, approved: bool = True, text: str = "answer") -> Any:
    return owner.http.send("PUT", f"invitations/{uid}/answer/", {"approved": approved, "answer": text})


def joined(owner: Member, project: int, joiner: Member) -> str:
    """The id of the invitation by which it came."""
    uid: str = invite(owner, project, joiner.site.name).json()["id"]
    assert ask(joiner, uid).status_code == 200
    assert answer(owner, uid).status_code == 200
    return uid


def start(owner: Member, project: int, number: int = 1, order: bytes = AGE + b"order", **more: Any) -> Any:
    return owner.http.send("POST", "runs/", {"project": project, "batch": number, "order": base64.b64encode(order).decode(), **more})


def put_letter(owner: Member, project: int, version: int, site: Member, data: bytes = AGE, kind: str = BYTES) -> Any:
    return owner.http.send("PUT", f"projects/{project}/manifests/{version}/{site.site.uid}/", data, kind=kind)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """`world` and its invitation project."""

    world: World
    project: Project
    invitation: str

    @classmethod
    def new(cls, world: World) -> "Sealed":
        made = sealed_project(world.owner)
        assert made.status_code == 201, made.content
        project = Project.objects.get(pk=made.json()["id"])
        return cls(world=world, project=project, invitation=joined(world.owner, project.pk, world.member))

    def open(self) -> list[Run]:
        """The next batch's runs: owner's, member's."""
        number = Project.objects.get(pk=self.project.pk).batch + 1
        begun = start(self.world.owner, self.project.pk, number)
        assert begun.status_code == 201, begun.content
        return list(Batch.objects.get(project=self.project, number=number).runs.order_by("id"))
