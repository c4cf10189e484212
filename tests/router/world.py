"""A small world on the router's own database: an administrator, sites with tokens, a project of three, and someone outside."""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from starfish.protocol.run_state import RunStatus
from starfish.router.access import Caller
from starfish.router.actions import batches, moves, projects
from starfish.router.credentials import token_digest
from starfish.router.models import Batch, Project, Run, Site, SiteToken

BASE = "/starfish/api/v1/"
ADMIN = ("admin", "the administrator's password")
TASKS = [
    {"seq": 1, "model": "A", "config": {"total_round": 2, "current_round": 1}},
    {"seq": 2, "model": "B", "config": {"total_round": 1, "current_round": 1}},
]
ROUND = (RunStatus.PREPARING, RunStatus.RUNNING, RunStatus.PENDING_SUCCESS, RunStatus.PENDING_AGGREGATING, RunStatus.AGGREGATING)


@dataclass(frozen=True, kw_only=True)
class Http:
    """One caller's requests."""

    authorization: str | None

    def send(self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **headers: str) -> Any:
        if self.authorization:
            headers["authorization"] = self.authorization
        data = body if isinstance(body, (bytes, str)) else json.dumps({} if body is None else body)
        target = path if path.startswith("/") else BASE + path
        return Client(raise_request_exception=False).generic(method, target, data, content_type=kind, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.send("GET", f"{path}?{text}" if text else path)

    def upload(self, run: int, kind: str, data: bytes, *, task: int = 1, turn: int = 1, name: str = "") -> Any:
        file = SimpleUploadedFile(name or {"mid_artifacts": "mid-artifacts", "logs": "logs.txt"}.get(kind, kind), data)
        form = {"run": run, "task_seq": task, "round_seq": turn, kind: file}
        headers = {"authorization": self.authorization} if self.authorization else {}
        return Client(raise_request_exception=False).post(f"{BASE}runs-action/upload/", form, headers=headers)

    def step(self, run: int, source: int, to: list[int], key: str | None = None, **more: Any) -> Any:
        body = {"from": source, "to": to, "batch": 1, "task_seq": 1, "round_seq": 1, **more}
        return self.send("POST", f"runs/{run}/step/", body, **({"idempotency-key": key} if key else {}))


@dataclass(frozen=True, kw_only=True)
class Member:
    """A site with an account and a token of its own."""

    site: Site
    http: Http

    @classmethod
    def new(cls, name: str) -> "Member":
        site = Site.objects.create(name=name, owner=User.objects.create(username=f"account-of-{name}"))
        token = uuid.uuid4().hex
        SiteToken.objects.create(site=site, sha256=token_digest(token), expires_at=timezone.now() + timedelta(days=1))
        return cls(site=site, http=Http(authorization=f"Bearer {token}"))

    @property
    def caller(self) -> Caller:
        return Caller.of_site(self.site)


@dataclass(frozen=True, kw_only=True)
class World:
    """`owner` coordinates `project`; `member` and `other` are in it; `outsider` has a project of its own."""

    admin: Http
    nobody: Http
    owner: Member
    member: Member
    other: Member
    outsider: Member
    project: Project
    foreign: Project

    @classmethod
    def new(cls) -> "World":
        User.objects.create_superuser(ADMIN[0], password=ADMIN[1])
        members = {name: Member.new(name) for name in ("owner", "member", "other", "outsider")}
        project = projects.create_project(
            members["owner"].caller, name="joint", description="", site_id=members["owner"].site.pk, tasks=TASKS, definition={}
        )
        for name in ("member", "other"):
            site = members[name].site
            projects.join(members[name].caller, project_id=project.pk, site_id=site.pk, role="PA", notes="")
        foreign = projects.create_project(
            members["outsider"].caller, name="foreign", description="secret", site_id=members["outsider"].site.pk, tasks=[], definition={}
        )
        credentials = b64encode(":".join(ADMIN).encode()).decode()
        admin = Http(authorization=f"Basic {credentials}")
        return cls(admin=admin, nobody=Http(authorization=None), project=project, foreign=foreign, **members)

    @property
    def members(self) -> list[Member]:
        return [self.owner, self.member, self.other]

    def open(self) -> list[Run]:
        """The next batch's runs: owner's, member's, other's."""
        batch = batches.open_batch(self.owner.caller, self.project.pk)
        return list(batch.runs.order_by("id"))

    def drive(self, *targets: RunStatus) -> None:
        """The last batch, whole, through these statuses."""
        runs = list(self.batch.runs.order_by("id"))
        for target in targets:
            if target in (RunStatus.PREPARING, RunStatus.PENDING_SUCCESS, RunStatus.PENDING_AGGREGATING):
                for run, member in zip(runs, self.members, strict=True):
                    moves.set_status(member.caller, run.pk, target, update_all=False, increase_round=False)
            else:
                moves.set_status(self.owner.caller, runs[0].pk, target, update_all=True, increase_round=True)

    @property
    def batch(self) -> Batch:
        return Batch.objects.filter(project=self.project).latest("number")

    def words(self) -> list[str]:
        return [run.state.word for run in self.batch.runs.order_by("id")]


CALLERS = ("admin", "owner", "member", "other", "outsider", "nobody")


def statuses(world: World, ask: Callable[[Http], Any]) -> dict[str, int]:
    """Each caller's answer to the same request."""
    callers = {name: getattr(world, name) for name in CALLERS}
    return {name: ask(getattr(caller, "http", caller)).status_code for name, caller in callers.items()}


def expect(admin: int, owner: int, member: int, other: int, outsider: int, nobody: int = 401) -> dict[str, int]:
    return dict(zip(CALLERS, (admin, owner, member, other, outsider, nobody), strict=True))
