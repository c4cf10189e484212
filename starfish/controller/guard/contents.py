"""What a thing that may leave is made of: how many numbers, of which shape and size, and whether the audit keeps it whole."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starfish.controller.files import sha256_of
from starfish.tasks.blocks import blocks
from starfish.tasks.payload import ForeignPayload, Payload, number

KEPT_NUMBERS, KEPT_BYTES = 10_000, 1 << 20


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`numbers` and `arrays` (shape, type, Euclidean norm) are of a payload; of other bytes there are none. `kept`: the bytes, if few."""

    size: int
    sha256: str
    numbers: int | None
    arrays: Mapping[str, Mapping[str, Any]]
    kept: bytes | None


def describe(content: bytes | Path, sha256: str | None = None) -> Contents:
    """`sha256`: of a large file, where whoever wrote it has taken it; of what is kept here it is taken anew."""
    if isinstance(content, Path) and (size := content.stat().st_size) > KEPT_BYTES:
        payload = _payload(content)
        digest = sha256 or sha256_of(content)
        return Contents(size=size, sha256=digest, numbers=_count(payload), arrays=_arrays(payload), kept=None)
    data = content.read_bytes() if isinstance(content, Path) else content
    payload = _payload(data)
    count = _count(payload)
    kept = data if (count or 0) <= KEPT_NUMBERS else None
    digest = hashlib.sha256(data).hexdigest()
    return Contents(size=len(data), sha256=digest, numbers=count, arrays=_arrays(payload), kept=kept)


def numbers_of(content: bytes) -> dict[str, Any] | None:
    """What stands in a payload that the audit has kept, for people to read; None for other bytes."""
    payload = _payload(content)
    if payload is None:
        return None
    return {"meta": payload.meta, "arrays": {name: array.tolist() for name, array in payload.arrays.items()}}


def _payload(content: bytes | Path) -> Payload | None:
    try:
        return Payload.map(content) if isinstance(content, Path) else Payload.from_bytes(content)
    except ForeignPayload:
        return None


def _count(payload: Payload | None) -> int | None:
    if payload is None:
        return None
    told = {key: value for key, value in payload.meta.items() if key != "starfish"}  # that one says which task and round it is
    return sum(array.size for array in payload.arrays.values()) + _numbers(told)


def _numbers(value: Any) -> int:
    """Numbers in JSON, wherever they stand."""
    if isinstance(value, Mapping):
        return sum(map(_numbers, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_numbers, value))
    return int(isinstance(value, int | float) and not isinstance(value, bool))


def _arrays(payload: Payload | None) -> dict[str, dict[str, Any]]:
    if payload is None:
        return {}
    return {
        name: {"shape": list(array.shape), "type": str(array.dtype), "norm": number(_norm(array))} for name, array in payload.arrays.items()
    }


def _norm(array: np.ndarray) -> float:
    total = 0.0
    for _, block in blocks(array):
        flat = block if block.dtype.kind == "f" else block.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            total += float(np.einsum("i,i->", flat, flat))  # np.dot would start threads that wait for work in circles
    return math.sqrt(total) if total >= 0 else math.nan
