"""Feature events, one a message, as rows of the feature table of their endpoint."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    JukeboxError,
    MissingColumn,
    MissingDependency,
    reason,
)
from jukebox.features.data_types import arrow_type
from jukebox.features.definitions import CREATED_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jukebox.engine.sources import Delivery
    from jukebox.stores.pubsub import Message

ENCODINGS = ("json", "avro")
# An event of the day after tomorrow is a mistake of units; as the newest row it would stand for ever.
_AHEAD = timedelta(days=1)
_UTC = pa.timestamp("us", "UTC")
_CONTAINER = b"Obj\x01"


@dataclass(frozen=True)
class Event:
    """What a message holds: its id, its bytes, and when it was published."""

    id: str
    data: bytes
    published: datetime


def published_order(each: Event | Message) -> tuple[datetime, int, str]:
    """Return what events are sorted by, so that of equal times the last published comes last."""
    return each.published, len(each.id), each.id


class Events:
    """How the messages of an endpoint are read.

    ``encoding`` is ``json``, an object a message, or ``avro``: a container file of one record, or with ``schema``, the
    writer's, a bare datum. Raises InvalidValue for an endpoint whose rows are no events, and for a feature without a
    data type, which no message tells.
    """

    def __init__(self, delivery: Delivery, encoding: str, schema: Mapping[str, Any] | None = None) -> None:
        endpoint = delivery.endpoint
        if endpoint.event_time is None:
            raise InvalidValue(f"endpoint '{endpoint.name}' declares no event_time; its rows are no events")
        if encoding not in ENCODINGS:
            raise InvalidValue(f"messages are {' or '.join(ENCODINGS)}, not '{encoding}'")
        self._event_time, self._zone = endpoint.event_time, endpoint.time_zone
        self._keys = endpoint.entity_keys
        self._decode = _json if encoding == "json" else _avro(schema)
        names = {key.column: (key.column, _of_key(key.identifier)) for key in endpoint.keys}
        names[endpoint.event_time] = endpoint.event_time, _UTC
        if delivery.created_time is not None:
            # With a delivery time instead of a column, a streamed row is known as soon as it is published.
            names[delivery.created_time] = endpoint.created_time or CREATED_TIME, _UTC
        self._published = CREATED_TIME if endpoint.delivery_time is not None else None
        for feature in delivery.features:
            names[feature.name.name] = feature.feature.column, _declared(feature.feature.data_type, str(feature.name))
        self._columns = names
        self._features = [feature.feature.column for feature in delivery.features]
        self.schema = pa.schema([(name, kind) for name, (_, kind) in names.items()])

    def rows(self, events: Sequence[Event]) -> tuple[pa.Table, list[int], dict[int, str]]:
        """Return the rows, the positions of the events that they are of, and why the other positions have none."""
        try:
            return self._read(events), list(range(len(events))), {}
        except JukeboxError:
            return self._one_by_one(events)

    def _one_by_one(self, events: Sequence[Event]) -> tuple[pa.Table, list[int], dict[int, str]]:
        tables, taken, refused = [self.schema.empty_table()], [], {}
        for place, event in enumerate(events):
            try:
                tables.append(self._read([event]))
                taken.append(place)
            except JukeboxError as exc:  # noqa: PERF203 - each for itself
                refused[place] = str(exc)
        return pa.concat_tables(tables), taken, refused

    def _read(self, events: Sequence[Event]) -> pa.Table:
        records = [self._decode(event.data) for event in events]
        for record in records:
            self._check(record)
        columns = []
        for name, (column, kind) in self._columns.items():
            given = [event.published for event in events] if name == self._published else None
            values = [record.get(column) for record in records] if given is None else given
            columns.append(_array(column, values, kind, self._zone))
        rows = pa.Table.from_arrays(columns, schema=self.schema)
        self._check_times(rows[self._event_time], events)
        return rows

    def _check(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise InvalidType(f"it holds a {type(record).__name__}, not a record with columns")
        for name in (*self._keys, self._event_time):
            if record.get(name) is None:
                raise MissingColumn(f"it has no '{name}'; it has {', '.join(record) or 'nothing'}")
        if not any(name in record for name in self._features):
            raise MissingColumn(f"it has none of {', '.join(self._features)}; it has {', '.join(record)}")

    def _check_times(self, times: pa.ChunkedArray, events: Sequence[Event]) -> None:
        latest = pa.array([event.published + _AHEAD for event in events], _UTC)
        late = pc.greater(times, latest).to_pylist()
        if any(late):
            raise InvalidValue(f"its event time {times[late.index(True)]} lies more than a day after it was published")


def _of_key(identifier: str) -> pa.DataType:
    return pa.int64() if identifier == "int64" else pa.string()


def _declared(data_type: str, name: str) -> pa.DataType:
    kind = arrow_type(data_type)
    if kind is None:
        raise InvalidValue(f"feature '{name}' is declared any; a stream needs a data type, for no message tells one")
    return kind


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise CorruptData(f"it is no JSON: {reason(exc)}") from exc


def _avro(schema: Mapping[str, Any] | None) -> Callable[[bytes], Any]:
    try:
        import fastavro
    except ImportError as exc:
        raise MissingDependency.of("fastavro", "pubsub") from exc
    try:
        writer = None if schema is None else fastavro.parse_schema(dict(schema))
    except Exception as exc:
        raise InvalidValue(f"the Avro schema is none: {reason(exc)}") from exc

    def decode(data: bytes) -> Any:
        stream = io.BytesIO(data)
        try:
            if data.startswith(_CONTAINER):
                (record,) = fastavro.reader(stream)
            elif writer is None:
                raise CorruptData("it is no Avro container file, and no schema of the writer is given")  # noqa: TRY301
            else:
                record = fastavro.schemaless_reader(stream, writer, None)
        except CorruptData:
            raise
        except Exception as exc:
            raise CorruptData(f"it is no Avro record: {reason(exc) or type(exc).__name__}") from exc
        if stream.read(1):
            raise CorruptData(f"it has {len(data) - stream.tell() + 1} bytes after its Avro record")
        return record

    return decode


def _array(name: str, values: list[Any], kind: pa.DataType, zone: str | None) -> pa.Array:
    try:
        if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            return _lists(values, kind, zone)
        return _scalars(values, kind, zone)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, InvalidOperation, binascii.Error) as exc:
        shown = repr(values[0])
        held = f" and holds {shown[:80]}" if len(values) == 1 else ""
        raise InvalidType(f"column '{name}' is declared {kind}{held}: {reason(exc)}") from exc


def _lists(values: list[Any], kind: pa.DataType, zone: str | None) -> pa.Array:
    wrong = next((v for v in values if v is not None and not isinstance(v, list)), None)
    if wrong is not None:
        raise TypeError(f"a {type(wrong).__name__} is no list")
    inner = [each for value in values if value is not None for each in value]
    whole = iter(_scalars(inner, kind.value_type, zone).to_pylist())
    return pa.array([None if value is None else [next(whole) for _ in value] for value in values], kind)


def _scalars(values: list[Any], kind: pa.DataType, zone: str | None) -> pa.Array:
    present = [value for value in values if value is not None]
    if pa.types.is_timestamp(kind):
        return _instants(values, zone)
    if pa.types.is_date(kind):
        return pa.array([date.fromisoformat(v) if isinstance(v, str) else v for v in values], kind)
    if pa.types.is_binary(kind):
        return pa.array([base64.b64decode(v, validate=True) if isinstance(v, str) else v for v in values], kind)
    if pa.types.is_decimal(kind):
        return pa.array([Decimal(repr(v)) if isinstance(v, (int, float)) else v and Decimal(v) for v in values], kind)
    # Arrow itself would cut 1.5 to 1, take True for 1.0 and 1e300 for infinity.
    fits = (int,) if pa.types.is_integer(kind) else (int, float) if pa.types.is_floating(kind) else (object,)
    wrong = [v for v in present if not isinstance(v, fits) or (isinstance(v, bool) and fits != (object,))]
    if wrong:
        raise TypeError(f"{wrong[0]!r} is a {type(wrong[0]).__name__}")
    found = pa.array(values, kind)
    if pa.types.is_float32(kind):
        _check_finite(present, found)
    return found


def _check_finite(given: list[Any], found: pa.Array) -> None:
    for before, after in zip(given, found.drop_null().to_pylist(), strict=True):
        if math.isinf(after) and not math.isinf(before):
            raise OverflowError(f"{before!r} does not fit")


def _instants(values: list[Any], zone: str | None) -> pa.Array:
    present = [value for value in values if value is not None]
    texts = all(isinstance(value, str) for value in present)
    if not texts and not all(isinstance(value, datetime) for value in present):
        raise TypeError("a time is ISO 8601 text, or one of Avro's timestamps")
    zoned = _are_zoned(present, texts=texts)
    if not zoned and zone is None:
        raise ValueError("it carries no zone, and the endpoint declares no time_zone")
    kind = _UTC if zoned else pa.timestamp("us")
    times = pa.array(values, pa.string()).cast(kind) if texts else pa.array(values, kind)
    return times if zoned else pc.assume_timezone(times, zone).cast(_UTC)


def _are_zoned(present: list[Any], *, texts: bool) -> bool:
    if not texts:
        found = {value.tzinfo is not None for value in present}
        if len(found) > 1:
            raise ValueError("some times carry a zone, others none")
        return found != {False}
    try:
        pa.array(present, pa.string()).cast(_UTC)
    except pa.ArrowInvalid as exc:
        if "zone offset" not in str(exc):
            raise
        return False
    return True
