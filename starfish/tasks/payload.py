"""Updates and global models as bytes: a format name, then safetensors. Never code.

    STARFISH-PAYL/1\n   16 bytes, so that the arrays stay aligned and can be mapped
    safetensors         the arrays; one metadata entry `meta` holds canonical JSON (sorted keys, floats as repr: exact)

Same payload, same bytes: a kill and a repeat can be compared by digest. Arrays are neither copied when they are written nor when
they are read: they are views of the file, which can't be written to.
"""

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from starfish.tasks.blocks import blocks, give_back
from starfish.tasks.tensors import Damage, Tensor, header_of, read_header

MAGIC = b"STARFISH-PAYL/1\n"
PIECE, SMALL = 1 << 20, 1 << 16


class ForeignPayload(ValueError):
    """Bytes that are not a Starfish payload of this version."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """`meta` is JSON (no NaN, no infinity), `arrays` are float64, float32, int64, int32 or bool of any shape."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes, a piece of at most 1 MiB at a time after the header. Raises ValueError where this is no payload."""
        meta = json.dumps(self.meta, sort_keys=True, separators=(",", ":"), allow_nan=False)
        header, order = header_of(self.arrays, meta)
        yield MAGIC + header
        for name in order:
            array = self.arrays[name]
            for _, block in blocks(array.astype(array.dtype.newbyteorder("<"), copy=False), PIECE // array.dtype.itemsize):
                yield block.data.cast("B")

    def to_bytes(self) -> bytes:
        return b"".join(self.pieces())

    @staticmethod
    def from_bytes(data: bytes | mmap.mmap) -> "Payload":
        """Its arrays are views of `data`. Raises ForeignPayload."""
        meta, tensors = _parsed(data)
        arrays = {name: _view(data, name, tensor) for name, tensor in tensors.items()}
        return Payload(meta=meta, arrays=arrays)

    @staticmethod
    def map(path: Path) -> "Payload":
        """Its arrays are views of the file, which must not be changed in place. Raises ForeignPayload, OSError."""
        return Payload.from_bytes(_mapped(path))

    @staticmethod
    def meta_of(path: Path) -> Mapping[str, Any]:
        """What `map(path).meta` is; the arrays are not looked at. Raises ForeignPayload, OSError."""
        return _parsed(_mapped(path))[0]

    def finite(self) -> bool:
        """Whether every number in the arrays is finite."""
        return all(
            bool(np.isfinite(block).all()) for array in self.arrays.values() if array.dtype.kind == "f" for _, block in blocks(array)
        )

    def give_back(self) -> None:
        """Take mapped arrays out of memory, though they may still be used."""
        for array in self.arrays.values():
            give_back(array)


def _mapped(path: Path) -> bytes | mmap.mmap:
    """The file's bytes; of a small file a copy, which costs less than a mapping."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_size > SMALL:
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        data = os.read(descriptor, SMALL + 1)
    finally:
        os.close(descriptor)
    return data


def _parsed(data: bytes | mmap.mmap) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metadata, and each array's place in `data`."""
    if data[: len(MAGIC)] != MAGIC:
        raise ForeignPayload(f"not a Starfish payload: it begins with {data[:16]!r}, not with {MAGIC!r}")
    try:
        text, tensors = read_header(data, len(MAGIC))
        meta = META.decode(text)
    except (Damage, ValueError) as error:
        raise ForeignPayload(f"a damaged Starfish payload: {error}") from error
    except RecursionError:
        raise ForeignPayload("a damaged Starfish payload: its metadata are nested too deeply") from None
    if not isinstance(meta, dict):
        raise ForeignPayload("a damaged Starfish payload: its metadata are not an object")
    return meta, tensors


def _view(data: bytes | mmap.mmap, name: str, tensor: Tensor) -> np.ndarray:
    if tensor.begin == tensor.end:
        array = np.zeros(tensor.shape, dtype=tensor.dtype)
    else:
        flat = np.frombuffer(data, dtype=tensor.dtype, count=(tensor.end - tensor.begin) // tensor.dtype.itemsize, offset=tensor.begin)
        array = flat.reshape(tensor.shape)
    array.flags.writeable = False
    if tensor.dtype == np.bool_ and any(block.view(np.uint8).max() > 1 for _, block in blocks(array)):
        raise ForeignPayload(f"a damaged Starfish payload: the array {name[:60]!r} has a truth value that is neither 0 nor 1")
    return array


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


META = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def number(value: float) -> float | None:
    """A float for JSON: None where it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None
