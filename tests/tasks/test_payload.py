"""Payloads are the bytes of the safetensors library, in and out, and what it refuses is refused with a sentence."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from starfish.tasks.payload import MAGIC, ForeignPayload, Payload
from starfish.tasks.tensors import MOST_HEADER

DTYPES = [np.dtype(name) for name in ("float64", "float32", "int64", "int32", "bool")]
NAMES = st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda name: name != "__metadata__")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: arrays_of.arrays(dtype, SHAPES))
PAYLOADS = st.builds(
    lambda meta, arrays: Payload(meta=meta, arrays=arrays),
    st.dictionaries(st.text(max_size=6), JSON, max_size=4),
    st.dictionaries(NAMES, ARRAYS, max_size=6),
)
F8 = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}


def of_the_library(payload: Payload) -> bytes:
    meta = json.dumps(payload.meta, sort_keys=True, separators=(",", ":"), allow_nan=False)
    arrays = {name: np.array(array, order="C") for name, array in sorted(payload.arrays.items())}
    return MAGIC + safetensors.numpy.save(arrays, metadata={"meta": meta})


def written(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A payload of this header, which need not be one."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return MAGIC + (len(text) if length is None else length).to_bytes(8, "little") + text + data


def with_meta(entries: dict[str, Any]) -> dict[str, Any]:
    return {"__metadata__": {"meta": "{}"}, **entries}


def same(one: Payload, other: Payload) -> bool:
    return one.meta == other.meta and {name: (a.dtype, a.shape, a.tobytes()) for name, a in one.arrays.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in other.arrays.items()
    }


@given(PAYLOADS)
def test_the_bytes_are_those_of_the_library_and_come_back(payload: Payload) -> None:
    data = payload.to_bytes()
    assert data == of_the_library(payload)
    assert b"".join(payload.pieces()) == data
    back = Payload.from_bytes(data)
    assert same(back, payload)
    assert back.to_bytes() == data
    for name, array in safetensors.numpy.load(data[len(MAGIC) :]).items():
        assert array.tobytes() == back.arrays[name].tobytes()


@given(PAYLOADS)
def test_arrays_are_aligned_views_that_nobody_can_change(payload: Payload) -> None:
    data = payload.to_bytes()
    start, end = np.frombuffer(data, dtype=np.uint8).ctypes.data, len(data)
    for array in Payload.from_bytes(data).arrays.values():
        assert not array.flags.writeable
        assert array.size == 0 or start <= array.ctypes.data < start + end, "not copied"
        assert array.size == 0 or (array.ctypes.data - start) % array.dtype.itemsize == 0


@given(payload=PAYLOADS)
@settings(max_examples=30)
def test_a_file_is_mapped(payload: Payload, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("mapped") / "file"
    file.write_bytes(payload.to_bytes())
    mapped = Payload.map(file)
    assert same(mapped, payload)
    assert Payload.meta_of(file) == payload.meta
    file.unlink()
    mapped.give_back()
    assert mapped.to_bytes() == payload.to_bytes(), "the file lives as long as its views"


def test_layouts_and_byte_orders_are_written_as_plain_arrays() -> None:
    plain = np.arange(12, dtype=np.float64).reshape(3, 4)
    odd = {"big": plain.astype(">f8"), "fortran": np.asfortranarray(plain), "strided": np.repeat(plain, 2, axis=1)[:, ::2]}
    back = Payload.from_bytes(Payload(arrays=odd).to_bytes())
    assert all((back.arrays[name] == plain).all() and back.arrays[name].dtype == np.float64 for name in odd)


@pytest.mark.parametrize("array", [np.zeros(1, np.float16), np.zeros(1, np.uint8), np.array(["a"]), np.array([None]), np.zeros(1, complex)])
def test_other_types_are_not_written(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="it can be|can be float64"):
        Payload(arrays={"a": array}).to_bytes()


@pytest.mark.parametrize(
    "payload",
    [
        Payload(meta={"a": math.nan}),
        Payload(meta={"a": math.inf}),
        Payload(arrays={"__metadata__": np.zeros(1)}),
        Payload(arrays={"\ud800": np.zeros(1)}),
    ],
)
def test_what_could_not_be_read_is_not_written(payload: Payload) -> None:
    with pytest.raises(ValueError):
        payload.to_bytes()


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "another format": b"PK\x03\x04" + b"\0" * 40,
    "the magic alone": MAGIC,
    "half a length": MAGIC + b"\x08\0\0",
    "no header": written(b""),
    "a huge length": written(b"{}", length=2**64 - 1),
    "a length beyond the limit": written(b"{}", length=MOST_HEADER + 1),
    "a length beyond the end": written(with_meta({}), length=4000),
    "no object": written([]),
    "a space before": written(b" " + json.dumps(with_meta({})).encode()),
    "a byte order mark": written(b"\xef\xbb\xbf" + json.dumps(with_meta({})).encode()),
    "no UTF-8": written(b'{"\xff":1}'),
    "UTF-16": written(json.dumps(with_meta({})).encode("utf-16")),
    "cut JSON": written(b'{"__metadata__":{"meta":"{}"}'),
    "more after": written(json.dumps(with_meta({})).encode() + b"x"),
    "deep": written(b'{"a":' * 100_000),
    "no metadata": written({"a": F8}, bytes(16)),
    "metadata that are none": written({"__metadata__": None}),
    "other metadata": written({"__metadata__": {"meta": "{}", "more": ""}}),
    "meta that is no text": written({"__metadata__": {"meta": {}}}),
    "meta that is no JSON": written({"__metadata__": {"meta": "{"}}),
    "meta that is no object": written({"__metadata__": {"meta": "[]"}}),
    "meta with NaN": written({"__metadata__": {"meta": '{"a":NaN}'}}),
    "meta with infinity": written({"__metadata__": {"meta": '{"a":-Infinity}'}}),
    "meta with a number beyond": written({"__metadata__": {"meta": '{"a":1e999}'}}),
    "meta with a long number": written({"__metadata__": {"meta": '{"a":' + "9" * 5000 + "}"}}),
    "deep meta": written({"__metadata__": {"meta": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"}}),
    "a surrogate in meta": written(b'{"__metadata__":{"meta":"\\ud800"}}'),
    "a surrogate in a name": written(
        b'{"__metadata__":{"meta":"{}"},"\\ud800":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}', bytes(16)
    ),
    "a name twice": written(b'{"__metadata__":{"meta":"{}"},"a":%b,"a":%b}' % ((json.dumps(F8).encode(),) * 2), bytes(16)),
    "a key twice": written(
        b'{"__metadata__":{"meta":"{}"},"a":{"dtype":"F64","dtype":"F64","shape":[2],"data_offsets":[0,16]}}', bytes(16)
    ),
    "an array that is no object": written(with_meta({"a": 3})),
    "a key less": written(with_meta({"a": {"dtype": "F64", "shape": [2]}}), bytes(16)),
    "a key more": written(with_meta({"a": {**F8, "more": 1}}), bytes(16)),
    "another dtype": written(with_meta({"a": {**F8, "dtype": "F16", "shape": [8]}}), bytes(16)),
    "a dtype that is no text": written(with_meta({"a": {**F8, "dtype": ["F64"]}}), bytes(16)),
    "a negative size": written(with_meta({"a": {**F8, "shape": [-2]}}), bytes(16)),
    "two negative sizes": written(with_meta({"a": {**F8, "shape": [-2, -1]}}), bytes(16)),
    "minus nothing": written(b'{"__metadata__":{"meta":"{}"},"a":{"dtype":"F64","shape":[-0],"data_offsets":[0,0]}}'),
    "a size of 2^63": written(with_meta({"a": {**F8, "shape": [2**63]}}), bytes(16)),
    "sizes whose product overflows": written(with_meta({"a": {**F8, "shape": [2**33, 2**33], "data_offsets": [0, 0]}})),
    "an overflow times nothing": written(with_meta({"a": {**F8, "shape": [2**62, 2**62, 0], "data_offsets": [0, 0]}})),
    "many dimensions": written(with_meta({"a": {**F8, "shape": [1] * 70, "data_offsets": [0, 8]}}), bytes(8)),
    "a size that is a truth value": written(with_meta({"a": {**F8, "shape": [True], "data_offsets": [0, 8]}}), bytes(8)),
    "a size with a point": written(with_meta({"a": {**F8, "shape": [2.0]}}), bytes(16)),
    "a shape that is none": written(with_meta({"a": {**F8, "shape": 2}}), bytes(16)),
    "a shape for other bytes": written(with_meta({"a": {**F8, "shape": [3]}}), bytes(16)),
    "one offset": written(with_meta({"a": {**F8, "data_offsets": [0]}}), bytes(16)),
    "offsets turned round": written(with_meta({"a": {**F8, "data_offsets": [16, 0]}}), bytes(16)),
    "offsets beyond the end": written(with_meta({"a": {**F8, "data_offsets": [2**40, 2**40 + 16]}}), bytes(16)),
    "a hole": written(with_meta({"a": F8, "b": {**F8, "data_offsets": [24, 40]}}), bytes(40)),
    "a hole before": written(with_meta({"a": {**F8, "data_offsets": [8, 24]}}), bytes(24)),
    "an overlap": written(with_meta({"a": F8, "b": {**F8, "data_offsets": [8, 24]}}), bytes(24)),
    "the same place twice": written(with_meta({"a": F8, "b": F8}), bytes(16)),
    "a byte less": written(with_meta({"a": F8}), bytes(15)),
    "a byte more": written(with_meta({"a": F8}), bytes(17)),
    "a truth value of 2": written(with_meta({"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}), b"\1\2"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_foreign_file_is_told(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(ForeignPayload) as caught:
        Payload.from_bytes(data)
    assert 20 < len(str(caught.value)) < 400
    with pytest.raises(ForeignPayload) as mapped:
        Payload.map(file)
    assert str(mapped.value) == str(caught.value)


def test_a_file_that_is_cut_is_foreign_wherever_it_is_cut() -> None:
    data = Payload(meta={"a": 1}, arrays={"a": np.arange(5.0), "b": np.ones((2, 2), np.float32), "c": np.zeros(3, bool)}).to_bytes()
    for end in range(len(data)):
        with pytest.raises(ForeignPayload):
            Payload.from_bytes(data[:end])
    with pytest.raises(ForeignPayload):
        Payload.from_bytes(data + b"\0")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(PAYLOADS).to_bytes())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(len(MAGIC), max(len(MAGIC), min(len(data) - 1, 300))))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2) | st.sampled_from([b"0", b"-", b'"', b"]", b"}", b","]))
    return bytes(data)


@given(damaged() | st.binary(max_size=60).map(lambda tail: MAGIC + tail))
@settings(max_examples=400)
def test_what_the_library_refuses_is_refused(data: bytes) -> None:
    try:
        payload = Payload.from_bytes(data)
    except ForeignPayload:
        return
    theirs = safetensors.numpy.load(data[len(MAGIC) :])
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in theirs.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in payload.arrays.items()
    }


def test_large_arrays_are_written_and_read_without_a_copy(tmp_path: Path) -> None:
    size = 48 << 20
    file, other = tmp_path / "file", tmp_path / "other"
    _write(file, Payload(arrays={"a": np.ones(size // 8)}).pieces())
    before = _resident()
    payload = Payload.map(file)
    assert payload.finite()
    _write(other, payload.pieces())
    assert _resident() - before < 12 << 20
    assert other.read_bytes() == file.read_bytes()


def _write(path: Path, pieces: Iterator[bytes | memoryview]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
