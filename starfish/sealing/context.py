"""What an envelope is about: stated inside it, signed, and compared with what its reader awaits (docs/spec/envelope.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Literal

from starfish.sealing import canonical
from starfish.sealing.errors import Code, SealingError
from starfish.sealing.fields import COMMITMENTS, HASH, NONCE, Field, check, exactly, nullable, number
from starfish.sealing.keys import Card

ContentKind = Literal["update", "model", "lines", "progress", "failure"]
NUMBERED: tuple[ContentKind, ...] = ("lines", "progress")
BASED: tuple[ContentKind, ...] = ("update", "model")
KINDS: tuple[ContentKind, ...] = (*BASED, *NUMBERED, "failure")
LONGEST = 1 << 20
"""In bytes, the end of the line included."""
NONE = Field(what="empty list, which it is but in a global model", holds=lambda value: value == [])
NOTHING = Field(what="null, which it is but in updates and global models", holds=lambda value: value is None)
SCHEMA = {
    "attempt": number(1),
    "base": nullable(HASH),
    "batch": HASH,
    "commits": Field(what="list", holds=lambda value: isinstance(value, list)),
    "kind": Field(what="kind of content", holds=lambda value: value in KINDS),
    "manifest": HASH,
    "number": number(0),
    "project": NONCE,
    "round": number(0),
    "sender": HASH,
    "task": number(0),
}


@dataclass(frozen=True, kw_only=True)
class Context:
    """Hashes and ids in hexadecimal; `batch`: the hash of the order; `sender`: that of the card."""

    project: str
    manifest: str
    batch: str
    task: int
    round: int
    kind: ContentKind
    sender: str
    attempt: int = 1
    number: int = 0
    base: str | None = None
    commits: tuple[str, ...] = ()

    def line(self) -> bytes:
        """Canonical, with its end. Raises SealingError where a value is none."""
        body = {**vars(self), "commits": list(self.commits)}
        _check(body)
        return f"{canonical.dumps(body, 'A context')}\n".encode("ascii")

    @staticmethod
    def parse(line: bytes) -> "Context":
        """Raises SealingError."""
        if len(line) > LONGEST:
            raise SealingError(f"A context has more than {LONGEST} bytes.", code="size")
        if not line.isascii() or not line.endswith(b"\n"):
            raise SealingError("A context is no line of ASCII.", code="form")
        body = canonical.loads(line[:-1].decode("ascii"), "A context")
        _check(body)
        return Context(**{**body, "commits": tuple(body["commits"])})


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a reader awaits. `sender`: whose content; `batch`: the hash of the order.

    `base`: what it must be, null too; `...` where the reader cannot know. `number`: of lines and progress, the one that follows.
    `attempt`: at least this. `commit`: the digest of the reader's own update, which a global model must name.
    """

    project: str
    manifest: str
    batch: str
    task: int
    round: int
    kind: ContentKind
    sender: Card
    base: str | EllipsisType | None = ...
    number: int | None = None
    attempt: int = 1
    commit: str | None = None

    @property
    def what(self) -> str:
        return f"The {WORDS[self.kind]} of task {self.task}, round {self.round}, by '{self.sender.name}'"

    def check(self, context: Context) -> None:
        """Raises SealingError, whose code says which of them does not agree."""
        for agrees, code, words in self._comparisons(context):
            if not agrees:
                raise SealingError(f"{self.what} is refused: {words}.", code=code)

    def _comparisons(self, context: Context) -> list[tuple[bool, Code, str]]:
        place = f"it is of task {context.task}, round {context.round}"
        return [
            (context.project == self.project, "other-project", "it is of another project"),
            (context.manifest == self.manifest, "other-manifest", "it was made under another version of the project's manifest"),
            (context.batch == self.batch, "other-batch", "it was made for another batch"),
            (context.task == self.task, "other-task", place),
            (context.round == self.round, "other-round", place),
            (context.kind == self.kind, "other-kind", f"it is sealed as '{context.kind}'"),
            (context.sender == self.sender.hash, "other-sender", "somebody else sealed it"),
            (self.number in (None, context.number), "other-number", f"it has the number {context.number}, not {self.number}"),
            (self.base in (..., context.base), "other-base", "it follows from another global model than this site holds"),
            (context.attempt >= self.attempt, "old-attempt", f"attempt {self.attempt} was seen, and this is attempt {context.attempt}"),
            (self.commit is None or self.commit in context.commits, "left-out", "this site's own update is not in it"),
        ]


WORDS: dict[ContentKind, str] = {
    "update": "update",
    "model": "global model",
    "lines": "log lines",
    "progress": "progress",
    "failure": "reason of failure",
}


def _check(body: Mapping[str, Any]) -> None:
    """Raises SealingError."""
    check(body, SCHEMA, "A context")
    check(body, SCHEMA | _of_kind(body["kind"]), "A context")


def _of_kind(kind: ContentKind) -> dict[str, Field]:
    """What only some kinds have, and the others must not."""
    return {
        "base": nullable(HASH) if kind in BASED else NOTHING,
        "commits": COMMITMENTS if kind == "model" else NONE,
        "number": number(1) if kind in NUMBERED else exactly(0),
    }
