"""What a join refuses: every check is made before a feature row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core.asof_keys import family
from jukebox.core.asof_times import NANOSECONDS_FROM, SECONDS_TO, clock
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.asof import Features
    from jukebox.core.asof_times import Clock, Integers, Truths

_LABELS = "the labels"
_SHOWN = 5


def check_request(labels: object, features: Sequence[Features]) -> None:
    """Raise unless the labels are a table, features are asked for, and each is asked for in the right terms."""
    if not isinstance(labels, pa.Table):
        raise InvalidType(f"the labels are {type(labels).__name__}; they must be a pyarrow Table")
    if len(features) == 0:
        raise InvalidValue("no feature table is given; a join needs at least one")
    for number, asked in enumerate(features):
        _check_names(asked, f"feature table {number}")


def _check_names(asked: Features, whose: str) -> None:
    for parameter, names in (("keys", asked.keys), ("values", asked.values)):
        if not isinstance(names, Mapping):
            raise InvalidType(f"{parameter} of {whose} is {names!r}; it must map names to feature columns")
        for pair in names.items():
            if not all(isinstance(name, str) for name in pair):
                raise InvalidType(f"{parameter} of {whose} maps {pair[0]!r} to {pair[1]!r}; both must be column names")
    if len(asked.values) == 0:
        raise InvalidValue(f"{whose} is asked for no feature; it needs at least one in values")
    _check_outputs_named(asked, whose)
    for column in asked.values:
        _check_limit(asked.limit(column), column)
        if asked.event_time is None and asked.limit(column) is not None:
            raise InvalidValue(f"max_age of '{column}' counts from event time, and {whose} has none")


def _check_outputs_named(asked: Features, whose: str) -> None:
    if not isinstance(asked.last_non_null, Collection):
        raise InvalidType(f"last_non_null of {whose} is {asked.last_non_null!r}; it must be a list of output columns")
    outputs = {
        "max_age": asked.max_age if isinstance(asked.max_age, Mapping) else (),
        "last_non_null": asked.last_non_null,
    }
    for parameter, columns in outputs.items():
        for column in [columns] if isinstance(columns, str) else columns:
            if column not in asked.values:
                raise MissingColumn(f"{parameter} of {whose} names '{column}'; its values are {_listed(asked.values)}")


def _check_limit(limit: object, column: str) -> None:
    if limit is None:
        return
    if not isinstance(limit, timedelta):
        raise InvalidType(f"max_age of '{column}' is {limit!r}; it must be a timedelta or None")
    if limit < timedelta(0):
        raise InvalidValue(f"max_age of '{column}' is {limit!r}; it must not be negative")


def check_outputs(labels: pa.Schema, features: Sequence[Features]) -> None:
    """Raise NameClash unless every output column has a name of its own."""
    names = Counter(name for asked in features for name in asked.values)
    for name, count in names.items():
        if name in labels.names:
            raise NameClash(f"'{name}' is asked as an output and is a column of the labels; name the output otherwise")
        if count > 1:
            raise NameClash(f"'{name}' is asked as an output {count} times; give each its own name")


def check_columns(labels: pa.Schema, source: pa.Schema, asked: Features, label_time: str, whose: str) -> None:
    """Raise unless all named columns are there and those that are compared have types that meet."""
    for name in asked.keys:
        _check_there(name, labels, _LABELS)
    for name in asked.columns():
        _check_there(name, source, whose)
    for ours, theirs in asked.keys.items():
        _check_meet(labels.field(ours), source.field(theirs), whose)
    ours_clock = label_clock(labels, label_time)
    for name in asked.times():
        _check_clocks(labels.field(label_time), ours_clock, source.field(name), whose)


def label_clock(labels: pa.Schema, label_time: str) -> Clock:
    """Return the clock of the label time; raise MissingColumn or InvalidType where there is none."""
    if not isinstance(label_time, str):
        raise InvalidType(f"label_time is {label_time!r}; it must be a column name")
    _check_there(label_time, labels, _LABELS)
    return clock_of(labels.field(label_time), _LABELS)


def clock_of(column: pa.Field, whose: str) -> Clock:
    """Return the clock of a time column; raise InvalidType where its type is no time."""
    found = clock(column.type)
    if found is None:
        raise InvalidType(
            f"time '{column.name}' of {whose} is {column.type}; a time is a timestamp, a date, "
            "a signed integer or a float (both seconds)"
        )
    return found


def _check_there(name: str, schema: pa.Schema, whose: str) -> None:
    count = schema.names.count(name)
    if count == 0:
        raise MissingColumn(f"column '{name}' is not in {whose}; there is {_listed(schema.names)}")
    if count > 1:
        raise NameClash(f"column '{name}' is {count} times in {whose}; it must be there once")


def _check_meet(ours: pa.Field, theirs: pa.Field, whose: str) -> None:
    for field, owner in ((ours, _LABELS), (theirs, whose)):
        if family(field.type) is None:
            raise InvalidType(f"key '{field.name}' of {owner} is {field.type}; such values cannot be a key")
    families = {family(ours.type), family(theirs.type)} - {"null"}
    if len(families) > 1:
        raise InvalidType(
            f"key '{ours.name}' of the labels is {ours.type} and '{theirs.name}' of {whose} is {theirs.type}; "
            "cast one to the other's type"
        )


def _check_clocks(ours: pa.Field, clock_: Clock, theirs: pa.Field, whose: str) -> None:
    found = clock_of(theirs, whose)
    if found.kind != clock_.kind:
        raise InvalidType(
            f"time '{ours.name}' of the labels is {ours.type} ({clock_.kind}) and '{theirs.name}' of {whose} is "
            f"{theirs.type} ({found.kind}); give both the same kind"
        )


def check_label_times(times: Integers, known: Truths, label_time: str) -> None:
    """Raise InvalidValue where a label has no time, with their number and the first rows."""
    missing = np.flatnonzero(~known)
    if len(missing) > 0:
        rows = ", ".join(str(row) for row in missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        raise InvalidValue(f"label time '{label_time}' is null in {len(missing)} of {len(times)} rows: {rows}")


def check_countable(times: Integers, clock_: Clock, features: Sequence[Features], label_time: str) -> None:
    """Raise InvalidValue where max_age meets integers that are neither seconds (below 10^11) nor nanoseconds."""
    limited = any(asked.limit(column) is not None for asked in features for column in asked.values)
    if clock_.kind != "integer" or not limited:
        return
    unclear = np.flatnonzero((np.abs(times.astype(np.float64)) >= SECONDS_TO) & (times < NANOSECONDS_FROM))
    if len(unclear) > 0:
        raise InvalidValue(
            f"label time '{label_time}' holds {times[unclear[0]]} in row {unclear[0]}, an integer that is neither "
            "seconds (below 10^11) nor nanoseconds (10^17 and more), so max_age cannot be counted; "
            "cast it to a timestamp"
        )


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "no column"
