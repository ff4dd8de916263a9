"""What a data endpoint delivers, read as the rows of a feature table: keys, times and features under their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jukebox import formats
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash, NoPartition
from jukebox.features.data_types import arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from jukebox.features import Endpoint
    from jukebox.stores import RegisteredFeature

STATIC_TIME = "event_time"
_UTC = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Part:
    """What an endpoint delivers for one day, and where it lies."""

    day: date
    path: Path
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Delivery:
    """The part of an endpoint that a load asks for: some of its features, below a source folder."""

    endpoint: Endpoint
    features: tuple[RegisteredFeature, ...]
    root: str

    def __post_init__(self) -> None:
        taken = set(self.endpoint.entity_keys) | {self.event_time, self.endpoint.created_time}
        for feature in self.features:
            if feature.name.name in taken:
                raise NameClash(f"two columns of '{self.endpoint.name}' would be called '{feature.name.name}'")
            taken.add(feature.name.name)

    @property
    def dated(self) -> bool:
        """Whether the endpoint has one file or folder for each date."""
        return "{date}" in self.endpoint.uri

    @property
    def event_time(self) -> str:
        """The name of the event time in the feature table."""
        return self.endpoint.event_time or STATIC_TIME

    def path(self, day: date | None = None) -> Path:
        """Return where the data of ``day`` lie, or all of it when the endpoint is not dated."""
        uri = self.endpoint.uri.replace("{date}", "" if day is None else day.isoformat())
        return Path(self.root) / uri

    def require(self, days: Sequence[date]) -> None:
        """Raise NoPartition unless the endpoint has data for every one of ``days``."""
        if not self.dated:
            if not self.path().exists():
                raise NoPartition(f"endpoint '{self.endpoint.name}' has no data at {self.path()}")
            return
        missing = [day for day in days if not self.path(day).exists()]
        if missing:
            there = sorted(self.path().parent.parent.glob(str(Path(*Path(self._pattern).parts[-2:]))))
            span = f"{len(there)} there, from {there[0].name} to {there[-1].name}" if there else "none there at all"
            raise NoPartition(
                f"endpoint '{self.endpoint.name}' has no partition for {missing[0]}"
                + (f" and {len(missing) - 1} other dates" if len(missing) > 1 else "")
                + f" under {self.root}; {span}"
            )

    @property
    def _pattern(self) -> str:
        return self.endpoint.uri.replace("{date}", "*")

    def parts(self, days: Sequence[date]) -> Iterator[Part]:
        """Yield the rows of each of ``days``; a static endpoint that is not dated gives all to the last day."""
        if self.dated:
            yield from (Part(day, self.path(day), self.read(self.path(day))) for day in days)
        elif self.endpoint.static:
            yield Part(days[-1], self.path(), self.read(self.path()))
        else:
            whole = pa.Table.from_batches(self.read(self.path()))
            on = _local_dates(whole[self.event_time], self.endpoint.time_zone)
            for day in days:
                rows = whole.filter(pc.equal(on, pa.scalar(day, pa.date32())))
                yield Part(day, self.path(), iter(rows.to_batches()))

    def read(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Yield the rows at ``path`` in the columns of the feature table: keys, event and created time, features.

        Raises MissingColumn, InvalidType and InvalidValue with the names of the endpoint and the column, and
        CorruptData with that of the file.
        """
        reader = formats.format_named(self.endpoint.format)
        names = list(dict.fromkeys(self._source_columns()))
        options = formats.Options(null_values=self.endpoint.null_values, types=self._declared_types())
        there = reader.schema(path, options=options).names
        missing = [name for name in names if name not in there]
        if missing:
            raise MissingColumn(
                f"column {', '.join(map(repr, missing))} of endpoint '{self.endpoint.name}' is not in {path}; it has {', '.join(there)}"
            )
        for batch in reader.read(path, columns=names, options=options):
            yield self._shaped(batch)

    def _source_columns(self) -> Iterator[str]:
        yield from self.endpoint.entity_keys
        yield from (name for name in (self.endpoint.event_time, self.endpoint.created_time) if name is not None)
        yield from (feature.feature.column for feature in self.features)

    def _declared_types(self) -> dict[str, pa.DataType]:
        types = {f.feature.column: arrow_type(f.feature.data_type) for f in self.features}
        for key in self.endpoint.keys:
            types[key.column] = pa.int64() if key.identifier == "int64" else pa.string()
        for name in (self.endpoint.event_time, self.endpoint.created_time):
            if name is not None:
                types[name] = _UTC if self.endpoint.time_zone is not None else None
        return {name: kind for name, kind in types.items() if kind is not None}

    def _shaped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {key: batch.column(key) for key in self.endpoint.entity_keys}
        for name in (self.endpoint.event_time, self.endpoint.created_time):
            if name is not None:
                columns[name] = self._time(name, batch.column(name))
        if self.endpoint.event_time is None:
            columns[STATIC_TIME] = pa.array([0], _UTC).take(pa.array([0] * batch.num_rows, pa.int64()))
        for feature in self.features:
            columns[feature.name.name] = self._typed(feature, batch.column(feature.feature.column))
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _typed(self, feature: RegisteredFeature, values: pa.Array) -> pa.Array:
        kind = arrow_type(feature.feature.data_type)
        if kind is None or values.type == kind:
            return values
        try:
            return values.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise InvalidType(
                f"feature '{feature.name}' is declared {feature.feature.data_type}, column "
                f"'{feature.feature.column}' of '{self.endpoint.name}' holds {values.type}: {exc}"
            ) from exc

    def _time(self, name: str, values: pa.Array) -> pa.Array:
        zone = self.endpoint.time_zone
        if pa.types.is_date(values.type):
            values = values.cast(pa.timestamp("ms"))
        if pa.types.is_integer(values.type) and self.endpoint.format == "tfrecord":
            return values.cast(pa.int64()).cast(_UTC)
        if not pa.types.is_timestamp(values.type):
            raise InvalidType(f"time column '{name}' of endpoint '{self.endpoint.name}' holds {values.type}, not times")
        unit = values.type.unit
        if values.type.tz is not None:
            return values.cast(pa.timestamp(unit, "UTC"))
        if zone is None:
            return values
        try:
            return pc.assume_timezone(values, zone).cast(pa.timestamp(unit, "UTC"))
        except pa.ArrowInvalid as exc:
            raise InvalidValue(f"time column '{name}' of endpoint '{self.endpoint.name}' in zone {zone}: {exc}") from exc


def _local_dates(times: pa.ChunkedArray, zone: str | None) -> pa.ChunkedArray:
    if times.type.tz is not None:
        times = pc.local_timestamp(times.cast(pa.timestamp(times.type.unit, zone or "UTC")))
    return times.cast(pa.timestamp("s"), safe=False).cast(pa.date32())
