"""Contextual features of a training set: the labels bring them, under the column that requests call them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.cells import is_text, plain_type
from jukebox.engine.requests import Asked
from jukebox.errors import InvalidType, InvalidValue, MissingColumn
from jukebox.features import FeatureName
from jukebox.features.data_types import arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jukebox.engine.requests import Entry
    from jukebox.stores import RegisteredFeature


def from_labels(entry: Entry, feature: RegisteredFeature) -> Asked:
    """Return a contextual feature and its label column: as the request calls it, by default as it is registered.

    Raises InvalidValue where the request has rules of time or keys for it.
    """
    if entry.max_age is not None or entry.last_non_null or entry.keys:
        raise InvalidValue(f"'{feature.name}' comes with the labels; it has no max_age, last_non_null or keys")
    column = feature.feature.column if entry.column == feature.name.name else entry.column
    return Asked(feature.name, feature.version, feature.feature.data_type, column)


def require(context: Iterable[Asked], labels: pa.Schema) -> None:
    """Raise MissingColumn for a contextual feature that the labels do not bring, InvalidType for another type."""
    for each in context:
        if each.column not in labels.names:
            there = ", ".join(labels.names)
            raise MissingColumn(f"'{each.name}' is contextual, and the labels have no column '{each.column}': {there}")
        declared, there = arrow_type(each.data_type), labels.field(each.column).type
        if declared is not None and not _meet(plain_type(there), declared):
            raise InvalidType(f"label column '{each.column}' is {there}, and '{each.name}' takes {each.data_type}")


# A record has no type for text, and files of text but one width of numbers.
_KINDS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_integer,
    pa.types.is_floating,
    is_text,
    pa.types.is_date,
    lambda of: pa.types.is_timestamp(of) and of.tz is not None,
)


def _meet(here: pa.DataType, there: pa.DataType) -> bool:
    if hasattr(here, "value_type") and hasattr(there, "value_type"):
        return _meet(here.value_type, there.value_type)
    return bool(here == there or any(kind(here) and kind(there) for kind in _KINDS))


def told(context: Iterable[Asked]) -> list[dict[str, Any]]:
    """Return contextual features as a manifest tells of them."""
    return [
        {"name": str(each.name), "version": each.version, "data_type": each.data_type, "column": each.column}
        for each in context
    ]


def of_manifest(details: Mapping[str, Any]) -> tuple[Asked, ...]:
    """Return the contextual features that a training set's manifest tells of."""
    return tuple(
        Asked(FeatureName.parse(each["name"]), each["version"], each["data_type"], each["column"])
        for each in details.get("context", ())
    )
