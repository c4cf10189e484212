"""What goes to the Routing Server and comes from it: as it is in by-name projects, in envelopes in sealed ones.

Outgoing files are sealed once, kept in `sealed/` of the batch's folder until the next round's take their place, and sent again as they
were. Beside each global model stands
the digest of the envelope that it came in (`.seal`): what the next ones must refer to.
"""

import base64
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from starfish.controller.files import overwrite, overwriting, sha256_of
from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.store import TrustStore
from starfish.controller.worker.folder import BatchFolder
from starfish.sealing.envelope import Context, Expectation, open_bytes, open_file, padded_commits, seal, seal_bytes
from starfish.sealing.errors import SealingError
from starfish.sealing.keys import Card, Identity, SiteKeys
from starfish.sealing.manifest import Manifest, Order
from starfish.tasks.payload import Payload

Kind = Literal["update", "model", "lines", "progress", "failure"]
Position = tuple[int, int]


class Readable(Protocol):
    """`read` gives at most `size` bytes, and none at the end alone."""

    def read(self, size: int, /) -> bytes: ...


class Coming(Protocol):
    """A file that the Routing Server has."""

    def save(self, to: Path) -> None:
        """Durably and whole or not at all, as the Routing Server says that it is."""

    def stream(self) -> AbstractContextManager[Readable]:
        """As it comes, for whoever knows better than the Routing Server whether it is whole."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A file as it is sent."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """Log lines: as they stand in the site's file, and as they are sent."""

    plain: str
    wire: str


class Wrapping(ABC):
    """One batch's. Methods that read raise Untrusted."""

    lines_bytes: int
    """Of plain lines that go at once."""
    proves: bool
    """Whether what comes is known to be its sender's."""

    @abstractmethod
    def outgoing(self, kind: Kind, at: Position, file: Path, sha256: str, *, parent: Position | None) -> Outgoing:
        """`parent`: the place of the global model that the file follows from. The same file again is the same bytes."""

    @abstractmethod
    def incoming(self, kind: Kind, at: Position, sender: str | None, came: Coming | bytes, to: Path, *, parent: Position | None) -> None:
        """Bring what comes to where it is used, durably and whole or not at all. `sender`: a site's uid, None for the coordinator's."""

    @abstractmethod
    def notice(self, at: Position, content: bytes) -> bytes:
        """A failure's, as it is sent."""

    @abstractmethod
    def read_notice(self, at: Position, sender: str, data: bytes) -> bytes:
        """A failure's, as it was meant."""

    @abstractmethod
    def tell(self, at: Position, lines: str) -> Told:
        """Lines as they are sent; those that were not acknowledged come again as they were."""

    @abstractmethod
    def read_lines(self, sender: str, entries: Iterable[tuple[Position, str]]) -> list[str]:
        """What a site has told, in order; `entries`: places and what stands there."""

    @abstractmethod
    def knows(self, file: Path) -> bool:
        """Whether it is known in what a file came: only then can be told what follows from it."""

    @abstractmethod
    def ended(self, at: Position) -> bool:
        """Whether the global model that is here says that it is its task's last, as far as that is to be checked."""

    @abstractmethod
    def begin_anew(self) -> None:
        """The batch begins again: what was sealed is sealed no more, and other content may stand in its place."""


class Plain(Wrapping):
    """Of a by-name project: nothing is hidden, nothing proved."""

    lines_bytes, proves = 64 * 1024, False

    def outgoing(self, kind: Kind, at: Position, file: Path, sha256: str, *, parent: Position | None) -> Outgoing:
        return Outgoing(path=file, size=file.stat().st_size, sha256=sha256)

    def incoming(self, kind: Kind, at: Position, sender: str | None, came: Coming | bytes, to: Path, *, parent: Position | None) -> None:
        if isinstance(came, bytes):
            BatchFolder.write(to, came)
        else:
            came.save(to)

    def notice(self, at: Position, content: bytes) -> bytes:
        return content

    def read_notice(self, at: Position, sender: str, data: bytes) -> bytes:
        return data

    def tell(self, at: Position, lines: str) -> Told:
        return Told(plain=lines, wire=lines)

    def read_lines(self, sender: str, entries: Iterable[tuple[Position, str]]) -> list[str]:
        return [text for _, text in entries]

    def knows(self, file: Path) -> bool:
        return True

    def ended(self, at: Position) -> bool:
        return True

    def begin_anew(self) -> None:
        """Nothing was kept."""


@dataclass(frozen=True, kw_only=True)
class Sealed(Wrapping):
    """Of a sealed project, under one manifest and order.

    `own`: the keys of this site's card in the manifest; `identities`: what may open what came; `roster`: the members by uid, at the
    coordinator; at a participant itself and the coordinator.
    """

    manifest: Manifest
    order: Order
    own: SiteKeys
    coordinator: Card
    identities: Sequence[Identity]
    group: Identity
    roster: Mapping[str, Card]
    store: TrustStore
    folder: BatchFolder

    lines_bytes, proves = 40 * 1024, True

    def outgoing(self, kind: Kind, at: Position, file: Path, sha256: str, *, parent: Position | None) -> Outgoing:
        target, record = self._outbox / f"{kind}.envelope", self._record(kind, at)
        base = self._digest(self.folder.model(*parent)) if parent else None
        updates = sorted(self._digests_of_updates(at)) if kind == "model" else []
        made_of = {"plain": sha256, "base": base, "updates": updates, "attempt": self.store.attempt(self.order.hash)}
        sealed = self._sealed_before(target, record, made_of)
        if sealed is None:
            context = self._context(kind, at, base=base, commits=padded_commits(updates) if kind == "model" else ())
            self._outbox.mkdir(mode=0o700, exist_ok=True)
            with file.open("rb", buffering=0) as source, overwriting(target) as opened:
                made = seal(source, opened, context, self._recipients(kind), self.own.signing)
            sealed = Outgoing(path=target, size=made.size, sha256=made.sha256)
            overwrite(record, json.dumps({"made_of": made_of, "size": made.size, "sha256": made.sha256}).encode())
        if kind == "model":
            _write_digest(file, sealed.sha256)
        return sealed

    def incoming(self, kind: Kind, at: Position, sender: str | None, came: Coming | bytes, to: Path, *, parent: Position | None) -> None:
        base = self._digest(self.folder.model(*parent)) if parent else None
        commit = self._own_update(at) if kind == "model" else None
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            expected = self._expected(kind, at, self._card(sender), base=base, commit=commit)
            with io.BytesIO(came) if isinstance(came, bytes) else came.stream() as source:
                opened = open_file(source, to, self._openers(kind), expected)
        except SealingError as error:
            raise Untrusted(str(error), code=error.code) from error
        self._mark(opened.context)
        _write_digest(to, opened.sha256)

    def notice(self, at: Position, content: bytes) -> bytes:
        return seal_bytes(content, self._context("failure", at), self._recipients("failure"), self.own.signing)

    def read_notice(self, at: Position, sender: str, data: bytes) -> bytes:
        return self._open_bytes("failure", at, sender, data)

    def tell(self, at: Position, lines: str) -> Told:
        if not lines:
            return Told(plain="", wire="")
        pending = self._pending()
        again = pending["plain"] and lines.startswith(pending["plain"])
        if again and pending["at"] == [*at]:
            return Told(plain=pending["plain"], wire=pending["wire"])
        number = pending["number"] if again else pending["number"] + 1
        sealed = seal_bytes(lines.encode(), self._context("lines", at, number=number), self._recipients("lines"), self.own.signing)
        told = Told(plain=lines, wire=base64.b64encode(sealed).decode())
        overwrite(self._lines_file, json.dumps({"number": number, "at": at, "plain": told.plain, "wire": told.wire}).encode())
        return told

    def read_lines(self, sender: str, entries: Iterable[tuple[Position, str]]) -> list[str]:
        texts: list[str] = []
        seen: dict[int, str] = {}
        last = 0
        for at, wire in entries:
            for line in wire.split():
                try:
                    opened, text = self._open(self._expected("lines", at, self._card(sender)), _decoded(line))
                except (SealingError, Untrusted) as error:
                    texts.append(f"(lines that are not this site's were put here: {error})\n")
                    continue
                number = opened.number
                before = seen.setdefault(number, line)
                if number > last + 1:
                    texts.append(f"(the Routing Server has withheld {number - last - 1} batches of lines here)\n")
                elif before != line:
                    texts.append(f"(the site tells number {number} anew: it was cut off, and did not know what had arrived)\n")
                elif number < last:
                    texts.append("(the Routing Server has put lines here that belong further up)\n")
                    continue
                elif number == last:  # what a site does whose lines were not known to have arrived
                    continue
                last = max(last, number)
                texts.append(text.decode("utf-8", "replace"))
        return texts

    def knows(self, file: Path) -> bool:
        return _read_digest(file) is not None

    def ended(self, at: Position) -> bool:
        task = next(task for task in self.manifest.tasks if task["seq"] == at[0])
        stamp = Payload.meta_of(self.folder.model(*at)).get("starfish")
        return at[1] >= task["config"]["total_round"] or (isinstance(stamp, dict) and stamp.get("done") is True)

    def begin_anew(self) -> None:
        for record in self._outbox.glob("*-*-*.json"):
            record.unlink()
        self.store.begin_attempt(self.order.hash)

    def _sealed_before(self, target: Path, record: Path, made_of: Mapping[str, Any]) -> Outgoing | None:
        """The same, where it was sealed already; what a power cut has taken of it is sealed anew."""
        known = _kept(record)
        if known is None or known["made_of"] != made_of or not target.exists() or sha256_of(target) != known["sha256"]:
            return None
        return Outgoing(path=target, size=known["size"], sha256=known["sha256"])

    def _context(self, kind: Kind, at: Position, *, base: str | None = None, number: int = 0, commits: Sequence[str] = ()) -> Context:
        return Context(
            project=self.manifest.project,
            manifest=self.manifest.hash,
            batch=self.order.hash,
            task=at[0],
            round=at[1],
            kind=kind,
            attempt=self.store.attempt(self.order.hash),
            sender=self.own.card.hash,
            base=base,
            number=number,
            commits=tuple(commits),
        )

    def _expected(self, kind: Kind, at: Position, sender: Card, *, base: str | None = None, commit: str | None = None) -> Expectation:
        return Expectation(
            project=self.manifest.project,
            manifest=self.manifest.hash,
            batch=self.order.hash,
            task=at[0],
            round=at[1],
            kind=kind,
            sender=sender,
            base=base,
            attempt=self.store.opened(self.order.hash, sender.hash, kind, *at),
            commit=commit,
        )

    def _recipients(self, kind: Kind) -> list[str]:
        return [self.manifest.group] if kind == "model" else [self.coordinator.recipient, self.own.card.recipient]

    def _openers(self, kind: Kind) -> Sequence[Identity]:
        return [self.group] if kind == "model" else self.identities

    def _open_bytes(self, kind: Kind, at: Position, sender: str, data: bytes) -> bytes:
        try:
            return self._open(self._expected(kind, at, self._card(sender)), data)[1]
        except SealingError as error:
            raise Untrusted(str(error), code=error.code) from error

    def _open(self, expected: Expectation, data: bytes) -> tuple[Context, bytes]:
        """Raises SealingError."""
        opened, content = open_bytes(data, self._openers(expected.kind), expected)
        return opened.context, content

    def _card(self, sender: str | None) -> Card:
        if sender is None:
            return self.coordinator
        if sender not in self.roster:
            raise Untrusted(f"The site {sender} is not in manifest {self.manifest.version} of this project.", code="unknown-member")
        return self.roster[sender]

    def _mark(self, context: Context) -> None:
        self.store.mark_opened(self.order.hash, context.sender, context.kind, context.task, context.round, context.attempt)

    def _own_update(self, at: Position) -> str | None:
        """What this site has sent in a round, by its digest: the round's global model must be of it."""
        record = _kept(self._record("update", at))
        return record["sha256"] if record else None

    def _digests_of_updates(self, at: Position) -> list[str]:
        found = (_read_digest(file) for _, file in self.folder.updates(*at))
        return [digest for digest in found if digest is not None]

    def _digest(self, model: Path) -> str:
        digest = _read_digest(model)
        if digest is None:
            raise Untrusted("The global model that this one follows from is not here, so nothing can be told of it.", code="no-parent")
        return digest

    def _record(self, kind: Kind, at: Position) -> Path:
        """Of what an envelope was made, and its digest."""
        return self._outbox / f"{kind}-{at[0]}-{at[1]}.json"

    @property
    def _outbox(self) -> Path:
        return self.folder.path / "sealed"

    @property
    def _lines_file(self) -> Path:
        return self._outbox / "lines.json"

    def _pending(self) -> dict[str, Any]:
        self._lines_file.parent.mkdir(mode=0o700, exist_ok=True)
        return _kept(self._lines_file) or {"number": 0, "at": [], "plain": "", "wire": ""}


def _kept(file: Path) -> dict[str, Any] | None:
    """What was written there, if a power cut has left it whole."""
    try:
        kept: dict[str, Any] = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return kept


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.seal")


def _write_digest(file: Path, sha256: str) -> None:
    """Not waited for: where a power cut takes it the file is fetched again."""
    _beside(file).write_text(sha256)


def _read_digest(file: Path) -> str | None:
    try:
        digest = _beside(file).read_text()
    except FileNotFoundError:
        return None
    return digest if len(digest) == 64 else None


def _decoded(line: str) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except ValueError:
        raise SealingError("it is no Base64.", code="form") from None
