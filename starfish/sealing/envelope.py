"""Envelopes: any content, sealed and signed in one pass, opened and verified in one pass (docs/spec/envelope.md)."""

import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from starfish.sealing import age, commitments
from starfish.sealing.age import HEADER_BYTES, Identity, Readable, Writable
from starfish.sealing.context import LONGEST, ContentKind, Context, Expectation
from starfish.sealing.errors import SealingError
from starfish.sealing.keys import SigningKey
from starfish.sealing.statements import SIGNATURE_BYTES, signed_by

__all__ = [
    "ContentKind",
    "Context",
    "Expectation",
    "Opened",
    "Sealed",
    "open_bytes",
    "open_envelope",
    "open_file",
    "padded_commits",
    "seal",
    "seal_bytes",
]

MAGIC = b"starfish-envelope/1\n"
SIGNED = b"starfish/envelope/1\n"
PIECE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An envelope that was written: its size in bytes, and what it is called by."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An envelope that was read. `size`: of the content, in bytes; `sha256`: of the envelope."""

    context: Context
    size: int
    sha256: str


def seal(source: Readable | bytes, target: Writable, context: Context, recipients: Sequence[str], key: SigningKey) -> Sealed:
    """Write the envelope of all of `source`. Raises SealingError, and what the streams raise."""
    if len(recipients) != (1 if context.kind == "model" else 2):
        raise SealingError(
            "A global model is sealed to one recipient, the group; anything else to two, the sender among them.", code="recipients"
        )
    line = context.line()
    output = _Hashing(target)
    output.write(MAGIC)
    age.seal_stream(_After(line, io.BytesIO(source) if isinstance(source, bytes) else source), output, recipients)
    output.write(key.sign(_signed(output.digest.digest(), line)))
    return Sealed(size=output.size, sha256=output.digest.hexdigest())


def open_envelope(source: Readable, target: Writable, identities: Sequence[Identity], expected: Expectation) -> Opened:
    """Write the content; nothing of it is to be used where this raises. Raises SealingError, and what the streams raise."""
    envelope, content = _Unsigned(source, expected.what), _Content(target, expected)
    envelope.begin()
    age.open_stream(envelope, content, identities, expected.what)
    if content.context is None or envelope.read(1):
        raise SealingError(f"{expected.what} is refused: it holds no context, or more than an age file.", code="form")
    if not signed_by(expected.sender.signing, envelope.tail, _signed(envelope.digest.digest(), content.line)):
        raise SealingError(f"{expected.what} is refused: it is not signed by the key of '{expected.sender.name}'.", code="signature")
    envelope.digest.update(envelope.tail)
    return Opened(context=content.context, size=content.size, sha256=envelope.digest.hexdigest())


def open_file(source: Path | Readable, to: Path, identities: Sequence[Identity], expected: Expectation) -> Opened:
    """As `open_envelope`; `to` is there only when all is verified and on the disk. Raises SealingError, and what the streams raise."""
    temporary = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        with ExitStack() as files:
            stream = files.enter_context(source.open("rb", buffering=0)) if isinstance(source, Path) else source
            target = files.enter_context(open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=PIECE))
            opened = open_envelope(stream, target, identities, expected)
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, to)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(to.parent)
    return opened


def seal_bytes(data: bytes, context: Context, recipients: Sequence[str], key: SigningKey) -> bytes:
    """As `seal`, for something small."""
    target = io.BytesIO()
    seal(data, target, context, recipients, key)
    return target.getvalue()


def open_bytes(data: bytes, identities: Sequence[Identity], expected: Expectation) -> tuple[Opened, bytes]:
    """As `open_envelope`, for something small: the content comes second."""
    target = io.BytesIO()
    opened = open_envelope(io.BytesIO(data), target, identities, expected)
    return opened, target.getvalue()


def padded_commits(hashes: Iterable[str]) -> tuple[str, ...]:
    """The `commits` of a global model, from the digests of the updates in it. Raises SealingError."""
    return commitments.padded(hashes)


def _signed(body: bytes, line: bytes) -> bytes:
    """What is signed. `body`: the digest of all that stands before the signature."""
    return SIGNED + body + hashlib.sha256(line).digest()


class _Hashing:
    """A target whose bytes are counted and digested on their way."""

    def __init__(self, target: Writable) -> None:
        self.target, self.size, self.digest = target, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self.target.write(data)


class _After:
    """A line, then a source, a piece at a time."""

    def __init__(self, line: bytes, source: Readable) -> None:
        self.ready, self.at, self.source = line, 0, source

    def read(self, size: int) -> bytes:
        if self.at == len(self.ready):
            self.ready, self.at = self.source.read(PIECE), 0
        part = self.ready[self.at : self.at + size]
        self.at += len(part)
        return part


class _Unsigned:
    """The age file in an envelope. `digest`: of all that was given out, and the first line; `tail`: at the end, the signature."""

    def __init__(self, source: Readable, what: str) -> None:
        self.source, self.what, self.digest = source, what, hashlib.sha256()
        self.ready, self.at, self.tail, self.ended = b"", 0, b"", False

    def begin(self) -> None:
        """Read the first line, and look at the header before anybody parses it. Raises SealingError."""
        pieces = b""
        while len(pieces) < len(MAGIC) + HEADER_BYTES and not self.ended:
            self._fill()
            pieces += self.ready
        if not pieces.startswith(MAGIC):
            raise SealingError(f"{self.what} is refused: it is no envelope of version 1.", code="form")
        age.check_header(pieces[len(MAGIC) :], self.what)
        self.ready, self.at = pieces, len(MAGIC)

    def read(self, size: int) -> bytes:
        if self.at == len(self.ready):
            self._fill()
        part = self.ready[self.at : self.at + size]
        self.at += len(part)
        return part

    def _fill(self) -> None:
        """The next bytes of which it is known that they are not the signature's."""
        self.ready, self.at = b"", 0
        while not self.ready and not self.ended:
            piece = self.source.read(PIECE)
            self.ended = not piece
            whole = self.tail + piece
            self.ready, self.tail = whole[:-SIGNATURE_BYTES], whole[-SIGNATURE_BYTES:]
        self.digest.update(self.ready)


class _Content:
    """A plaintext: its first line is compared with what is expected before anything behind it is written."""

    def __init__(self, target: Writable, expected: Expectation) -> None:
        self.target, self.expected, self.size, self.line = target, expected, 0, b""
        self.context: Context | None = None

    def write(self, data: bytes) -> None:
        if self.context is None:
            data = self._read_line(data)
        self.size += len(data)
        if data:
            self.target.write(data)

    def _read_line(self, data: bytes) -> bytes:
        """What stands behind the line, if it has ended. Raises SealingError."""
        head, end, rest = data.partition(b"\n")
        self.line += head + end
        if len(self.line) > LONGEST:
            raise SealingError(f"{self.expected.what} is refused: its context has more than {LONGEST} bytes.", code="size")
        if end:
            self.context = Context.parse(self.line)
            self.expected.check(self.context)
        return rest


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
