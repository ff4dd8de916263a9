"""Making a Bigtable table: split by salt, with the families and the garbage collection that the store needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue
from jukebox.stores.bigtable.cells import FAMILY, META
from jukebox.stores.bigtable.connection import translated

if TYPE_CHECKING:
    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place

_SALTS = 256


def make(connection: Connection, *, static: bool = False) -> None:
    """Make the table, or the families that it lacks; what is there stays as it is.

    Raises InvalidValue where ``static`` rows, which have no age, would lie in a family that drops rows by age, and
    where the URI asks for other garbage collection than the table's; StorageError.
    """
    from google.api_core.exceptions import AlreadyExists, NotFound

    place, admin = connection.place, connection.admin()
    families = {FAMILY: {"gc_rule": _rule(place)}, META: {"gc_rule": {"max_num_versions": 1}}}
    _require(place, _as_told(families[FAMILY]["gc_rule"]), static=static)
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
        if FAMILY in there.column_families:
            _require(place, there.column_families[FAMILY].gc_rule, static=static)
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
    return versions if place.max_age is None else {"union": {"rules": [versions, {"max_age": place.max_age}]}}


def _as_told(rule: dict[str, Any]) -> Any:
    from google.cloud.bigtable_admin_v2.types import GcRule

    return GcRule(rule)


def _require(place: Place, rule: Any, *, static: bool) -> None:
    if static and _drops_by_age(rule):
        raise InvalidValue(f"rows without an event time have no age, and {place} keeps rows by age")
    if (place.versions > 1 or place.max_age is not None) and rule != _as_told(_rule(place)):
        raise InvalidValue(
            f"{place} was made with other garbage collection than the URI's versions and max_age; leave them out, "
            "or take another table"
        )


def _drops_by_age(rule: Any) -> bool:
    """Return whether a cell may go for its age alone, the newest of its column too."""
    if rule.union.rules:
        return any(map(_drops_by_age, rule.union.rules))
    if rule.intersection.rules:
        return all(map(_drops_by_age, rule.intersection.rules))
    return bool(rule.max_age)
