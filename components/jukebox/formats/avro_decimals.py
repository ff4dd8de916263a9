"""Decimals as Avro holds them, big-endian two's complement, and as Arrow does, little-endian and of one width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt


def to_decimals(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return binaries of any length as decimals; raises ArrowInvalid for one that ``kind`` cannot hold."""
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    starts, sizes, data = _pieces(array)
    if np.any(sizes[valid] == 0):
        raise pa.ArrowInvalid("a decimal has no bytes")
    width = kind.bit_width // 8
    found = np.zeros((len(array), width), np.uint8)
    for size in np.unique(sizes[valid]).tolist():
        rows = np.flatnonzero(valid & (sizes == size))
        digits = data[starts[rows, None] + np.arange(size)][:, ::-1]
        sign = np.where(digits[:, -1:] & 0x80, 0xFF, 0).astype(np.uint8)
        kept = min(size, width)
        # Bytes beyond the width may only repeat the sign of those within.
        if np.any(digits[:, kept:] != sign) or np.any((digits[:, kept - 1 : kept] ^ sign) & 0x80):
            raise pa.ArrowInvalid(f"a decimal of {size} bytes is too large")
        found[rows, :kept] = digits[:, :kept]
        found[rows, kept:] = sign
    mask = pa.array(valid).buffers()[1]
    decimals = pa.Array.from_buffers(kind, len(array), [mask, pa.py_buffer(found)])
    decimals.validate(full=True)
    return decimals


def from_decimals(array: pa.Array, size: int) -> npt.NDArray[np.uint8]:
    """Return the values one after the other, each in ``size`` bytes; what stands for a null says nothing."""
    if len(array) == 0:
        return np.zeros(0, np.uint8)
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
    return np.ascontiguousarray(
        values.reshape(-1, width)[:, size - 1 :: -1] if size < width else values.reshape(-1, width)[:, ::-1]
    )


def _pieces(array: pa.Array) -> tuple[Any, Any, Any]:
    if pa.types.is_fixed_size_binary(array.type):
        sizes = np.full(len(array), array.type.byte_width, np.int64)
        starts = np.arange(len(array), dtype=np.int64) * array.type.byte_width
        data = array.buffers()[1]
    else:
        ends = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1).astype(np.int64)
        starts, sizes, data = ends[:-1], np.diff(ends), array.buffers()[2]
    return starts, sizes, np.frombuffer(data if data is not None else b"", np.uint8)
