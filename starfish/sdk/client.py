"""What a site asks of its Routing Server; the wire's objects come back as `starfish.protocol.messages`."""

import base64
import io
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import httpx2

from starfish.protocol.messages import ForeignAnswer, Listing, Membership, Project, Run, Site
from starfish.protocol.run_state import RunStatus
from starfish.sdk.artifacts import ArtifactCalls
from starfish.sdk.artifacts import Kind as Kind
from starfish.sdk.telemetry import TelemetryCalls
from starfish.sdk.tokens import TokenCalls
from starfish.sdk.transport import RouterUnreachable, Transport
from starfish.sdk.trust import TrustCalls

T = TypeVar("T")
CHUNK = 1 << 20
NOT_MODIFIED = 304


class Stepped(NamedTuple):
    """The run after a step, and all that its site works on then."""

    run: Run
    listing: Listing


class Client(ArtifactCalls, TelemetryCalls, TokenCalls, TrustCalls):
    """One site (or account) at one Routing Server. Methods raise RouterUnreachable and Problem.

    `fresh_token`: the token by now, where another process may have renewed it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        fresh_token: Callable[[], str | None] = lambda: None,
        timeout: float = 30.0,
    ) -> None:
        authorization = _authorization(token, username, password)
        self._transport = Transport(
            url, authorization=authorization, timeout=timeout, fresh=lambda: _authorization(fresh_token(), None, None)
        )

    def close(self) -> None:
        self._transport.close()

    def enrol(self, code: str, uid: str, token: str, description: str = "") -> Site:
        """Turn a one-time code into an account; the same call again within the hour changes nothing."""
        body = {"code": code, "uid": uid, "token": token, "description": description}
        return self._one(Site.from_json, "POST", "enrol/", json=body)

    def create_site(self, name: str, uid: str, description: str) -> Site:
        body = {"name": name, "uid": uid, "description": description}
        return self._one(Site.from_json, "POST", "sites/", json=body, headers=_key())

    def site_by_uid(self, uid: str) -> Site:
        return self._one(Site.from_json, "GET", "sites/lookup/", params={"uid": uid})

    def clock(self, uid: str) -> datetime | None:
        """What time it is at the Routing Server, to the second, as it says in any answer to this site; None where it doesn't."""
        said = self._transport.request("GET", "sites/lookup/", params={"uid": uid}).headers.get("Date")
        try:
            return parsedate_to_datetime(said) if said else None
        except ValueError:
            return None

    def heartbeat(self, uid: str, connected: bool = True) -> None:
        self._transport.request("POST", "sites/heartbeat/", json={"uid": uid, "status": int(connected)})

    def create_project(
        self,
        name: str,
        description: str,
        site_id: int,
        tasks: Sequence[Mapping[str, Any]],
        definition: Mapping[str, Any],
        *,
        uid: str | None = None,
        joining: Literal["by-name", "invitation"] = "by-name",
    ) -> Project:
        """`uid`: of an invitation project, which brings its own."""
        body = {"name": name, "description": description, "site": site_id, "tasks": list(tasks), "definition": dict(definition)}
        body |= {"joining": joining} | ({} if uid is None else {"uid": uid})
        return self._one(Project.from_json, "POST", "projects/", json=body, headers=_key())

    def project(self, project_id: int) -> Project:
        return self._one(Project.from_json, "GET", f"projects/{project_id}/")

    def project_by_name(self, name: str) -> Project:
        return self._one(Project.from_json, "GET", "projects/lookup/", params={"name": name})

    def memberships(self, site_id: int) -> list[Membership]:
        """The projects that a site is in."""
        return self._many(Membership.from_json, "projects/lookup/", {"site_id": site_id})

    def join(self, project_id: int, site_id: int, notes: str = "") -> None:
        body = {"project": project_id, "site": site_id, "role": "PA", "notes": notes}
        self._transport.request("POST", "project-participants/", json=body, headers=_key())

    def leave(self, membership_id: int) -> None:
        self._transport.request("DELETE", f"project-participants/{membership_id}/")

    def participants(self, project_id: int) -> list[Membership]:
        """A project's members, as far as the caller may see them."""
        return self._many(Membership.from_json, "project-participants/lookup/", {"project": project_id})

    def start_batch(self, project_id: int, *, number: int | None = None, order: bytes | None = None) -> None:
        """`number`, `order`: of an invitation project's batch; the same again changes nothing. Raises Conflict for another number."""
        body: dict[str, Any] = {"project": project_id} | ({} if number is None else {"batch": number})
        if order is not None:
            body["order"] = base64.b64encode(order).decode()
        self._transport.request("POST", "runs/", json=body, headers=_key())

    def active_runs(self, site_uid: str, *, known: str | None = None, wait: float = 0) -> Listing | None:
        """All runs that have not ended and that this site may see, without their files.

        With `known`, the ETag of an earlier listing, and `wait` (seconds): as soon as they differ from it; None where they don't.
        """
        headers = {"Prefer": f"return=minimal, wait={wait:.0f}" if wait else "return=minimal"} | ({"If-None-Match": known} if known else {})
        answer = self._transport.request(
            "GET", "runs/active/", params={"site_uid": site_uid}, headers=headers, patience=wait, attempts=1 if wait else 3
        )
        if answer.status_code == NOT_MODIFIED:
            return None
        return self._read(lambda raw: _listing(raw, answer), self._transport.json_of(answer))

    def run(self, run_id: int) -> Run:
        return self._one(Run.from_json, "GET", f"runs/{run_id}/")

    def batch_runs(self, project_id: int, batch: int, site_uid: str) -> list[Run]:
        """The runs of a batch: all for its coordinator, its own for a participant."""
        params = {"project": project_id, "batch": batch, "site_uid": site_uid}
        return self._one(lambda raw: [Run.from_json(run) for run in raw["runs"]], "GET", "runs/detail/", params=params)

    def batches(self, project_id: int, site_uid: str) -> list[Run]:
        """One merged run a batch."""
        return self._many(Run.from_json, "runs/lookup/", {"project": project_id, "site_uid": site_uid})

    def step(
        self,
        run: Run,
        to: Sequence[RunStatus],
        *,
        everyone: bool = False,
        end_task: bool = False,
        begin: bool = False,
        artifact: tuple[Kind, str, bytes] | None = None,
        stored: tuple[Kind, str, str] | None = None,
        lines: str = "",
    ) -> Stepped:
        """A chain of moves from where `run` is, with an artifact (inline bytes, or the SHA-256 of one stored before).

        The run as it is then, and all that the site works on. Raises Conflict where the run has moved on meanwhile: then nothing has
        changed.
        """
        body: dict[str, Any] = {
            "from": int(run.status),
            "to": [int(status) for status in to],
            "batch": run.batch,
            "task_seq": run.cur_seq,
            "round_seq": run.round_seq,
            "all": everyone,
            "end_task": end_task,
            "begin": begin,
        }
        if artifact:
            kind, name, data = artifact
            body["artifact"] = {"kind": kind, "name": name, "data": base64.b64encode(data).decode()}
        if lines:
            body["lines"] = lines
        if stored:
            body["artifact"] = dict(zip(("kind", "name", "sha256"), stored, strict=True))
        headers = _key() | {"Prefer": "return=minimal"}
        answer = self._transport.request("POST", f"runs/{run.id}/step/", json=body, headers=headers)
        raw = self._transport.json_of(answer)
        return self._read(lambda raw: Stepped(Run.from_json(raw), _listing(raw["active"], answer)), raw)

    def upload(self, run_id: int, task_seq: int, round_seq: int, kind: Kind, name: str, content: Path | bytes) -> None:
        """Store a file of a run's round; under a name that is taken the later bytes replace the earlier."""
        fields = {"run": str(run_id), "task_seq": str(task_seq), "round_seq": str(round_seq)}
        with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
            files = {kind: (name, file, "application/octet-stream")}
            # Once: a body that was read halfway is not sent again from there.
            self._transport.request("POST", "runs-action/upload/", data=fields, files=files, attempts=1)

    def download(
        self, run_id: int, kind: Kind, task_seq: int | None, round_seq: int | None, folder: Path, *, all_runs: bool = False
    ) -> list[Path]:
        """Files of a run (of one round, or of all), into `folder`, named `{run}-{task}-{round}-{name}`. Raises NotFound for none."""
        params: dict[str, Any] = {"run": run_id, "type": kind, "all_runs": int(all_runs)}
        if task_seq is not None and round_seq is not None:
            params |= {"task_seq": task_seq, "round_seq": round_seq}
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f".{uuid.uuid4().hex}.zip"
        try:
            self._fetch(params, archive)
            with zipfile.ZipFile(archive) as packed:
                return [Path(packed.extract(member, folder)) for member in packed.namelist()]
        except (zipfile.BadZipFile, zlib.error) as error:
            raise RouterUnreachable(f"A download from {self._transport.url} arrived damaged; it will have to be repeated.") from error
        finally:
            archive.unlink(missing_ok=True)

    def set_status(self, run_id: int, status: RunStatus, *, everyone: bool = False) -> None:
        body = {"status": int(status), "update_all": everyone, "increase_round": False}
        self._transport.request("PUT", f"runs/{run_id}/status/", json=body, headers=_key())

    def action(self, run_id: int, role: str, action: Literal["stop", "restart"], project_id: int, batch: int) -> None:
        """Stop or restart: the whole batch where `role` is "coordinator" and the run is its project's."""
        body = {"run": run_id, "role": role, "action": action, "project": project_id, "batch": batch}
        self._transport.request("PUT", "runs-action/update/", json=body, headers=_key())

    def _fetch(self, params: Mapping[str, Any], to: Path) -> None:
        try:
            with self._transport.stream("runs-action/download/", params=params) as answer, to.open("wb") as file:
                if not answer.is_success:
                    answer.read()
                self._transport.check(answer)
                for chunk in answer.iter_bytes(CHUNK):
                    file.write(chunk)
        except httpx2.TransportError as error:
            raise self._transport.unreachable(error) from error

    def _one(self, read: Callable[[Any], T], method: str, path: str, **options: Any) -> T:
        return self._read(read, self._transport.json(method, path, **options))

    def _read(self, read: Callable[[Any], T], raw: Any) -> T:
        try:
            return read(raw)
        except (ForeignAnswer, AttributeError, KeyError, TypeError) as error:
            raise RouterUnreachable(f"{self._transport.url} does not answer as a Starfish Routing Server: {error}.") from error

    def _many(self, read: Callable[[Any], T], path: str, params: Mapping[str, Any]) -> list[T]:
        return self._one(lambda raw: [read(item) for item in raw], "GET", path, params=params)


def _listing(raw: Any, answer: httpx2.Response) -> Listing:
    return Listing(runs=[Run.from_json(run) for run in raw], etag=answer.headers["ETag"])


def _authorization(token: str | None, username: str | None, password: str | None) -> str | None:
    if token:
        return f"Bearer {token}"
    if username is not None:
        return "Basic " + base64.b64encode(f"{username}:{password or ''}".encode()).decode()
    return None


def _key() -> dict[str, str]:
    """A request that is repeated after a lost answer carries the same key, and happens once."""
    return {"Idempotency-Key": str(uuid.uuid4())}
