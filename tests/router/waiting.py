"""Sites that wait at a real Routing Server, each with a token of its own."""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.part_a.wire import Answer, Router
from tests.support.servers import ADMIN, Server

PROMPT_S = 5.0
"""How soon whoever is woken has the answer, on a machine that has much else to do."""
LONG_S = 25
TASKS = [{"seq": 1, "model": "A", "config": {"total_round": 2}}, {"seq": 2, "model": "B", "config": {"total_round": 1}}]
SEED = """
import json
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from starfish.router.credentials import token_digest
from starfish.router.models import Site, SiteToken
for name, uid, token, account, password in json.loads({sites!r}):
    owner = User.objects.filter(username=account).first() or User.objects.create_user(account, password=password or None)
    site = Site.objects.create(name=name, uid=uid, owner=owner)
    SiteToken.objects.create(site=site, sha256=token_digest(token), expires_at=timezone.now() + timedelta(days=1))
"""


@dataclass(frozen=True, kw_only=True)
class Waited:
    """The answer to a wait, and how long it took."""

    answer: Answer
    seconds: float

    @property
    def etag(self) -> str:
        return self.answer.headers["etag"]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Whoever asks for the runs that are active."""

    router: Router
    uid: str | None = None

    def listing(self, **headers: str) -> Answer:
        """At once, without the runs' files."""
        return self._active({"Prefer": "return=minimal", **headers})

    def wait(self, known: str | None, seconds: float = LONG_S, prefer: str = "return=minimal, wait={}") -> Waited:
        began = time.monotonic()
        headers = {"Prefer": prefer.format(seconds)} | ({"If-None-Match": known} if known else {})
        return Waited(answer=self._active(headers), seconds=time.monotonic() - began)

    def words(self) -> dict[int, str]:
        return {run["id"]: run["status"] for run in self.listing().json()}

    def _active(self, headers: Mapping[str, str]) -> Answer:
        return self.router.request("GET", "runs/active/", query={"site_uid": self.uid} if self.uid else None, headers=headers)


@dataclass(frozen=True, kw_only=True)
class Site(Asker):
    """A site, by its token."""

    id: int
    name: str
    token: str

    def step(self, run: int, source: int, to: list[int], **more: Any) -> Answer:
        body = {"from": source, "to": to, "batch": 1, "task_seq": 1, "round_seq": 1, **more}
        return self.router.request("POST", f"runs/{run}/step/", body, headers={"Prefer": "return=minimal"})


@dataclass(kw_only=True)
class World:
    """`owner` coordinates a project that `member` and `other` are in; `outsider` is not. `runs`: of its last batch, by name."""

    server: Server
    sites: dict[str, Site]
    project: int
    account: tuple[str, str]
    runs: dict[str, int] = field(default_factory=dict)

    @classmethod
    def new(cls, server: Server) -> "World":
        """`account` acts for `member` and `outsider`."""
        tag = secrets.token_hex(4)
        account = (f"account-{tag}", secrets.token_urlsafe(12))
        accounts = {"member": account, "outsider": account}
        sites = sites_with_tokens(server, ["owner", "member", "other", "outsider"], tag, accounts)
        owner = sites["owner"]
        body = {"name": f"project {tag}", "description": "", "site": owner.id, "tasks": TASKS}
        project = owner.router.post("projects/", body).json()["id"]
        for name in ("member", "other"):
            joining = {"site": sites[name].id, "project": project, "role": "PA", "notes": ""}
            assert sites[name].router.post("project-participants/", joining).status == 201
        return cls(server=server, sites=sites, project=project, account=account)

    def __getattr__(self, name: str) -> Site:
        try:
            return self.sites[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def admin(self) -> Router:
        return Router(url=self.server.url, account=ADMIN)

    def open(self) -> dict[str, int]:
        """The next batch; one that is still active is ended first."""
        if self.runs:
            self.admin.status(self.runs["owner"], 0, update_all=True)
        answer = self.owner.router.post("runs", {"project": self.project})
        assert answer.status == 201, answer
        by_uid = {run["site_uid"]: run["id"] for run in self.owner.listing().json() if run["project"] == self.project}
        self.runs = {name: by_uid[self.sites[name].uid] for name in ("owner", "member", "other")}
        self.batch = max(run["batch"] for run in self.owner.listing().json() if run["project"] == self.project)
        return self.runs

    def prepare(self, name: str) -> Answer:
        return self.sites[name].step(self.runs[name], 2, [3], batch=self.batch)


def sites_with_tokens(server: Server, names: list[str], tag: str, accounts: Mapping[str, tuple[str, str]] | None = None) -> dict[str, Site]:
    """Made in the database, in one go."""
    tokens = {name: secrets.token_urlsafe(32) for name in names}
    uids = {name: str(uuid.uuid4()) for name in names}
    rows = [[f"{name} {tag}", uids[name], tokens[name], *(accounts or {}).get(name, (f"owner of {name} {tag}", ""))] for name in names]
    server.manage("shell", "--verbosity", "0", "-c", SEED.format(sites=json.dumps(rows)))
    found = {}
    for name in names:
        router = Router(url=server.url, account=None, headers={"Authorization": f"Bearer {tokens[name]}"})
        site = router.get("sites/lookup/", uid=uids[name]).json()
        found[name] = Site(router=router, uid=uids[name], id=site["id"], name=site["name"], token=tokens[name])
    return found


@contextmanager
def waits() -> Iterator["Waits"]:
    """Waits in the background, all answered at the end."""
    with ThreadPoolExecutor(300) as pool:
        yield Waits(pool)


@dataclass
class Waits:
    """Begun, and most probably open when `begin` returns."""

    pool: ThreadPoolExecutor

    def begin(self, *askers: Asker, seconds: float = LONG_S, known: str | None = None) -> list[Future[Waited]]:
        etags = [known or asker.listing().headers["etag"] for asker in askers]
        begun = [self.pool.submit(asker.wait, etag, seconds) for asker, etag in zip(askers, etags, strict=True)]
        threading.Event().wait(0.3)
        return begun
