"""A fingerprint of content: the same for the same values, however they are cut into batches or files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fingerprint:
    """A running SHA-256 over record batches of one schema.

    Every column feeds streams of its own (which values are null, lengths, values), so that neither batch borders
    nor buffers' offsets count. Dictionaries count as the values that they stand for, and large layouts as small.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [_Column(field.name, field.type) for field in schema]
        self._rows = 0

    def update(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Take in the rows of ``batch``, in order."""
        self._rows += batch.num_rows
        for column, values in zip(self._columns, batch.columns, strict=True):
            for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
                column.update(chunk)

    def copy(self) -> Fingerprint:
        """Return one of the same rows, which goes on by itself."""
        twin = Fingerprint(pa.schema([]))
        twin._columns, twin._rows = [column.copy() for column in self._columns], self._rows
        return twin

    def hexdigest(self) -> str:
        """Return the fingerprint of all rows so far, 64 hex digits."""
        digest = hashlib.sha256(str(self._rows).encode())
        for column in self._columns:
            digest.update(column.digest())
        return digest.hexdigest()


def fingerprint_of(batches: Iterable[pa.RecordBatch] | pa.Table, schema: pa.Schema) -> str:
    """Return the fingerprint of a table, or of batches of ``schema``."""
    fingerprint = Fingerprint(schema)
    for batch in [batches] if isinstance(batches, pa.Table) else batches:
        fingerprint.update(batch)
    return fingerprint.hexdigest()


class _Column:
    def __init__(self, name: str, kind: pa.DataType) -> None:
        kind = _plain(kind)
        self._about = f"{name}\0{_spelled(kind)}".encode()
        self._nulls, self._lengths, self._values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        self._children = [_Column(*part) for part in _parts(kind)]

    def copy(self) -> _Column:
        twin = _Column("", pa.null())
        twin._about, twin._children = self._about, [child.copy() for child in self._children]
        twin._nulls, twin._lengths, twin._values = (s.copy() for s in (self._nulls, self._lengths, self._values))
        return twin

    def digest(self) -> bytes:
        digest = hashlib.sha256(self._about)
        for stream in (self._nulls, self._lengths, self._values):
            digest.update(stream.digest())
        for child in self._children:
            digest.update(child.digest())
        return digest.digest()

    def update(self, array: pa.Array) -> None:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        self._nulls.update(np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.uint8).tobytes())
        present = array.filter(array.is_valid()) if array.null_count else array
        kind = present.type
        if pa.types.is_struct(kind):
            self._update_children(present.flatten())
        elif pa.types.is_map(kind):
            self._update_lists(present.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))))
        elif pa.types.is_fixed_size_list(kind):
            self._update_children([present.flatten()])
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self._update_lists(present)
        elif _is_text(kind):
            self._update_text(present)
        elif not pa.types.is_null(kind):
            self._values.update(_fixed_width(present))

    def _update_children(self, arrays: list[pa.Array]) -> None:
        for child, values in zip(self._children, arrays, strict=True):
            child.update(values)

    def _update_lists(self, array: pa.Array) -> None:
        self._lengths.update(pc.list_value_length(array).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
        self._update_children([array.flatten()])

    def _update_text(self, array: pa.Array) -> None:
        large = array.cast(pa.large_binary())
        offsets = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
        self._lengths.update(np.diff(offsets).tobytes())
        if len(large) and large.buffers()[2] is not None:
            self._values.update(memoryview(large.buffers()[2])[int(offsets[0]) : int(offsets[-1])])


def _plain(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return _plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _spelled(kind: pa.DataType) -> str:
    if pa.types.is_nested(kind):
        return ""  # its parts say what it is
    return str(kind).removeprefix("large_").removesuffix("_view")


def _parts(kind: pa.DataType) -> list[tuple[str, pa.DataType]]:
    if pa.types.is_struct(kind):
        return [(field.name, field.type) for field in kind]
    if pa.types.is_map(kind):
        return [("[]", pa.struct([("key", kind.key_type), ("value", kind.item_type)]))]
    if pa.types.is_fixed_size_list(kind):
        return [(f"[{kind.list_size}]", kind.value_type)]
    return [("[]", kind.value_type)] if pa.types.is_list(kind) or pa.types.is_large_list(kind) else []


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    views = (getattr(pa.types, "is_string_view", None), getattr(pa.types, "is_binary_view", None))
    return any(check(kind) for check in (*checks, *views) if check is not None)


def _fixed_width(array: pa.Array) -> bytes | memoryview:
    if pa.types.is_boolean(array.type):
        return bytes(array.to_numpy(zero_copy_only=False).astype(np.uint8))
    if not len(array):
        return b""
    width = array.type.bit_width // 8
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]
