"""What a data endpoint delivers, read as the rows of a feature table: keys, times and features under their names."""

from __future__ import annotations

import glob
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from jukebox import formats
from jukebox.engine.dates import end_of
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash, NoPartition
from jukebox.features import parse_duration
from jukebox.features.data_types import arrow_type
from jukebox.features.definitions import CREATED_TIME
from jukebox.formats.embeddings import tight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from jukebox.errors import JukeboxError
    from jukebox.features import Endpoint
    from jukebox.stores import RegisteredFeature

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UTC = pa.timestamp("us", "UTC")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


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
        taken = set(self.endpoint.entity_keys) | {self.event_time, self.created_time}
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
        return self.endpoint.table_event_time

    @property
    def created_time(self) -> str | None:
        """The name of the created time in the feature table, None where there is none."""
        return self.endpoint.table_created_time

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
            there = self._dates_there()
            span = f"{len(there)} there, from {there[0]} to {there[-1]}" if there else "none there at all"
            raise NoPartition(
                f"endpoint '{self.endpoint.name}' has no partition for {missing[0]}"
                + (f" and {len(missing) - 1} other dates" if len(missing) > 1 else "")
                + f" under {self.root}; {span}"
            )

    def _dates_there(self) -> list[str]:
        before, _, after = str(Path(self.root) / self.endpoint.uri).partition("{date}")
        # The uri may be absolute, and then root counts for nothing.
        found = glob.glob(  # noqa: PTH207
            f"{glob.escape(before)}*{glob.escape(after).replace('{date}', '*')}"
        )
        texts = {path[len(before) :][: len("2013-01-31")] for path in found}
        return sorted(text for text in texts if _DATE.fullmatch(text))

    def parts(self, days: Sequence[date]) -> Iterator[Part]:
        """Yield the rows of each of ``days``; a static endpoint that is not dated gives all to the last day."""
        if self.dated:
            yield from (Part(day, self.path(day), self.read(self.path(day), day)) for day in days)
        elif self.endpoint.static:
            yield Part(days[-1], self.path(), self.read(self.path()))
        else:
            batches = list(self.read(self.path()))
            for day in days:
                yield Part(day, self.path(), self._of_day(batches, day))

    def _of_day(self, batches: Sequence[pa.RecordBatch], day: date) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            times = batch.column(self.event_time)
            zone = None if times.type.tz is None else ZoneInfo(self.endpoint.time_zone or "UTC")
            first, after = (datetime.combine(at, time.min, zone) for at in (day, day + timedelta(days=1)))
            kind = pa.timestamp("us", times.type.tz)
            late = pc.greater_equal(times, pa.scalar(first, kind))
            yield batch.filter(pc.and_(late, pc.less(times, pa.scalar(after, kind))))

    def read(self, path: Path, day: date | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows at ``path`` in the columns of the feature table: keys, event and created time, features.

        ``day`` is the date of a dated endpoint: the times of a snapshot, and a delivery's, follow from it.

        Raises MissingColumn, InvalidType and InvalidValue with the names of the endpoint and the column, and
        CorruptData with that of the file.
        """
        reader = formats.format_named(self.endpoint.format)
        options = formats.Options(null_values=self.endpoint.null_values, types=self._types(reader, path))
        names = list(dict.fromkeys(self._source_columns()))
        batches, lacking, rows = reader.read(path, columns=names, options=options), set(self._needed()), 0
        written = self._written_times(day)
        while True:
            try:
                batch = next(batches, None)
            except (InvalidType, InvalidValue) as exc:
                raise self._explained(exc, reader, path, options) from exc
            if batch is None:
                break
            rows += batch.num_rows
            lacking = {name for name in lacking if batch.column(name).null_count == batch.num_rows}
            yield self._shaped(batch, written)
        if self._is_records and rows and lacking:
            raise self._without([name for name in self._needed() if name in lacking], path, reader.schema(path).names)

    def _types(self, reader: formats.Format, path: Path) -> dict[str, pa.DataType]:
        declared = self._declared_types()
        if self._is_records:
            return declared  # what records lack shows when they are read: there is no key without a value
        options = formats.Options(null_values=self.endpoint.null_values, types=declared)
        there = {field.name: field.type for field in reader.schema(path, options=options)}
        missing = [name for name in self._source_columns() if name not in there]
        if missing:
            raise self._without(missing, path, there)
        return {**there, **declared}

    def _without(self, missing: Iterable[str], path: Path, there: Iterable[str]) -> MissingColumn:
        names = ", ".join(map(repr, missing))
        return MissingColumn(
            f"column {names} of endpoint '{self.endpoint.name}' is not in {path}; it has {', '.join(there)}"
        )

    def _explained(
        self, exc: JukeboxError, reader: formats.Format, path: Path, options: formats.Options
    ) -> JukeboxError:
        """Return the error with the feature that cannot be read by itself either, or as it is."""
        for feature in self.features:
            try:
                deque(reader.read(path, columns=[feature.feature.column], options=options), maxlen=0)
            except (InvalidType, InvalidValue) as cause:  # noqa: PERF203 - they are few
                declared, column = feature.feature.data_type, feature.feature.column
                return InvalidType(f"feature '{feature.name}' is declared {declared} from column '{column}': {cause}")
        return exc

    @property
    def _is_records(self) -> bool:
        return self.endpoint.format == "tfrecord"

    def _needed(self) -> tuple[str, ...]:
        times = (self.endpoint.event_time, self.endpoint.created_time)
        return (*self.endpoint.entity_keys, *(name for name in times if name is not None))

    def _source_columns(self) -> tuple[str, ...]:
        return (*self._needed(), *(feature.feature.column for feature in self.features))

    def _declared_types(self) -> dict[str, pa.DataType]:
        types = {f.feature.column: arrow_type(f.feature.data_type) for f in self.features}
        # Records hold instants; in text a zone may be written or not, and reading finds out.
        types = {name: kind for name, kind in types.items() if self._is_records or kind != _UTC}
        types |= dict.fromkeys(self._needed(), _UTC if self._is_records else None)
        for key in self.endpoint.keys:
            types[key.column] = pa.int64() if key.identifier == "int64" else pa.string()
        return {name: kind for name, kind in types.items() if kind is not None}

    def _written_times(self, day: date | None) -> dict[str, datetime]:
        """Return the times that no column of the source holds, by their column of the feature table."""
        endpoint = self.endpoint
        if endpoint.static:
            return {self.event_time: _EPOCH}
        if endpoint.delivery_time is None or day is None:
            return {}
        zone, after = endpoint.time_zone or "UTC", parse_duration(endpoint.delivery_time)
        ended = {} if endpoint.event_time is not None else {self.event_time: end_of(day, zone)}
        return {**ended, CREATED_TIME: end_of(day, zone, after)}

    def _shaped(self, batch: pa.RecordBatch, written: Mapping[str, datetime]) -> pa.RecordBatch:
        columns = {key: _plain_key(batch.column(key)) for key in self.endpoint.entity_keys}
        for name in (self.endpoint.event_time, self.endpoint.created_time):
            if name is not None:
                columns[name] = self._time(name, batch.column(name))
        columns |= {name: pa.repeat(pa.scalar(moment, _UTC), batch.num_rows) for name, moment in written.items()}
        for feature in self.features:
            columns[feature.name.name] = self._typed(feature, batch.column(feature.feature.column))
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _typed(self, feature: RegisteredFeature, values: pa.Array) -> pa.Array:
        kind, column = arrow_type(feature.feature.data_type), feature.feature.column
        if kind is None or values.type == kind:
            return values
        try:
            if pa.types.is_timestamp(kind):
                values = self._instants(column, values)
            if pa.types.is_fixed_size_list(kind) and not pa.types.is_fixed_size_list(values.type):
                return tight(values.cast(pa.list_(kind.value_type)), pa.field(column, kind))
            return values.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, InvalidType, InvalidValue) as exc:
            raise InvalidType(
                f"feature '{feature.name}' is declared {feature.feature.data_type}, column "
                f"'{column}' of '{self.endpoint.name}' holds {values.type}: {exc}"
            ) from exc

    def _instants(self, name: str, values: pa.Array) -> pa.Array:
        times = self._time(name, values)
        if times.type.tz is None:
            raise InvalidType(f"they carry no zone, and endpoint '{self.endpoint.name}' declares no time_zone")
        return times

    def _time(self, name: str, values: pa.Array) -> pa.Array:
        zone = self.endpoint.time_zone
        if pa.types.is_date(values.type):
            values = values.cast(pa.timestamp("ms"))
        if not pa.types.is_timestamp(values.type):
            if values.null_count < len(values):
                raise InvalidType(
                    f"time column '{name}' of endpoint '{self.endpoint.name}' holds {values.type}, not times"
                )
            values = pa.nulls(len(values), pa.timestamp("us"))
        # One unit for all partitions, whatever those of the source are; only nanoseconds would lose by it.
        unit = "ns" if values.type.unit == "ns" else "us"
        try:
            values = values.cast(pa.timestamp(unit, values.type.tz))
            if values.type.tz is None and zone is not None:
                values = pc.assume_timezone(values, zone)
            return values if values.type.tz is None else values.cast(pa.timestamp(unit, "UTC"))
        except pa.ArrowInvalid as exc:
            where = f"time column '{name}' of endpoint '{self.endpoint.name}'"
            raise InvalidValue(f"{where} in zone {zone or 'UTC'}: {exc}") from exc


def _plain_key(values: pa.Array) -> pa.Array:
    # One layout for all partitions: producers change theirs, and a table of two could not be joined.
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type):
        return values.cast(pa.string())
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return values.cast(pa.int64())
    return values
