"""Lists of commitments of a fixed length: who or what is in one finds itself, and nobody learns how many there are."""

import hashlib
import secrets
from collections.abc import Iterable

from starfish.sealing.errors import SealingError
from starfish.sealing.fields import SIZES


def padded(hashes: Iterable[str]) -> tuple[str, ...]:
    """In ascending order among random ones: 64 in all, or 512, or 4096. Raises SealingError."""
    known = set(hashes)
    size = next((size for size in SIZES if len(known) <= size), None)
    if size is None:
        raise SealingError(f"There are {len(known)} to commit to, and room for {SIZES[-1]}.", code="size")
    while len(known) < size:
        known.add(secrets.token_hex(32))
    return tuple(sorted(known))


def member(salt: str, card: str) -> str:
    """What commits to a member: `salt` and the hash of its `card`, in hexadecimal."""
    return hashlib.sha256(b"starfish/member/1\n" + bytes.fromhex(salt) + bytes.fromhex(card)).hexdigest()
