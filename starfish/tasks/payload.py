"""Updates and global models as bytes: a format name, then safetensors. Never code.

    STARFISH-PAYL/1\n   16 bytes, so that the arrays stay aligned and can be mapped
    safetensors         the arrays; one metadata entry `meta` holds canonical JSON (sorted keys, floats as repr: exact)

Same payload, same bytes: a kill and a repeat can be compared by digest.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

MAGIC = b"STARFISH-PAYL/1\n"


class ForeignPayload(ValueError):
    """Bytes that are not a Starfish payload of this version."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """`meta` is JSON (no NaN, no infinity), `arrays` are float64, float32, int64, int32 or bool of any shape."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        meta = json.dumps(self.meta, sort_keys=True, separators=(",", ":"), allow_nan=False)
        arrays = {name: np.array(self.arrays[name], order="C") for name in sorted(self.arrays)}
        return MAGIC + safetensors.numpy.save(arrays, metadata={"meta": meta})

    @staticmethod
    def from_bytes(data: bytes) -> "Payload":
        """Raises ForeignPayload."""
        if data[: len(MAGIC)] != MAGIC:
            raise ForeignPayload(f"not a Starfish payload: it begins with {data[:16]!r}, not with {MAGIC!r}")
        body = bytes(data[len(MAGIC) :])
        try:
            arrays = safetensors.numpy.load(body)
            size = int.from_bytes(body[:8], "little")
            header = json.loads(body[8 : 8 + size])
            meta = json.loads(header["__metadata__"]["meta"], parse_constant=_refuse_constant)
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ForeignPayload(f"a damaged Starfish payload: {error}") from error
        if not isinstance(meta, dict):
            raise ForeignPayload("a damaged Starfish payload: its metadata are not an object")
        return Payload(meta=meta, arrays=arrays)

    def finite(self) -> bool:
        """Whether every number in the arrays is finite."""
        return all(bool(np.isfinite(array).all()) for array in self.arrays.values() if array.dtype.kind == "f")


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def number(value: float) -> float | None:
    """A float for JSON: None where it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None
