"""Streams to and from a real Routing Server, byte by byte where it matters: accounts, one project, one open batch."""

import base64
import hashlib
import json
import secrets
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.support.servers import ADMIN, BASE, Server

TASKS = [{"seq": 1, "model": "A", "config": {"total_round": 3}}, {"seq": 2, "model": "B", "config": {"total_round": 1}}]


def repr_digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def offset(self) -> int | None:
        text = self.headers.get("upload-offset")
        return None if text is None else int(text)


class Connection:
    """One kept TCP connection, on which anything can be sent."""

    def __init__(self, port: int, authorization: str | None) -> None:
        self.authorization = authorization
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, method: str, path: str, **headers: Any) -> None:
        sent = {"Host": "router.test", **({"Authorization": self.authorization} if self.authorization else {})}
        sent |= {name.replace("_", "-"): str(value) for name, value in headers.items() if value is not None}
        lines = [
            f"{method} {path if path.startswith('/') else BASE + path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in sent.items()),
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        body = response.read()
        return Answer(status=response.status, headers={name.lower(): value for name, value in response.getheaders()}, body=body)


@dataclass(frozen=True, kw_only=True)
class Site:
    """An account with a site, at a server."""

    server: Server
    authorization: str | None
    id: int = 0
    uid: str = ""

    def connect(self) -> Connection:
        return Connection(self.server.port, self.authorization)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: Any) -> Answer:
        with self.connect() as connection:
            length = len(body) if body is not None and "Content_Length" not in headers else None
            connection.head(method, path, **({"Content-Length": length} if length is not None else {}), **headers)
            if body:
                connection.send(body)
            return connection.answer(method)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, path, json.dumps(body).encode() if body is not None else None, Content_Type="application/json")
        assert answer.status < 300, (method, path, answer)
        return json.loads(answer.body) if answer.body else None

    def put(self, path: str, data: bytes, **headers: Any) -> Answer:
        """Whole, with its digest."""
        return self.ask("PUT", path, data, **{"Repr_Digest": repr_digest(data), **headers})


@dataclass(frozen=True, kw_only=True)
class World:
    """`owner` coordinates; `member` and `other` take part; `outsider` does not. `runs`: of the first three."""

    server: Server
    admin: Site
    owner: Site
    member: Site
    other: Site
    outsider: Site
    nobody: Site
    project: int
    runs: dict[str, int]

    @classmethod
    def new(cls, server: Server) -> "World":
        admin = Site(server=server, authorization=_basic(*ADMIN))
        tag = secrets.token_hex(4)
        sites = {name: _site(server, admin, f"{name}-{tag}") for name in ("owner", "member", "other", "outsider")}
        project = sites["owner"].json(
            "POST", "projects/", {"name": f"project-{tag}", "description": "", "site": sites["owner"].id, "tasks": TASKS}
        )["id"]
        for name in ("member", "other"):
            sites[name].json("POST", "project-participants/", {"site": sites[name].id, "project": project, "role": "PA", "notes": ""})
        world = cls(server=server, admin=admin, nobody=Site(server=server, authorization=None), project=project, runs={}, **sites)
        world.open()
        return world

    def open(self) -> None:
        """The next batch."""
        self.owner.json("POST", "runs", {"project": self.project})
        mine = [run for run in self.admin.json("GET", "runs/active/") if run["project"] == self.project]
        by_uid = {run["site_uid"]: run["id"] for run in mine}
        self.runs.update({name: by_uid[getattr(self, name).uid] for name in ("owner", "member", "other")})

    def status(self, who: str, number: int, **more: bool) -> None:
        body = {"status": number, "update_all": False, "increase_round": False, **more}
        getattr(self, who).json("PUT", f"runs/{self.runs[who]}/status/", body)

    def aggregating(self) -> None:
        """From Standby on."""
        for who in ("member", "other", "owner"):
            self.status(who, 3)
        self.status("owner", 4, update_all=True)
        for number in (5, 6):
            for who in ("member", "other", "owner"):
                self.status(who, number)
        self.status("owner", 7, update_all=True)

    def next_round(self) -> None:
        self.aggregating()
        self.status("owner", 2, update_all=True, increase_round=True)

    def path(self, who: str, name: str, *, kind: str = "mid_artifacts", task: int = 1, turn: int = 1) -> str:
        return f"runs/{self.runs[who]}/artifacts/{task}/{turn}/{kind}/{name}"


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _site(server: Server, admin: Site, name: str) -> Site:
    password = secrets.token_urlsafe(12)
    admin.json("POST", "users/", {"username": name, "password": password})
    account = Site(server=server, authorization=_basic(name, password))
    uid = f"{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}"
    made = account.json("POST", "sites/", {"uid": uid, "name": name, "description": ""})
    return Site(server=server, authorization=account.authorization, id=made["id"], uid=made["uid"])
