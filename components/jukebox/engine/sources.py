"""What a data endpoint delivers, read as the rows of a feature table: keys, times and features under their names."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from jukebox import formats
from jukebox.core.records import Reached, column_of, reach
from jukebox.engine.addresses import Addresses
from jukebox.engine.column_types import UTC, plain_key, time_in, typed
from jukebox.engine.dates import end_of
from jukebox.engine.keys import KeySource, key_sources
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash
from jukebox.features import parse_duration
from jukebox.features.data_types import arrow_type
from jukebox.features.definitions import CREATED_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from jukebox.errors import JukeboxError
    from jukebox.features import Endpoint
    from jukebox.storage import Place
    from jukebox.stores import RegisteredFeature

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Part:
    """What an endpoint delivers for one day, and where it lies: in one place, or in one for each hour."""

    day: date
    paths: tuple[Place | str, ...]
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Delivery:
    """The part of an endpoint that a load asks for: some of its features, below a source folder.

    ``keys`` is what the load was told of key columns that are written in another way than the endpoint declares, and
    ``format`` the storage format, where it is another.
    """

    endpoint: Endpoint
    features: tuple[RegisteredFeature, ...]
    root: str
    keys: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        taken = set(self.endpoint.entity_keys) | {self.event_time, self.created_time}
        for feature in self.features:
            if feature.name.name in taken:
                raise NameClash(f"two columns of '{self.endpoint.name}' would be called '{feature.name.name}'")
            taken.add(feature.name.name)

    @cached_property
    def key_sources(self) -> tuple[KeySource, ...]:
        """Where each key comes from, in order; raises InvalidType, InvalidValue and NameClash for what was told."""
        return key_sources(self.endpoint, self.keys)

    @property
    def addresses(self) -> Addresses:
        """Where the partitions lie."""
        return Addresses(self.endpoint.name, self.endpoint.uri, self.root, self.endpoint.time_zone or "UTC")

    @property
    def event_time(self) -> str:
        """The name of the event time in the feature table."""
        return self.endpoint.table_event_time

    @property
    def created_time(self) -> str | None:
        """The name of the created time in the feature table, None where there is none."""
        return self.endpoint.table_created_time

    def path(self, day: date | None = None) -> Place | str:
        """Return where the data of ``day`` lie, or all of it when the endpoint is not dated."""
        return self.addresses.path(day)

    def require(self, days: Sequence[date]) -> None:
        """Raise NoPartition unless the endpoint has data for every one of ``days``."""
        self.addresses.require(days)

    def parts(self, days: Sequence[date]) -> Iterator[Part]:
        """Yield the rows of each of ``days``; a static endpoint that is not dated gives all to the last day."""
        if self.addresses.dated:
            for day in days:
                slices = self.addresses.slices(day)
                rows = chain.from_iterable(self.read(each.path, day, each.hour) for each in slices)
                yield Part(day, tuple(each.path for each in slices), rows)
        elif self.endpoint.static:
            yield Part(days[-1], (self.path(),), self.read(self.path()))
        else:
            batches = list(self.read(self.path()))
            for day in days:
                yield Part(day, (self.path(),), self._of_day(batches, day))

    def _of_day(self, batches: Sequence[pa.RecordBatch], day: date) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            times = batch.column(self.event_time)
            zone = None if times.type.tz is None else ZoneInfo(self.endpoint.time_zone or "UTC")
            first, after = (datetime.combine(at, time.min, zone) for at in (day, day + timedelta(days=1)))
            kind = pa.timestamp("us", times.type.tz)
            late = pc.greater_equal(times, pa.scalar(first, kind))
            yield batch.filter(pc.and_(late, pc.less(times, pa.scalar(after, kind))))

    def read(self, path: Place | str, day: date | None = None, hour: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows at ``path`` in the columns of the feature table: keys, event and created time, features.

        ``day`` and ``hour`` are those of a dated endpoint: the times of a snapshot, and a delivery's, follow from them.

        Raises MissingColumn, InvalidType and InvalidValue with the names of the endpoint and the column, and
        CorruptData with that of the file.
        """
        reader = formats.format_named(self.storage_format)
        there = self._schema(reader, path)
        reached = self._reached(there, path)
        names = list(dict.fromkeys(each.column for each in reached.values()))
        options = self._options({name: there.field(name).type for name in names})
        batches, lacking, rows = reader.read(str(path), columns=names, options=options), set(self._needed()), 0
        written = self._written_times(day, hour)
        while True:
            try:
                batch = next(batches, None)
            except (InvalidType, InvalidValue) as exc:
                raise self._explained(exc, reader, path, reached, options) from exc
            if batch is None:
                break
            values = {asked: each.of(batch.column(each.column)) for asked, each in reached.items()}
            lacking = {name for name in lacking if values[name].null_count == batch.num_rows}
            yield self._shaped(values, self._keys(values, path, rows), written, batch.num_rows)
            rows += batch.num_rows
        if rows and lacking and (self._is_records or self.storage_format == "jsonl"):
            raise self._without(
                [name for name in self._needed() if name in lacking], path, reader.schema(str(path)).names
            )

    @property
    def storage_format(self) -> str:
        """The format of the files."""
        return self.endpoint.format if self.format is None else self.format

    def _options(self, types: dict[str, pa.DataType]) -> formats.Options:
        return formats.Options(null_values=self.endpoint.null_values, types=types)

    def _schema(self, reader: formats.Format, path: Place | str) -> pa.Schema:
        declared = self._declared_types()
        if self._is_records:
            return pa.schema(list(declared.items()))  # what records lack shows when they are read
        # Of JSON lines a declared column is there, of nulls, also where it is a path into another.
        plain = {name: kind for name, kind in declared.items() if "." not in name or self.storage_format != "jsonl"}
        there = reader.schema(str(path), options=self._options(plain))
        return pa.schema([field.with_type(declared.get(field.name, field.type)) for field in there])

    def _reached(self, there: pa.Schema, path: Place | str) -> dict[str, Reached]:
        if self._is_records:
            there = pa.schema(
                [*there, *((name, pa.null()) for name in self._source_columns() if name not in there.names)]
            )
            return {name: Reached(name, (), there.field(name).type) for name in self._source_columns()}
        missing = [name for name in self._source_columns() if column_of(name, there.names) is None]
        if missing:
            raise self._without(missing, path, there.names)
        try:
            return {name: reach(name, there) for name in self._source_columns()}
        except (MissingColumn, InvalidType) as exc:
            raise type(exc)(f"endpoint '{self.endpoint.name}' in {path}: {exc}") from exc

    def _without(self, missing: Iterable[str], path: Place | str, there: Iterable[str]) -> MissingColumn:
        names = ", ".join(map(repr, missing))
        return MissingColumn(
            f"column {names} of endpoint '{self.endpoint.name}' is not in {path}; it has {', '.join(there)}"
        )

    def _explained(
        self,
        exc: JukeboxError,
        reader: formats.Format,
        path: Place | str,
        reached: Mapping[str, Reached],
        options: formats.Options,
    ) -> JukeboxError:
        """Return the error with the feature that cannot be read by itself either, or as it is."""
        for feature in self.features:
            declared, column = feature.feature.data_type, feature.feature.column
            try:
                deque(reader.read(str(path), columns=[reached[column].column], options=options), maxlen=0)
            except (InvalidType, InvalidValue) as cause:
                return InvalidType(f"feature '{feature.name}' is declared {declared} from column '{column}': {cause}")
        return exc

    @property
    def _is_records(self) -> bool:
        return self.storage_format == "tfrecord"

    def _needed(self) -> tuple[str, ...]:
        times = (self.endpoint.event_time, self.endpoint.created_time)
        return (*(key.column for key in self.key_sources), *(name for name in times if name is not None))

    def _source_columns(self) -> tuple[str, ...]:
        return (*self._needed(), *(feature.feature.column for feature in self.features))

    def _declared_types(self) -> dict[str, pa.DataType]:
        types = {f.feature.column: arrow_type(f.feature.data_type) for f in self.features}
        # Records hold instants; in text a zone may be written or not, and reading finds out.
        types = {name: kind for name, kind in types.items() if self._is_records or kind != UTC}
        types |= dict.fromkeys(self._needed(), UTC if self._is_records else None)
        for key in self.key_sources:
            types[key.column] = pa.int64() if key.identifier == "int64" else pa.string()
        return {name: kind for name, kind in types.items() if kind is not None}

    def _written_times(self, day: date | None, hour: int | None) -> dict[str, datetime]:
        """Return the times that no column of the source holds, by their column of the feature table."""
        endpoint = self.endpoint
        if endpoint.static:
            return {self.event_time: _EPOCH}
        if endpoint.delivery_time is None or day is None:
            return {}
        zone, after = endpoint.time_zone or "UTC", parse_duration(endpoint.delivery_time)
        ended = {} if endpoint.event_time is not None else {self.event_time: end_of(day, zone, hour=hour)}
        return {**ended, CREATED_TIME: end_of(day, zone, after, hour)}

    def _keys(self, values: Mapping[str, pa.Array], path: Place | str, first_row: int) -> dict[str, pa.Array]:
        try:
            return {each.key.column: each.ids(values[each.column], first_row) for each in self.key_sources}
        except (InvalidType, InvalidValue) as exc:
            raise type(exc)(f"{path} of endpoint '{self.endpoint.name}', {exc}") from exc

    def _shaped(
        self, values: Mapping[str, pa.Array], keys: Mapping[str, pa.Array], written: Mapping[str, datetime], rows: int
    ) -> pa.RecordBatch:
        columns = {name: plain_key(ids) for name, ids in keys.items()}
        for name in (self.endpoint.event_time, self.endpoint.created_time):
            if name is not None:
                columns[name] = time_in(self.endpoint, name, values[name])
        columns |= {name: pa.repeat(pa.scalar(moment, UTC), rows) for name, moment in written.items()}
        for feature in self.features:
            columns[feature.name.name] = typed(self.endpoint, feature, values[feature.feature.column])
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
