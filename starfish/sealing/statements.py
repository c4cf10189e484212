"""Statements: the one form that all signed documents have (docs/spec/keys.md)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from starfish.sealing import canonical
from starfish.sealing.errors import SealingError
from starfish.sealing.fields import Schema, base64_text, check, from_base64

if TYPE_CHECKING:
    from starfish.sealing.keys import SigningKey

Kind = Literal["card", "manifest", "view", "order"]
LIMITS: Mapping[Kind, int] = {"card": 4096, "order": 4096, "manifest": 4 << 20, "view": 4 << 20}
SIGNATURE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A document of the right form; whose it is, `verify` says. `hash`: what it is called by, the same whoever signed it."""

    kind: Kind
    hash: str
    body: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)

    @property
    def signed(self) -> bytes:
        """The first two lines."""
        first, second, _ = self.text.split("\n", 2)
        return f"{first}\n{second}\n".encode("ascii")


def sign(kind: Kind, body: Mapping[str, Any], *keys: "SigningKey") -> Statement:
    """Signed by each of `keys`, in their order. Raises SealingError where the body has no canonical form or is too large."""
    lines = f"starfish/{kind}/1\n{canonical.dumps(body, _name(kind))}\n"
    signed = lines.encode("ascii")
    signatures = tuple(key.sign(signed) for key in keys)
    text = lines + "".join(base64_text(signature) + "\n" for signature in signatures)
    _check_size(kind, len(text))
    return Statement(kind=kind, hash=hashlib.sha256(signed).hexdigest(), body=body, text=text, signatures=signatures)


def read(kind: Kind, text: str | bytes, keys: Schema) -> Statement:
    """Strict about all but whose the signatures are: a card may have two, the others have one. Raises SealingError."""
    _check_size(kind, len(text))
    data = _ascii(kind, text)
    lines = data.split("\n")
    most = 2 if kind == "card" else 1
    if not 4 <= len(lines) <= 3 + most or lines[-1]:
        raise SealingError(f"{_name(kind)} is not of {3 if most == 1 else '3 or 4'} whole lines.", code="form")
    if lines[0] != f"starfish/{kind}/1":
        raise SealingError(f"{_name(kind)} begins with another line than 'starfish/{kind}/1'.", code="form")
    body = canonical.loads(lines[1], _name(kind))
    check(body, keys, _name(kind))
    signatures = tuple(_signature(kind, line) for line in lines[2:-1])
    signed = f"{lines[0]}\n{lines[1]}\n".encode("ascii")
    return Statement(kind=kind, hash=hashlib.sha256(signed).hexdigest(), body=body, text=data, signatures=signatures)


def verify(statement: Statement, public: bytes, position: int = 0) -> None:
    """That the signature at `position` is by the key `public`. Raises SealingError."""
    if position >= len(statement.signatures) or not signed_by(public, statement.signatures[position], statement.signed):
        which = ("", "second ")[position]
        raise SealingError(
            f"The {which}signature of {_name(statement.kind).lower()} is not by the key that must sign it.", code="signature"
        )


def signed_by(public: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _name(kind: Kind) -> str:
    return f"An {kind}" if kind == "order" else f"A {kind}"


def _check_size(kind: Kind, size: int) -> None:
    if size > LIMITS[kind]:
        raise SealingError(f"{_name(kind)} has more than {LIMITS[kind]} bytes.", code="size")


def _ascii(kind: Kind, text: str | bytes) -> str:
    try:
        return text.decode("ascii") if isinstance(text, bytes) else text.encode("ascii").decode("ascii")
    except UnicodeError:
        raise SealingError(f"{_name(kind)} holds something else than ASCII.", code="form") from None


def _signature(kind: Kind, line: str) -> bytes:
    try:
        return from_base64(line, SIGNATURE_BYTES)
    except ValueError:
        raise SealingError(f"A signature of {_name(kind).lower()} is not 64 bytes in Base64.", code="form") from None
