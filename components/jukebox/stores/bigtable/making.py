"""Making a Bigtable table: split by salt, with the families and the garbage collection that the store needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.stores.bigtable.cells import FAMILY, META
from jukebox.stores.bigtable.connection import translated

if TYPE_CHECKING:
    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place

_SALTS = 256


def make(connection: Connection) -> None:
    """Make the table, or the families that it lacks; what is there stays as it is. Raises StorageError."""
    from google.api_core.exceptions import AlreadyExists, NotFound

    place, admin = connection.place, connection.admin()
    families = {FAMILY: {"gc_rule": _rule(place)}, META: {"gc_rule": {"max_num_versions": 1}}}
    with translated(place):
        try:
            there = admin.get_table(name=place.path)
        except NotFound:
            there = None
        try:
            if there is None:
                admin.create_table(
                    request={
                        "parent": place.parent,
                        "table_id": place.table,
                        "table": {"column_families": families},
                        "initial_splits": [{"key": key} for key in splits(place.splits)],
                    }
                )
                return
        except AlreadyExists:
            # Another load was faster.
            there = admin.get_table(name=place.path)
        lacking = [{"id": name, "create": families[name]} for name in families if name not in there.column_families]
        if lacking:
            admin.modify_column_families(request={"name": place.path, "modifications": lacking})


def splits(tablets: int) -> list[bytes]:
    r"""Return the salts at which a table of so many tablets is split.

    >>> splits(4)
    [b'@', b'\x80', b'\xc0']
    """
    return [bytes([_SALTS * number // tablets]) for number in range(1, tablets)]


def _rule(place: Place) -> dict[str, Any]:
    versions = {"max_num_versions": place.versions}
    if place.max_age is None:
        return versions
    return {"union": {"rules": [versions, {"max_age": {"seconds": int(place.max_age.total_seconds())}}]}}
