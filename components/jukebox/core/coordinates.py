"""Where the cell of a row lies in a wide-column table: its row key, its timestamp, and its rank within that.

::

    row key    = salt | entity | key       salt: 1 byte, the lowest of the CRC-32 of the rest, spreads neighbours
                                           entity, key: core.rowkeys, so that they can be read back and sort
    timestamp  = the event time in whole milliseconds since 1970, told in microseconds as Bigtable counts
    rank       = what is left of (event, created): 3 bytes of ticks beyond the millisecond, then, where the layout
                 has a created time, 8 bytes of it, big-endian, sign bit flipped, zero where it is null

Of two rows of a key the newer has the greater (timestamp, rank). The rank is empty, and the row plain, where
nothing is left: the event time is in whole milliseconds and there is no created time.

A cell's column holds the rank, so that no two rows of a key but those of equal (event, created) lie in one place,
and none is lost to another in whatever order they are written::

    qualifier  = table @ version, 0x01 and the feature where it has a cell of its own, 0x00 and the rank where not plain
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np

from jukebox.core import rowkeys
from jukebox.core.asof_times import LOWEST, clock, ticks
from jukebox.core.ragged import Ragged, fixed, joined, numbers, of_binary
from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from jukebox.core.layouts import Layout

_UNITS = {1: "ns", 10**3: "us", 10**6: "ms", 10**9: "s", 86_400 * 10**9: "D"}
_SALTS = [bytes([salt]) for salt in range(256)]
_BLANK = 0x20
_MILLISECOND = 10**6  # nanoseconds
_LAST = 253_402_300_799_999  # the last millisecond of the year 9999


class Coordinates(NamedTuple):
    """Row key, timestamp in microseconds and rank of each row."""

    keys: list[bytes]
    stamps: list[int]
    ranks: list[bytes]


def row_key(entity: str, key: bytes) -> bytes:
    """Return the row key of one encoded key of ``entity``.

    >>> row_key("user", rowkeys.encode_one([7])).hex()
    '5728757365720001110000000000000007'
    """
    plain = _start(entity) + key
    return _SALTS[crc32(plain) & 0xFF] + plain


@lru_cache(maxsize=1_024)
def _start(entity: str) -> bytes:
    return rowkeys.encode_one([entity])


def entity_and_key(raw: bytes) -> tuple[str, tuple[Any, ...]]:
    """Return the entity and the key that a row key was made of; raises CorruptData where it is none."""
    entity, *key = rowkeys.decode(raw[1:])
    return entity, tuple(key)


def prefixes(entity: str) -> list[bytes]:
    """Return what the row keys of ``entity`` begin with: one for each salt."""
    return [salt + _start(entity) for salt in _SALTS]


@lru_cache(maxsize=1_024)
def column(table: str, version: int) -> bytes:
    """Return what the qualifiers of a table's version begin with.

    Raises InvalidValue for a name with control characters, or none.
    """
    if table == "" or any(ord(letter) < _BLANK for letter in table):
        raise InvalidValue(f"{table!r} is no name of an online table; it is text without control characters")
    return f"{table}@{version}".encode()


def qualifier(of: bytes, feature: bytes, rank: bytes) -> bytes:
    """Return the qualifier of a cell in the column ``of``; ``feature`` is empty where one cell holds all."""
    head = of + b"\1" + feature if feature else of
    return head + b"\0" + rank if rank else head


def parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the column, feature and rank that ``qualifier`` put together."""
    head, _, rank = raw.partition(b"\0")
    of, _, feature = head.partition(b"\1")
    return of, feature, rank


def coordinates(layout: Layout, rows: pa.Table) -> Coordinates:
    """Return where the cells of ``rows`` lie, which have passed ``check_times``."""
    start = _start(layout.entity)
    plain = [start + key for key in of_binary(rowkeys.encode(rows, layout.key_names)).to_bytes()]
    keys = [_SALTS[crc32(key) & 0xFF] + key for key in plain]
    stamps, rest = _event(layout, rows)
    return Coordinates(keys, (stamps * 1_000).tolist(), _ranks(layout, rows, rest))


def check_times(layout: Layout, rows: pa.Table) -> None:
    """Raise InvalidValue for an event before 1970 or after 9999."""
    if not layout.timed:
        return
    name = layout.time_names[0]
    raw, _ = ticks(rows[name])
    early, late = raw < 0, raw > _LAST * _MILLISECOND // _tick(layout)
    if early.any() or late.any():
        # Beyond the year 9999 there is no datetime.
        first = np.datetime64(int(raw[early | late][0]), _UNITS[_tick(layout)])
        raise InvalidValue(
            f"event time '{name}' holds {int(early.sum()):,} values before 1970 and {int(late.sum()):,} after 9999, "
            f"the first is {first}; a Bigtable timestamp begins in 1970"
        )


def _event(layout: Layout, rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not layout.timed:
        return np.zeros(rows.num_rows, np.int64), np.zeros(rows.num_rows, np.int64)
    raw, tick = ticks(rows[layout.time_names[0]])[0], _tick(layout)
    if tick >= _MILLISECOND:
        return raw * (tick // _MILLISECOND), np.zeros(len(raw), np.int64)
    whole, rest = np.divmod(raw, _MILLISECOND // tick)
    return np.asarray(whole, np.int64), np.asarray(rest, np.int64)


def _tick(layout: Layout) -> int:
    found = clock(layout.schema.field(layout.time_names[0]).type)
    if found is None:
        raise InvalidType(f"event time '{layout.time_names[0]}' is no time")
    return found.tick


def _ranks(layout: Layout, rows: pa.Table, rest: NDArray[np.int64]) -> list[bytes]:
    told = rest != 0
    parts = [Ragged(numbers(rest, ">u4").data.reshape(-1, 4)[:, 1:].reshape(-1), np.arange(len(rest) + 1) * 3)]
    if layout.created:
        created, known = ticks(rows[layout.time_names[1]])
        told = told | known
        parts.append(numbers(np.where(known, created, LOWEST) ^ np.int64(LOWEST), ">i8"))
    if not told.any():
        return [b""] * len(rest)
    ranks = joined(parts)
    width = ranks.width or 0
    return fixed(ranks.data.reshape(-1, width)[told]).spread(told).to_bytes()
