"""The header of a safetensors file, written and read: so that arrays go into a file and come out of it without a copy.

Format: https://github.com/huggingface/safetensors. Eight bytes of length, little-endian; that many bytes of a JSON object, which names
each array's dtype, shape and place, filled up with spaces to a multiple of eight; the arrays. Written are the very bytes that
the safetensors library writes; what it refuses is refused, and much that it lets pass (docs/adr/0015-own-tensor-headers.md).
"""

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

METADATA = "__metadata__"
DTYPES = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "I32": "<i4", "BOOL": "?"}
"""By falling alignment, as the library orders arrays: each is aligned to its items."""
LENGTH, MOST_HEADER, MOST_DIMENSIONS, MOST_ITEMS = 8, 100_000_000, 32, 2**59
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}
ORDER = {name: place for place, name in enumerate(DTYPES)}


class Damage(Exception):
    """The bytes are no such file; says why, as the end of a sentence."""


class TooMuchText(ValueError):
    """Names and metadata are more than a header may hold; says how much."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An array's type, shape and place [begin, end) in the bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def header_of(arrays: Mapping[str, np.ndarray], meta: str) -> tuple[bytes, list[str]]:
    """The bytes before the arrays, and in which order these follow. Raises ValueError for another dtype, or a name that can't be."""
    types = {name: _type(name, array) for name, array in arrays.items()}
    order = sorted(arrays, key=lambda name: (ORDER[types[name]], name.encode()))
    entries: dict[str, Any] = {METADATA: {"meta": meta}}
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        entries[name] = {"dtype": types[name], "shape": list(arrays[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise TooMuchText(f"{len(text)} bytes; {MOST_HEADER} are the most")
    return len(text).to_bytes(LENGTH, "little") + text, order


def read_header(data: bytes | mmap.mmap, start: int) -> tuple[str, dict[str, Tensor]]:
    """The metadata entry `meta` and the arrays of the file that begins at `start` and ends with `data`. Raises Damage."""
    length = int.from_bytes(data[start : start + LENGTH], "little")
    begin = start + LENGTH + length
    if len(data) < start + LENGTH:
        raise Damage("it ends before its header")
    if length > MOST_HEADER:
        raise Damage(f"its header is said to be {length} bytes long; {MOST_HEADER} are the most")
    if begin > len(data):
        raise Damage(f"it ends within its header, which is said to be {length} bytes long")
    entries = _entries(data[start + LENGTH : begin])
    meta = entries.pop(METADATA, None)
    if not isinstance(meta, dict) or set(meta) != {"meta"} or not _is_text(meta["meta"]):
        raise Damage("its metadata are not one text 'meta'")
    tensors = {name: _tensor(name, entry, begin) for name, entry in entries.items()}
    end = begin
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != end:
            raise Damage(f"the array {name[:60]!r} does not begin where the one before it ends")
        end = tensor.end
    if end != len(data):
        raise Damage(f"its arrays end at byte {end}, and the file at byte {len(data)}")
    return meta["meta"], tensors


def _type(name: str, array: np.ndarray) -> str:
    found = NAMES.get(array.dtype.newbyteorder("<"))
    if found is None:
        raise ValueError(f"the array {name!r} is of type {array.dtype}; in a payload it can be float64, float32, int64, int32 or bool")
    if name == METADATA:
        raise ValueError(f"no array of a payload can have the name {METADATA}")
    return found


def _entries(header: bytes) -> dict[str, Any]:
    if header[:1] != b"{":
        raise Damage("its header is no JSON object")
    try:
        entries: dict[str, Any] = HEADER.decode(header.decode())
    except ValueError as error:
        raise Damage(f"its header is no JSON that can be read ({error})") from error
    except RecursionError:
        raise Damage("its header is nested too deeply") from None
    return entries


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    said = f"the array {name[:60]!r}"
    if not _is_text(name) or not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Damage(f"{said} is not described by dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise Damage(f"{said} is of type {str(entry['dtype'])[:20]!r}, not one of {', '.join(DTYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_numbers(shape) or len(shape) > MOST_DIMENSIONS or math.prod(max(size, 1) for size in shape) > MOST_ITEMS:
        raise Damage(f"{said} has a shape that is none")
    if not _are_numbers(offsets) or len(offsets) != 2:
        raise Damage(f"{said} has a place that is none")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    if offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        raise Damage(f"{said} takes {offsets[1] - offsets[0]} bytes, and its shape {math.prod(shape) * dtype.itemsize}")
    return Tensor(dtype=dtype, shape=tuple(shape), begin=start + offsets[0], end=start + offsets[1])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name stands in it twice")
    return entries


def _natural(text: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ValueError(f"{text[:20]} is no size")
    return int(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:20]} is no whole number")


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _is_text(value: Any) -> bool:
    """Whether it is a text, and one that UTF-8 can hold."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


HEADER = json.JSONDecoder(object_pairs_hook=_once, parse_int=_natural, parse_float=_no_number, parse_constant=_no_number)
