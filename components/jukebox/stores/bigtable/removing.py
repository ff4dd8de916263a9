"""Taking away: whole rows, and what rows hold of one version of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.core import coordinates
from jukebox.stores.bigtable import cells
from jukebox.stores.bigtable.mutations import MUTATIONS_AT_ONCE, ROWS_AT_ONCE, Batch, request_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place


def emptied(connection: Connection, column: bytes, entity: str) -> Iterator[Batch]:
    """Yield the requests that take a table's version out of all rows of an entity; raises gRPC's errors."""
    filtered = cells.columns_filter([column], stripped=True)
    rows = cells.scan(connection, coordinates.prefixes(entity), filtered)
    return _batches(connection.place, ((key, [cell.qualifier for cell in row]) for key, row in rows))


def forgotten(place: Place, keys: Iterable[bytes]) -> Iterator[Batch]:
    """Yield the requests that take whole rows away."""
    return _batches(place, ((key, None) for key in keys))


def _batches(place: Place, rows: Iterable[tuple[bytes, list[bytes] | None]]) -> Iterator[Batch]:
    request, mutations = request_of(place), 0
    for key, qualifiers in rows:
        taken = 1 if qualifiers is None else len(qualifiers)
        if len(request.entries) == ROWS_AT_ONCE or mutations + taken > MUTATIONS_AT_ONCE:
            yield Batch(request)
            request, mutations = request_of(place), 0
        mutations += taken
        entry = request.entries.add(row_key=key)
        if qualifiers is None:
            entry.mutations.add().delete_from_row.SetInParent()
        for qualifier in qualifiers or ():
            gone = entry.mutations.add().delete_from_column
            gone.family_name, gone.column_qualifier = cells.FAMILY, qualifier
    if request.entries:
        yield Batch(request)
