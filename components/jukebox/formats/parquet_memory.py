"""How many rows of a row group may be held at once: a small file may unpack to more than the machine has.

Twice values hide behind little: in a page that is packed, and in a dictionary one long value of which stands for all
rows. What a footer says of both is compared with a limit before any page is read, and dictionaries of long values are
looked into: those whose values have 512 bytes or more on average, for looking costs as much as half of reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidValue
from jukebox.formats.files import reading
from jukebox.formats.parquet_opening import reopened
from jukebox.formats.parquet_pages import HEADER_BYTES, dictionary_page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow.parquet as pq

    from jukebox.formats.parquet_members import Member
    from jukebox.formats.parquet_opening import File
    from jukebox.storage import Place

# One column of one row group, unpacked, and a batch.
LIMIT = 1 << 30
LONG = 512
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}


def rows_at_once(
    member: Member, file: pq.ParquetFile, group: int, columns: Collection[str], most: int, *, kept: Collection[str] = ()
) -> int:
    """Return how many rows of these columns a batch may have, ``most`` at the most; those ``kept`` stay encoded.

    Raises InvalidValue, naming file, row group and column, where a column unpacks to more than 1 GiB.
    """
    path = member.path
    about = file.metadata.row_group(group)
    rows = max(1, about.num_rows)
    width = 0.0
    for at, name in _leaves(member.schema, columns):
        chunk, kind = about.column(at), file.schema.column(at)
        size = max(_WIDTHS.get(chunk.physical_type, kind.length), 1)
        nested = kind.max_repetition_level > 0
        unpacked = max(chunk.total_uncompressed_size, chunk.num_values * size if nested else 0)
        _require(path, group, name, unpacked)
        hides = chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page and name not in kept
        if hides and chunk.num_values * chunk.total_uncompressed_size > LIMIT:
            longest = _longest(path, file, group, at, name) if _is_long(path, chunk) else 0
            if nested:
                _require(path, group, name, chunk.num_values * longest)
            unpacked = max(unpacked, chunk.num_values * longest)
        width += max(unpacked / rows, 0 if nested else size)
    return max(1, min(most, int(LIMIT / max(width, 1))))


def _require(path: Place | File, group: int, name: str, size: int) -> None:
    if size > LIMIT:
        raise InvalidValue(
            f"{path} unpacks to {size:,} bytes in column '{name}' of row group {group}, and {LIMIT:,} is the most; "
            "write it again in smaller row groups"
        )


def _leaves(schema: pa.Schema, columns: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield the numbers of the columns that Parquet keeps for these, and their names."""
    at = 0
    for field in schema:
        count = _leaf_count(field.type)
        if field.name in columns:
            yield from ((at + more, field.name) for more in range(count))
        at += count


def _leaf_count(kind: pa.DataType) -> int:
    if pa.types.is_map(kind):
        return _leaf_count(kind.key_type) + _leaf_count(kind.item_type)
    if pa.types.is_struct(kind):
        return sum(_leaf_count(kind.field(at).type) for at in range(kind.num_fields))
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return _leaf_count(kind.value_type) if any(each(kind) for each in is_list) else 1


def _is_long(path: Place | File, chunk: pq.ColumnChunkMetaData) -> bool:
    """Return whether a dictionary may hold values so long that it is to be looked into."""
    with reading(path, "Parquet"), path.open("rb") as stream:
        stream.seek(chunk.dictionary_page_offset)
        page = dictionary_page(stream.read(HEADER_BYTES))
    if page is None or page.values < 1:
        return True
    # A value comes with its length, of four bytes.
    return (page.size - 4 * page.values) * chunk.num_values > LIMIT and page.size > LONG * page.values


def _longest(path: Place | File, file: pq.ParquetFile, group: int, at: int, name: str) -> int:
    """Return the bytes of the longest value that a column's dictionary holds, 0 where its rows are not encoded."""
    leaf = file.metadata.row_group(group).column(at).path_in_schema
    looked = reopened(path, file.metadata, [leaf])
    with reading(path, "Parquet"):
        first = next(looked.iter_batches(1, row_groups=[group], columns=[leaf], use_threads=False), None)
        values = None if first is None else _dictionary(first.column(first.schema.get_field_index(name)))
        return 0 if values is None else pc.max(pc.binary_length(values)).as_py() or 0


def _dictionary(column: Any) -> pa.Array | None:
    while not pa.types.is_dictionary(column.type):
        if pa.types.is_map(column.type):
            return None
        if pa.types.is_struct(column.type) and column.type.num_fields == 1:
            column = column.field(0)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            column = column.values
        else:
            return None
    return column.dictionary
