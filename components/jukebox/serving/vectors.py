"""What a reader answers: feature values with their times and states, by entity, or as columns of Arrow and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
import pyarrow as pa

from jukebox.errors import InvalidType, MissingColumn, NameClash, reason
from jukebox.formats.columns import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

Status = Literal["fresh", "stale", "missing", "unknown_entity"]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class FeatureValue(NamedTuple):
    """The value of one feature as of a moment, and ``feature``, the version that it is of.

    It is ``fresh``; ``stale``, past its max age; ``missing``: the entity has a row, which was not known yet; or of an
    ``unknown_entity``, which has no row at all. As in training, ``value`` is None unless it is fresh, and may be None
    then too: the newest row held null. ``too_old`` keeps what a stale row held. ``event_time`` is the row's; None
    where the feature is static or contextual, or nothing was known.
    """

    name: str
    value: Any
    event_time: datetime | None
    status: Status
    feature: str = ""
    too_old: Any = None


@dataclass(frozen=True)
class FeatureVector:
    """The features of one entity, in the order asked, under the id of the request that they were served for."""

    features: tuple[FeatureValue, ...]
    request_id: str = ""

    def __getitem__(self, name: str) -> FeatureValue:
        """Return the feature that was asked for as ``name``; raises MissingColumn where none was."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise MissingColumn(f"'{name}' was not asked for; there is {', '.join(f.name for f in self.features)}")

    def __iter__(self) -> Iterator[FeatureValue]:
        """Yield the features in the order asked."""
        return iter(self.features)

    def __len__(self) -> int:
        """Return how many features were asked for."""
        return len(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by the names that were asked for."""
        return {feature.name: feature.value for feature in self.features}


class Verdict(NamedTuple):
    """What became of the rows that several features stand in: their states, and times in nanoseconds since 1970.

    A time is None where it is unknown, or was not known yet.
    """

    statuses: Sequence[Status]
    times: Sequence[int | None]
    zoned: bool
    all_fresh: bool

    def time(self, place: int) -> datetime | None:
        """Return a row's event time, naive where the feature's times are."""
        found = self.times[place]
        if found is None:
            return None
        moment = _EPOCH + timedelta(microseconds=found // 1_000)
        return moment if self.zoned else moment.replace(tzinfo=None)

    def datetimes(self) -> list[datetime | None]:
        """Return the event times of all rows."""
        return [self.time(place) for place in range(len(self.times))]


class Column(NamedTuple):
    """One feature of all entities: what their rows ``held``, of which a verdict says what may be used."""

    name: str
    feature: str
    type: pa.DataType | None
    held: Sequence[Any]
    verdict: Verdict

    def values(self) -> Sequence[Any]:
        """Return the values by entity; None where they are not fresh."""
        if self.verdict.all_fresh:
            return self.held
        return [
            held if status == "fresh" else None for held, status in zip(self.held, self.verdict.statuses, strict=True)
        ]

    def value(self, place: int) -> FeatureValue:
        """Return the value of one entity with all that is known of it."""
        verdict = self.verdict
        held, status = self.held[place], verdict.statuses[place]
        fresh, stale = status == "fresh", status == "stale"
        told = verdict.time(place), status, self.feature, held if stale else None
        return FeatureValue(self.name, held if fresh else None, *told)


class FeatureVectors(Sequence[FeatureVector]):
    """A vector for each entity, in order; ``columns`` are the features in the order asked."""

    def __init__(self, columns: Sequence[Column], entities: int, request_id: str) -> None:
        self.columns, self.request_id, self._entities = tuple(columns), request_id, entities

    @overload
    def __getitem__(self, place: int) -> FeatureVector: ...
    @overload
    def __getitem__(self, place: slice) -> list[FeatureVector]: ...
    def __getitem__(self, place: int | slice) -> FeatureVector | list[FeatureVector]:
        """Return the vector of one entity, or of several."""
        at = range(self._entities)[place]
        return self._vector(at) if isinstance(at, int) else [self._vector(each) for each in at]

    def __len__(self) -> int:
        """Return how many entities were asked for."""
        return self._entities

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the values of each entity by the names that were asked for."""
        names = [column.name for column in self.columns]
        rows = zip(*(column.values() for column in self.columns), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def to_arrow(self, *, states: bool = False) -> pa.Table:
        """Return a column for each feature, of the type that the online table has for it.

        With ``states`` each is followed by ``<name>.event_time`` and ``<name>.status``. Raises InvalidType for
        contextual values of the type ``any`` that do not make one column, and NameClash where a feature is called as
        another's state.
        """
        columns = [pair for column in self.columns for pair in _arrays(column, states=states)]
        names = [name for name, _ in columns]
        twice = repeated(names) if states else []
        if twice:
            raise NameClash(f"'{twice[0]}' would be both a feature and the state of one; ask for it under another name")
        return pa.table([array for _, array in columns], names=names)

    def to_numpy(self) -> dict[str, npt.NDArray[Any]]:
        """Return an array for each feature; lists of a fixed size have a second dimension.

        A null is NaN among floats. Other columns with nulls are of objects, None among them, so that no integer
        goes through a float.
        """
        return {column.name: _numbers(_array(column)) for column in self.columns}

    def _vector(self, place: int) -> FeatureVector:
        return FeatureVector(tuple([column.value(place) for column in self.columns]), self.request_id)


def _arrays(column: Column, *, states: bool) -> list[tuple[str, pa.Array]]:
    values = [(column.name, _array(column))]
    if not states:
        return values
    verdict = column.verdict
    times = pa.array(verdict.times, pa.int64()).cast(pa.timestamp("ns", "UTC" if verdict.zoned else None))
    told = pa.array(verdict.statuses, pa.string())
    return [*values, (f"{column.name}.event_time", times), (f"{column.name}.status", told)]


def _array(column: Column) -> pa.Array:
    try:
        return pa.array(column.values(), column.type)
    except (pa.ArrowException, TypeError, OverflowError) as exc:
        raise InvalidType(f"the values of '{column.name}' make no column of {column.type}: {reason(exc)}") from exc


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_fixed_size_list(array.type) and array.null_count == 0:
        flat = _numbers(array.flatten())
        return flat.reshape(len(array), array.type.list_size)
    if array.null_count > 0 and not pa.types.is_floating(array.type):
        objects = np.empty(len(array), object)
        objects[:] = array.to_pylist()
        return objects
    found: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found
