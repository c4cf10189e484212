"""age: who can read what. Its Python binding is used here alone.

A recipient whose key is a point of low order would make the binding end the process's call with a panic; it is refused when it is read.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import pyrage  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from starfish.sealing.errors import SealingError
from starfish.sealing.fields import Field, succeeds

HEADER_BYTES = 8192
"""At most so much of an age file is searched for the end of its header: a longer one costs the time of its square."""
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Readable(Protocol):
    """`read` gives at most `size` bytes, and none at the end alone."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """`write` takes all that it is given."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What opens: `text` as in an age identity file, and what others seal to."""

    text: str = field(repr=False)
    recipient: str

    @staticmethod
    def generate() -> "Identity":
        return Identity.parse(str(pyrage.x25519.Identity.generate()))

    @staticmethod
    def parse(text: str) -> "Identity":
        """Raises ValueError, without the text."""
        try:
            native = pyrage.x25519.Identity.from_str(text)
        except pyrage.IdentityError:
            native = None
        if native is None or str(native) != text:
            raise ValueError("no age identity")
        return Identity(text=text, recipient=str(native.to_public()))


@lru_cache(maxsize=1024)
def native_recipient(text: str) -> pyrage.x25519.Recipient:
    """Raises ValueError."""
    try:
        recipient = pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ValueError("no age recipient") from error
    if str(recipient) != text:
        raise ValueError("an age recipient that is written in another way")
    X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(_bytes(text)))
    return recipient


def seal_stream(source: Readable, target: Writable, recipients: Sequence[str]) -> None:
    """One age file of all of `source`, in constant memory. Raises SealingError, and what the streams raise."""
    native, ends = _native(recipients), _Ends(source=source, target=target)
    try:
        pyrage.encrypt_io(ends, ends, native)
    except (pyrage.EncryptError, OSError):
        if ends.error is not None:
            raise ends.error from None
        raise SealingError("Something cannot be sealed to these recipients.", code="recipients") from None


def open_stream(source: Readable, target: Writable, identities: Sequence[Identity], what: str) -> None:
    """What the age file `source` holds, in constant memory; of no worth where this raises SealingError, or what the streams raise."""
    native, ends = [pyrage.x25519.Identity.from_str(identity.text) for identity in identities], _Ends(source=source, target=target)
    try:
        pyrage.decrypt_io(ends, ends, native)
    except (pyrage.DecryptError, OSError):
        if ends.error is not None:
            raise ends.error from None
        raise SealingError(f"{what} does not open: it was sealed to somebody else, damaged or cut.", code="decryption") from None


def seal_to(data: bytes, recipients: Sequence[str]) -> bytes:
    """An age file of something small. Raises SealingError."""
    target = io.BytesIO()
    seal_stream(io.BytesIO(data), target, recipients)
    return target.getvalue()


def open_with(data: bytes, identities: Sequence[Identity], what: str, limit: int) -> bytes:
    """What an age file of at most `limit` bytes holds. Raises SealingError."""
    if len(data) > limit:
        raise SealingError(f"{what} has more than {limit} bytes.", code="size")
    check_header(data, what)
    target = io.BytesIO()
    open_stream(io.BytesIO(data), target, identities, what)
    return target.getvalue()


def check_header(beginning: bytes, what: str) -> None:
    """That an age file's header ends within the bounds. Raises SealingError."""
    if not beginning.startswith(b"age-encryption.org/v1\n") or beginning.find(b"\n--- ", 0, HEADER_BYTES) < 0:
        raise SealingError(f"{what} holds no age file with a header of at most {HEADER_BYTES} bytes.", code="form")


@dataclass(kw_only=True)
class _Ends:
    """Both ends of a stream. An error of theirs is kept, because the binding makes words of it, and tries to write once more."""

    source: Readable
    target: Writable
    error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            return self.source.read(size)
        except BaseException as error:
            self.error = error
            raise

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        try:
            self.target.write(data)
        except BaseException as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is kept here."""


def _native(recipients: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """Raises SealingError."""
    try:
        return [native_recipient(text) for text in recipients]
    except ValueError:
        raise SealingError("Something is to be sealed to what is no age recipient.", code="recipients") from None


def _bytes(recipient: str) -> bytes:
    """The key in a recipient whose checksum has been verified: five bits a letter, without the six of the checksum."""
    number = 0
    for letter in recipient[len("age1") : -6]:
        number = number << 5 | ALPHABET.index(letter)
    return (number >> 4).to_bytes(32, "big")


RECIPIENT = Field(what="age recipient", holds=succeeds(native_recipient))
IDENTITY = Field(what="age identity", holds=succeeds(Identity.parse))
