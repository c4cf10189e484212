"""Large arrays in blocks: what is computed of a block stays in the processor's cache, and a mapped file is not kept in memory."""

import mmap
from collections.abc import Iterator

import numpy as np

Array = np.ndarray
ITEMS = 1 << 14
KEPT, LARGE = 4 << 20, 1 << 16
"""Bytes of a mapped array that stay in memory behind the block that is being read; fewer bytes than LARGE are left where they are."""


def blocks(array: Array, items: int = ITEMS) -> Iterator[tuple[slice, Array]]:
    """Pieces of an array in C order, flat, each with its place; what lies behind is given back."""
    flat = np.ascontiguousarray(array).reshape(-1)
    behind, kept = 0, max(items, KEPT // max(flat.itemsize, 1))
    for start in range(0, flat.size, items):
        yield slice(start, start + items), flat[start : start + items]
        if start + items - behind >= kept:
            give_back(flat[behind : start + items])
            behind = start + items
    give_back(flat[behind:])


def give_back(array: Array) -> None:
    """Take a large mapped array's pages out of memory: the next look reads the file again. Other arrays stay as they are."""
    if array.nbytes < LARGE or not hasattr(mmap, "MADV_DONTNEED"):
        return
    mapping = _mapping(array)
    if mapping is None:
        return
    start = _address(array) - _address(np.frombuffer(mapping, dtype=np.uint8))
    page = start - start % mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, page, start + array.nbytes - page)


def _mapping(array: Array) -> mmap.mmap | None:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, mmap.mmap) else None


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
