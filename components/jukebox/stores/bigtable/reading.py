"""From entities to row keys, and from the cells that were found back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.core import coordinates
from jukebox.errors import CorruptData
from jukebox.stores.bigtable import cells
from jukebox.stores.bigtable.writing import LONGEST_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jukebox.core.layouts import Layout, Row
    from jukebox.stores.bigtable.connection import Connection

    # From row key to column to feature, empty where one cell holds all.
    Found = dict[bytes, dict[bytes, dict[bytes, bytes]]]


class Question:
    """What several tables, of a version and layout each, are asked for: the same row keys once, in one request."""

    def __init__(self, asked: Sequence[tuple[bytes, Layout, Sequence[Mapping[str, Any]]]]) -> None:
        self._plan = [
            (column, layout, keys) for (column, layout, _), keys in zip(asked, _addresses(asked), strict=True)
        ]
        self._columns = dict.fromkeys(column for column, _, _ in asked)

    @property
    def requests(self) -> list[Any]:
        """The row keys and their filter, as ``cells.read`` takes them; nothing where all keys are null."""
        wanted = list({key for _, _, keys in self._plan for key in keys if key is not None})
        return [(wanted, cells.columns_filter(list(self._columns)))] if wanted else []

    def answers(self, found: Mapping[bytes, Sequence[cells.Cell]]) -> list[list[Row | None]]:
        """Return the row of each entity of each table; raises CorruptData."""
        rows = {key: _newest(row, self._columns) for key, row in found.items()}
        return [[_row(layout, rows, key, column) for key in keys] for column, layout, keys in self._plan]


def keys_of(connection: Connection, entity: str) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of all rows of an entity; raises gRPC's errors."""
    for key, _ in cells.scan(connection, coordinates.prefixes(entity), cells.PLACES):
        yield coordinates.entity_and_key(key)[1]


def _addresses(asked: Sequence[tuple[bytes, Layout, Sequence[Mapping[str, Any]]]]) -> Iterator[list[bytes | None]]:
    # Tables of one entity are asked with one and the same list, whose keys are worked out once.
    known: dict[tuple[Any, ...], list[bytes | None]] = {}
    for _, layout, entities in asked:
        same = id(entities), layout.addressing
        if same not in known:
            known[same] = [_address(layout, entity) for entity in entities]
        yield known[same]


def _address(layout: Layout, entity: Mapping[str, Any]) -> bytes | None:
    key = layout.row_key(entity)
    address = None if key is None else coordinates.row_key(layout.entity, key)
    # No row can have a longer key, and Bigtable would refuse to look for it.
    return None if address is None or len(address) > LONGEST_KEY else address


def _newest(row: Sequence[cells.Cell], plain: Mapping[bytes, None]) -> dict[bytes, dict[bytes, bytes]]:
    """Return the cells of each column's newest row, by feature; a qualifier in ``plain`` has no rank and no feature."""
    if all(cell.qualifier in plain for cell in row):
        return {cell.qualifier: {b"": cell.value} for cell in row}
    best: dict[bytes, tuple[tuple[int, bytes], dict[bytes, bytes]]] = {}
    for cell in row:
        of, feature, rank = coordinates.parts(cell.qualifier)
        place = cell.stamp, rank
        if of not in best or place > best[of][0]:
            best[of] = place, {}
        if place == best[of][0]:
            best[of][1][feature] = cell.value
    return {of: found for of, (_, found) in best.items()}


def _row(layout: Layout, rows: Found, key: bytes | None, column: bytes) -> Row | None:
    found = None if key is None else rows.get(key, {}).get(column)
    if found is None:
        return None
    # Whoever writes a cell a feature takes the packed one away: where it is there it is the later.
    if b"" in found:
        return layout.row(found[b""])
    lost = [name for name in layout.value_names if name.encode() not in found]
    if lost:
        raise CorruptData(f"a row has no cell of {', '.join(lost)}; it has {', '.join(map(repr, found))}")
    return layout.row_of({name: found[name.encode()] for name in layout.value_names})
