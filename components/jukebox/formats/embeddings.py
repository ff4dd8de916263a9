"""Lists of a fixed size, with nulls among them, in formats that only know lists.

pyarrow 10 writes a null among lists of a fixed size to Parquet so that nobody can read the file again. The
columns are therefore written as plain lists, and a note in the field's metadata brings the size back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    import numpy.typing as npt

SIZE = b"jukebox.list_size"


def loosened(field: pa.Field) -> pa.Field:
    """Return the field as a plain list that remembers its size, or as it is where it has no fixed size."""
    if not pa.types.is_fixed_size_list(field.type):
        return field
    size = str(field.type.list_size).encode()
    kind = pa.list_(field.type.value_type)
    return pa.field(field.name, kind, field.nullable, metadata={SIZE: size})


def tightened(field: pa.Field) -> pa.Field:
    """Return the field with the size that it remembers; other notes of the file mean nothing outside of it."""
    size = (field.metadata or {}).get(SIZE)
    kind = field.type
    if size is not None and pa.types.is_list(kind):
        kind = pa.list_(kind.value_type, int(size))
    return pa.field(field.name, kind, field.nullable)


def loose(array: pa.Array) -> pa.Array:
    """Return lists of a fixed size as plain lists, and any other array as it is."""
    if not pa.types.is_fixed_size_list(array.type):
        return array
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.cumsum(valid * array.type.list_size)]).astype(np.int32)
    buffers = [pa.array(valid).buffers()[1], pa.py_buffer(starts)]
    values = array.drop_null().flatten()
    return pa.Array.from_buffers(pa.list_(array.type.value_type), len(array), buffers, children=[values])


def tight(array: pa.Array, field: pa.Field) -> pa.Array:
    """Return lists under the fixed size of ``field``, and any other array as it is."""
    if not pa.types.is_fixed_size_list(field.type) or array.type.equals(field.type):
        return array
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return fixed(array.flatten(), counts, array.is_valid().to_numpy(zero_copy_only=False), field)


def fixed(
    values: pa.Array,
    counts: npt.NDArray[np.signedinteger[Any]],
    valid: npt.NDArray[np.bool_],
    field: pa.Field,
) -> pa.Array:
    """Return the values of the valid rows as lists of the field's size; InvalidValue for another count."""
    size = field.type.list_size
    wrong = counts[valid & (counts != size)]
    if len(wrong) > 0:
        raise InvalidValue(f"column '{field.name}' is declared {field.type} and a row holds {wrong[0]} values")
    if not valid.all():
        places = np.cumsum(np.repeat(valid, size)) - 1
        values = values.take(pa.array(places, mask=np.repeat(~valid, size)))
    mask = pa.array(valid).buffers()[1]
    return pa.Array.from_buffers(field.type, len(counts), [mask], children=[values])
