"""The wire's objects as a client reads them: frozen, typed, and strict about what a Routing Server must have sent."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from starfish.protocol.run_state import RunStatus

T = TypeVar("T")
JSON = Mapping[str, Any]
JOINING = ("by-name", "invitation")
INVITATION_STATES = ("open", "asked", "approved", "refused", "withdrawn", "expired")


class ForeignAnswer(ValueError):
    """An answer that is not what the wire contract says."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site as the Routing Server knows it."""

    id: int
    name: str
    description: str
    uid: str
    connected: bool

    @staticmethod
    def from_json(raw: JSON) -> "Site":
        """Raises ForeignAnswer."""
        return Site(
            id=_get(raw, "id", int),
            name=_get(raw, "name", str),
            description=_get(raw, "description", str),
            uid=_uid(raw, "uid"),
            connected=_get(raw, "status", str) == "Connected",
        )


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project; of one that the caller is not in only id, name and coordinator (`site`) are shown.

    `joining` is "by-name" or "invitation".
    """

    id: int
    name: str
    site: int
    description: str = ""
    batch: int = 0
    tasks: Sequence[JSON] = ()
    definition: JSON
    uid: str = ""
    joining: str = "by-name"

    @staticmethod
    def from_json(raw: JSON) -> "Project":
        """Raises ForeignAnswer."""
        return Project(
            id=_get(raw, "id", int),
            name=_get(raw, "name", str),
            site=_get(raw, "site", int),
            description=raw.get("description") or "",
            batch=raw.get("batch") or 0,
            tasks=raw.get("tasks") or [],
            definition=raw.get("definition") or {},
            uid=_hex(raw, "uid", 32) if "uid" in raw else "",
            joining=_one_of(raw, "joining", JOINING) if "joining" in raw else "by-name",
        )

    @property
    def sealed(self) -> bool:
        """Whether sites come into it by invitation, and nothing of theirs is sent in the open."""
        return self.joining == "invitation"


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A site in a project. `role` is "coordinator" or "participant"."""

    id: int
    site: Site
    project: Project
    role: str
    notes: str

    @staticmethod
    def from_json(raw: JSON) -> "Membership":
        """Raises ForeignAnswer."""
        return Membership(
            id=_get(raw, "id", int),
            site=Site.from_json(_get(raw, "site", dict)),
            project=Project.from_json(_get(raw, "project", dict)),
            role=_get(raw, "role", str),
            notes=_get(raw, "notes", str),
        )


@dataclass(frozen=True, kw_only=True)
class InlineFile:
    """A small file that came along with the run: the global model that it begins with, or the update that it has sent."""

    task_seq: int
    round_seq: int
    sha256: str
    data: bytes

    @property
    def position(self) -> tuple[int, int]:
        return self.task_seq, self.round_seq

    @staticmethod
    def from_json(raw: JSON) -> "InlineFile":
        """Raises ForeignAnswer, also where the bytes are not those of the digest."""
        data = _base64(raw, "data")
        if hashlib.sha256(data).hexdigest() != _get(raw, "sha256", str):
            raise ForeignAnswer("a file that is not that of its digest")
        return InlineFile(task_seq=_get(raw, "task_seq", int), round_seq=_get(raw, "round_seq", int), sha256=raw["sha256"], data=data)


@dataclass(frozen=True, kw_only=True)
class ProgressReport:
    """How far a site was. `task_seq`, `round_seq`: where its run was then; the rest as the site reported it.

    In a sealed project `sealed` is the envelope of what else it has to say, and neither metrics nor a message are told.
    """

    id: int
    task_seq: int
    round_seq: int
    at: datetime
    round: int
    step: str | int
    fraction: float | None
    metrics: Mapping[str, float]
    message: str
    sealed: bytes | None = None

    @staticmethod
    def from_json(raw: JSON) -> "ProgressReport":
        """Raises ForeignAnswer."""
        step, fraction = raw.get("step"), raw.get("fraction")
        sealed = _base64(raw, "sealed") if "sealed" in raw else None
        told = {"metrics": {}, "message": "", **raw} if sealed is not None else raw
        return ProgressReport(
            id=_get(raw, "id", int),
            task_seq=_get(raw, "task_seq", int),
            round_seq=_get(raw, "round_seq", int),
            at=_time(raw, "at"),
            round=_get(raw, "round", int),
            step=step if isinstance(step, int) else _get(raw, "step", str),
            fraction=None if fraction is None else _number(fraction),
            metrics={str(name): _number(value) for name, value in _get(told, "metrics", dict).items()},
            message=_get(told, "message", str),
            sealed=sealed,
        )


@dataclass(frozen=True, kw_only=True)
class LogLines:
    """Lines that a site has told of its run, and where that was then."""

    id: int
    task_seq: int
    round_seq: int
    at: datetime
    text: str

    @staticmethod
    def from_json(raw: JSON) -> "LogLines":
        """Raises ForeignAnswer."""
        return LogLines(
            id=_get(raw, "id", int),
            task_seq=_get(raw, "task_seq", int),
            round_seq=_get(raw, "round_seq", int),
            at=_time(raw, "at"),
            text=_get(raw, "lines", str),
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One site's part in one batch. `tasks` carry the round counters; `cur_seq` is the present task.

    Of a minimal listing's run the files are not told, but perhaps the global model that it begins with. The last report of its
    progress is told of one run, and of a batch's.
    """

    id: int
    project: int
    batch: int
    role: str
    site_uid: str
    cur_seq: int
    status: RunStatus
    logs: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    middle_artifacts: Sequence[str] = ()
    tasks: Sequence[JSON]
    updated_at: datetime
    created_at: str = ""
    model: InlineFile | None = None
    update: InlineFile | None = None
    progress: ProgressReport | None = None

    @staticmethod
    def from_json(raw: JSON) -> "Run":
        """Raises ForeignAnswer. A nested project (of `GET runs/{id}/`) is taken by its id."""
        project = raw.get("project")
        try:
            status = RunStatus.from_word(_get(raw, "status", str))
            updated_at = datetime.fromisoformat(_get(raw, "updated_at", str))
        except (KeyError, ValueError) as error:
            raise ForeignAnswer(f"a run with an unknown status or time: {error}") from error
        return Run(
            id=_get(raw, "id", int),
            project=_get(project, "id", int) if isinstance(project, Mapping) else _get(raw, "project", int),
            batch=_get(raw, "batch", int),
            role=_get(raw, "role", str),
            site_uid=_uid(raw, "site_uid"),
            cur_seq=_get(raw, "cur_seq", int),
            status=status,
            logs=_files(raw, "logs"),
            artifacts=_files(raw, "artifacts"),
            middle_artifacts=_files(raw, "middle_artifacts"),
            tasks=_get(raw, "tasks", list),
            updated_at=updated_at,
            created_at=str(raw.get("created_at", "")),
            model=InlineFile.from_json(_get(raw, "model", dict)) if "model" in raw else None,
            update=InlineFile.from_json(_get(raw, "update", dict)) if "update" in raw else None,
            progress=ProgressReport.from_json(_get(raw, "progress", dict)) if raw.get("progress") is not None else None,
        )

    @property
    def coordinates(self) -> bool:
        return self.role == "coordinator"

    @property
    def task(self) -> JSON:
        """The present task. Raises ForeignAnswer."""
        return self.task_at(self.cur_seq)

    def task_at(self, seq: int) -> JSON:
        """Raises ForeignAnswer."""
        for task in self.tasks:
            if task.get("seq") == seq:
                return task
        raise ForeignAnswer(f"run {self.id} has no task {seq}")

    @property
    def round_seq(self) -> int:
        """The present round of the present task; of a project without tasks, the first of nothing."""
        return int(self.task["config"]["current_round"]) if self.tasks else 1

    @property
    def position(self) -> tuple[int, int]:
        return self.cur_seq, self.round_seq

    @property
    def last_task(self) -> bool:
        return self.cur_seq == max(int(task["seq"]) for task in self.tasks)

    @property
    def last_round(self) -> bool:
        """Whether the present task has no round after this one."""
        return self.round_seq >= int(self.task["config"]["total_round"])


@dataclass(frozen=True, kw_only=True)
class ProjectReference:
    """The project of an invitation, to those who are not in it yet."""

    id: int
    name: str
    uid: str

    @staticmethod
    def from_json(raw: JSON) -> "ProjectReference":
        """Raises ForeignAnswer."""
        return ProjectReference(id=_get(raw, "id", int), name=_get(raw, "name", str), uid=_hex(raw, "uid", 32))


@dataclass(frozen=True, kw_only=True)
class SiteReference:
    """Who invites."""

    id: int
    uid: str
    name: str

    @staticmethod
    def from_json(raw: JSON) -> "SiteReference":
        """Raises ForeignAnswer."""
        return SiteReference(id=_get(raw, "id", int), uid=_uid(raw, "uid"), name=_get(raw, "name", str))


@dataclass(frozen=True, kw_only=True)
class InvitationState:
    """An invitation as the Routing Server keeps it: without its secret. `site`: the invited site's name; `cards`: the coordinator's.

    `state` is "open", "asked", "approved", "refused", "withdrawn" or "expired". What the Routing Server says is believed of nothing
    but where it is: `request`, `answer` and `cards` prove themselves. In a coordinator's list its own cards are left out.
    """

    id: str
    project: ProjectReference
    coordinator: SiteReference
    site: str
    state: str
    expires: datetime
    request: str | None
    answer: str | None
    cards: Sequence[str]

    @staticmethod
    def from_json(raw: JSON) -> "InvitationState":
        """Raises ForeignAnswer."""
        return InvitationState(
            id=_hex(raw, "id", 32),
            project=ProjectReference.from_json(_get(raw, "project", dict)),
            coordinator=SiteReference.from_json(_get(raw, "coordinator", dict)),
            site=_get(raw, "site", str),
            state=_one_of(raw, "state", INVITATION_STATES),
            expires=_time(raw, "expires"),
            request=None if raw.get("request") is None else _get(raw, "request", str),
            answer=None if raw.get("answer") is None else _get(raw, "answer", str),
            cards=texts(_get(raw, "cards", list)) if "cards" in raw else (),
        )


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What the Routing Server keeps for one member of one version of a project: manifest and view, sealed. `size` in bytes."""

    version: int
    size: int
    sha256: str

    @staticmethod
    def from_json(raw: JSON) -> "Letter":
        """Raises ForeignAnswer."""
        return Letter(version=_get(raw, "version", int), size=_get(raw, "size", int), sha256=_hex(raw, "sha256", 64))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The runs that a site works on, and the ETag by which a wait tells whether they have changed."""

    runs: Sequence[Run]
    etag: str


def texts(raw: Any) -> Sequence[str]:
    """A list of texts: a site's cards, say. Raises ForeignAnswer."""
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        raise ForeignAnswer("something that is no list of texts")
    return raw


def _files(raw: JSON, key: str) -> Sequence[str]:
    return _get(raw, key, list) if key in raw else ()


def _get(raw: JSON, key: str, kind: type[T]) -> T:
    value = raw.get(key)
    if not isinstance(value, kind):
        raise ForeignAnswer(f"'{key}' is missing or no {kind.__name__}")
    return value


def _base64(raw: JSON, key: str) -> bytes:
    try:
        return base64.b64decode(_get(raw, key, str), validate=True)
    except ValueError as error:
        raise ForeignAnswer(f"'{key}' is no Base64") from error


def _hex(raw: JSON, key: str, digits: int) -> str:
    text = _get(raw, key, str)
    if len(text) != digits or not set(text) <= set("0123456789abcdef"):
        raise ForeignAnswer(f"'{key}' is not {digits} hexadecimal digits")
    return text


def _one_of(raw: JSON, key: str, words: Sequence[str]) -> str:
    text = _get(raw, key, str)
    if text not in words:
        raise ForeignAnswer(f"'{key}' is none of {', '.join(words)}")
    return text


def _time(raw: JSON, key: str) -> datetime:
    try:
        return datetime.fromisoformat(_get(raw, key, str))
    except ValueError as error:
        raise ForeignAnswer(f"'{key}' is no time") from error


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ForeignAnswer("something that is no number in a report of progress")
    try:
        return float(value)
    except OverflowError as error:
        raise ForeignAnswer("a number that is none in a report of progress") from error


def _uid(raw: JSON, key: str) -> str:
    """A UUID as it is always written: sites name files by it."""
    text = _get(raw, key, str)
    try:
        if str(UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise ForeignAnswer(f"'{key}' is no UUID")
