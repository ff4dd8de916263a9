"""What a Bigtable table says of itself: the layouts of its online tables and which versions of them are served.

It stands in one row, so that a version takes another one's place in one moment::

    row key 0x00 jukebox, family m
    layout 0x00 <table> 0x00 <version>  =  Layout.to_bytes
    current 0x00 <table>                =  the version that is served
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.core.layouts import layout_from_bytes
from jukebox.errors import CorruptData, NotRegistered
from jukebox.stores import Versions
from jukebox.stores.bigtable import cells
from jukebox.stores.bigtable.connection import CheckAndMutateRow, grpc, translated
from jukebox.stores.bigtable.patience import Patience, is_passing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.core.layouts import Layout
    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place

KEY = b"\0jukebox"
_LAYOUT, _CURRENT = "layout", "current"
_SECONDS = 30.0
# The keys and the filter of the row.
_FILTERS = [{"family_name_regex_filter": cells.META}, {"cells_per_column_limit_filter": 1}]
REQUEST: Any = [KEY], {"chain": {"filters": _FILTERS}}


@dataclass(frozen=True)
class Known:
    """An online table: the layouts of its versions, and the version that is served, None where none is yet."""

    current: int | None = None
    layouts: Mapping[int, Layout] = field(default_factory=dict)

    @property
    def versions(self) -> Versions:
        """Its versions."""
        return Versions(self.current, tuple(sorted(self.layouts)))


def read(connection: Connection, timeout: float) -> dict[str, Known]:
    """Return the online tables of a Bigtable table; raises NotRegistered where that is not there, StorageError."""
    with translated(connection.place):
        found = cells.read(connection, [REQUEST], timeout)
    return told(connection.place, found.get(KEY, []))


def told(place: Place, row: Sequence[cells.Cell]) -> dict[str, Known]:
    """Return the online tables that the row of layouts and versions tells of; raises CorruptData."""
    layouts: dict[str, dict[int, Layout]] = defaultdict(dict)
    current: dict[str, int] = {}
    try:
        for cell in row:
            what, table, *version = cell.qualifier.decode().split("\0")
            if what == _LAYOUT:
                layouts[table][int(version[0])] = layout_from_bytes(cell.value)
            elif what == _CURRENT:
                current[table] = int(cell.value)
    except (ValueError, IndexError) as exc:
        raise CorruptData(f"{place} is not an online store of Jukebox: {exc}") from exc
    return {table: Known(current.get(table), held) for table, held in sorted(layouts.items())}


def declare(connection: Connection, table: str, version: int, layout: Layout, *, served: bool) -> None:
    """Make the layout that of a table's version, and the version ``served``, unless it has a layout already."""
    held = _qualifier(_LAYOUT, table, version)
    mutations = [_set(held, layout.to_bytes())]
    if served:
        mutations.append(_set(_qualifier(_CURRENT, table), str(version).encode()))
    _check_and_mutate(connection, held, missing=mutations)


def serve(connection: Connection, table: str, version: int) -> None:
    """Make ``version`` the one that is served, in one moment; raises NotRegistered where it is not there."""
    change = [_set(_qualifier(_CURRENT, table), str(version).encode())]
    if not _check_and_mutate(connection, _qualifier(_LAYOUT, table, version), there=change):
        raise NotRegistered(f"online table '{table}' in {connection.place} has no version {version}")


def hide(connection: Connection, table: str) -> None:
    """Make a table one of which no version is served."""
    current = _qualifier(_CURRENT, table)
    _check_and_mutate(connection, current, there=[_unset(current)])


def forget(connection: Connection, table: str, version: int) -> None:
    """Take a version's layout away."""
    layout = _qualifier(_LAYOUT, table, version)
    _check_and_mutate(connection, layout, there=[_unset(layout)])


def _qualifier(*words: object) -> bytes:
    return "\0".join(map(str, words)).encode()


def _set(qualifier: bytes, value: bytes) -> dict[str, Any]:
    # One and the same timestamp, so that the last write wins whatever a machine's clock says.
    return {
        "set_cell": {"family_name": cells.META, "column_qualifier": qualifier, "timestamp_micros": 0, "value": value}
    }


def _unset(qualifier: bytes) -> dict[str, Any]:
    return {"delete_from_column": {"family_name": cells.META, "column_qualifier": qualifier}}


def _check_and_mutate(
    connection: Connection, qualifier: bytes, *, there: list[Any] | None = None, missing: list[Any] | None = None
) -> bool:
    place = connection.place
    exact = {"family_name": cells.META, "start_qualifier_closed": qualifier, "end_qualifier_closed": qualifier}
    request = CheckAndMutateRow(
        table_name=place.path,
        app_profile_id=place.app_profile,
        row_key=KEY,
        predicate_filter={"column_range_filter": exact},
        true_mutations=there or [],
        false_mutations=missing or [],
    )
    with translated(place):
        return bool(_answered(connection, request).predicate_matched)


def _answered(connection: Connection, request: Any) -> Any:
    # Another attempt is safe: what a caller is told of, a version's layout, is not what its mutations change.
    patience = Patience(time.monotonic() + _SECONDS)
    while True:
        try:
            return connection.call("CheckAndMutateRow", request, patience.left())
        except grpc.RpcError as exc:  # noqa: PERF203 - an attempt
            if not is_passing(exc.code(), exc.details()) or not patience.waited():
                raise
