"""Keys, times and features of a source in the types that a feature table has them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue
from jukebox.features.data_types import arrow_type
from jukebox.formats.embeddings import tight

if TYPE_CHECKING:
    from jukebox.features import Endpoint
    from jukebox.stores import RegisteredFeature

UTC = pa.timestamp("us", "UTC")


def typed(endpoint: Endpoint, feature: RegisteredFeature, values: pa.Array) -> pa.Array:
    """Return a feature's values in its declared type, where nothing is lost by it; raises InvalidType."""
    kind, column = arrow_type(feature.feature.data_type), feature.feature.column
    if kind is None or values.type == kind:
        return values
    try:
        if pa.types.is_timestamp(kind):
            values = _instants(endpoint, column, values)
        if pa.types.is_fixed_size_list(kind) and not pa.types.is_fixed_size_list(values.type):
            return tight(values.cast(pa.list_(kind.value_type)), pa.field(column, kind))
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, InvalidType, InvalidValue) as exc:
        raise InvalidType(
            f"feature '{feature.name}' is declared {feature.feature.data_type}, column "
            f"'{column}' of '{endpoint.name}' holds {values.type}: {exc}"
        ) from exc


def _instants(endpoint: Endpoint, name: str, values: pa.Array) -> pa.Array:
    times = time_in(endpoint, name, values)
    if times.type.tz is None:
        raise InvalidType(f"they carry no zone, and endpoint '{endpoint.name}' declares no time_zone")
    return times


def time_in(endpoint: Endpoint, name: str, values: pa.Array) -> pa.Array:
    """Return a time column as instants of UTC, or as naive times where neither they nor the endpoint have a zone.

    Raises InvalidType for what is no time, InvalidValue for a time that clocks skip or show twice.
    """
    zone = endpoint.time_zone
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    if not pa.types.is_timestamp(values.type):
        if values.null_count < len(values):
            raise InvalidType(f"time column '{name}' of endpoint '{endpoint.name}' holds {values.type}, not times")
        values = pa.nulls(len(values), pa.timestamp("us"))
    # One unit for all partitions, whatever those of the source are; only nanoseconds would lose by it.
    unit = "ns" if values.type.unit == "ns" else "us"
    try:
        values = values.cast(pa.timestamp(unit, values.type.tz))
        if values.type.tz is None and zone is not None:
            values = pc.assume_timezone(values, zone)
        return values if values.type.tz is None else values.cast(pa.timestamp(unit, "UTC"))
    except pa.ArrowInvalid as exc:
        where = f"time column '{name}' of endpoint '{endpoint.name}'"
        raise InvalidValue(f"{where} in zone {zone or 'UTC'}: {exc}") from exc


def plain_key(values: pa.Array) -> pa.Array:
    """Return the ids of a key in the one layout that they have in all partitions."""
    # One layout for all partitions: producers change theirs, and a table of two could not be joined.
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type):
        return values.cast(pa.string())
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return values.cast(pa.int64())
    return values
