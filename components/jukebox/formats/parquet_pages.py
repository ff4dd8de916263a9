"""The header of a Parquet dictionary page: how many values it holds, and in how many bytes.

A header is a Thrift structure in the compact protocol, described with the Parquet format: ``PageHeader`` has the
unpacked size in field 2 and the ``DictionaryPageHeader`` in field 7, whose field 1 is the number of values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES = 64
_I32, _STRUCT = 5, 12
_SIZE, _DICTIONARY, _COUNT = 2, 7, 1


class DictionaryPage(NamedTuple):
    """What a page's header tells: its bytes when it is unpacked, and its values."""

    size: int
    values: int


def dictionary_page(head: bytes) -> DictionaryPage | None:
    """Return what the first bytes of a page tell, None where they are no header of a dictionary."""
    content, number, size = iter(head), 0, None
    try:
        while kind := next(content):
            # A field's number is told by its distance to the one before.
            number += kind >> 4
            if number == _DICTIONARY and kind & 15 == _STRUCT and size is not None:
                inner = next(content)
                return DictionaryPage(size, _whole(content)) if inner == _COUNT << 4 | _I32 else None
            if kind & 15 != _I32 or kind >> 4 == 0:
                return None
            value = _whole(content)
            size = value if number == _SIZE else size
    except StopIteration:
        return None
    return None


def _whole(content: Iterator[int]) -> int:
    """Return a number of seven bits a byte, the smallest first, whose last bit is its sign."""
    value = shift = 0
    while True:
        byte = next(content)
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - the eighth bit says that there are more
            return value >> 1 ^ -(value & 1)
