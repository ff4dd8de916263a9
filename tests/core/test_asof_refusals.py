"""What the join must refuse is refused by name, before a feature row is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.core.asof import Features, join
from jukebox.errors import InvalidType, InvalidValue, JukeboxError, MissingColumn, NameClash

IDS = {case["id"] for case in json.loads((Path(__file__).parents[1] / "cases" / "refusals.json").read_text())}

LABELS = pa.table({"user": [1, 2], "kind": ["a", "b"], "at": pa.array([10, 20], pa.timestamp("s"))})
TABLE = pa.table({"id": [1], "kind": ["a"], "ts": pa.array([5], pa.timestamp("us")), "plays": [7]})
ASKED = Features(TABLE, keys={"user": "id"}, event_time="ts", values={"n": "plays"})

Join = partial[pa.Table]


def asking(labels: pa.Table = LABELS, label_time: str = "at", table: Any = TABLE, **changes: Any) -> Join:
    """Return the join with some of its arguments changed."""
    return partial(join, labels, [replace(ASKED, table=table, **changes)], label_time=label_time)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with a column replaced."""
    return table.set_column(table.column_names.index(name), name, values)


ZONED = with_column(TABLE, "ts", pa.array([5], pa.timestamp("us", "UTC")))
WHOLE_LABELS = with_column(LABELS, "at", pa.array([10, 20], pa.int64()))

TABLE_0 = "feature table 0 ('n', …)"
COLUMNS = "there is 'id', 'kind', 'ts', 'plays'"
SAME = "give both the same kind"
TIMES = "a time is a timestamp, a date, a signed integer or a float (both seconds)"
ZONED_MESSAGE = (
    f"time 'at' of the labels is timestamp[s] (naive) and 'ts' of {TABLE_0} is timestamp[us, tz=UTC] (zoned); {SAME}"
)
MILLISECONDS = WHOLE_LABELS.append_column("ms", [[1, 1_700_000_000_000]])
NOT_COUNTABLE = (
    "label time 'ms' holds 1700000000000 in row 1, an integer that is neither seconds (below 10^11) "
    "nor nanoseconds (10^17 and more), so max_age cannot be counted; cast it to a timestamp"
)
DATED = ZONED.append_column("day", pa.array([0], pa.int32()).cast(pa.date32()))
TWO_IDS = pa.table([[1], [2], pa.array([5], pa.timestamp("s")), [7]], names=["id", "id", "ts", "plays"])

REFUSED: list[tuple[str, Join, type[JukeboxError], str]] = [
    (
        "label_time_column_missing",
        asking(label_time="when"),
        MissingColumn,
        "column 'when' is not in the labels; there is 'user', 'kind', 'at'",
    ),
    (
        "feature_time_column_missing",
        asking(event_time="when"),
        MissingColumn,
        f"column 'when' is not in {TABLE_0}; {COLUMNS}",
    ),
    (
        "feature_time_column_missing",
        asking(created_time="made"),
        MissingColumn,
        f"column 'made' is not in {TABLE_0}; {COLUMNS}",
    ),
    (
        "feature_column_missing",
        asking(values={"n": "skips"}),
        MissingColumn,
        f"column 'skips' is not in {TABLE_0}; {COLUMNS}",
    ),
    (
        "label_key_column_missing",
        asking(keys={"usr": "id"}),
        MissingColumn,
        "column 'usr' is not in the labels; there is 'user', 'kind', 'at'",
    ),
    (
        "negative_limit",
        asking(max_age=timedelta(microseconds=-1)),
        InvalidValue,
        "max_age of 'n' is datetime.timedelta(days=-1, seconds=86399, microseconds=999999); it must not be negative",
    ),
    *(
        (
            "limit_of_wrong_type",
            asking(max_age=limit),
            InvalidType,
            f"max_age of 'n' is {limit!r}; it must be a timedelta or None",
        )
        for limit in (3, 1.5, "two days", [timedelta(1)], True)
    ),
    (
        "limit_of_wrong_type",
        asking(max_age={"n": 3}),
        InvalidType,
        "max_age of 'n' is 3; it must be a timedelta or None",
    ),
    (
        "time_types_differ",
        asking(WHOLE_LABELS, table=with_column(TABLE, "ts", pa.array([5.0]))),
        InvalidType,
        f"time 'at' of the labels is int64 (integer) and 'ts' of {TABLE_0} is double (float); {SAME}",
    ),
    (
        "time_types_differ",
        asking(WHOLE_LABELS),
        InvalidType,
        f"time 'at' of the labels is int64 (integer) and 'ts' of {TABLE_0} is timestamp[us] (naive); {SAME}",
    ),
    (
        "key_types_differ",
        asking(keys={"user": "kind"}),
        InvalidType,
        f"key 'user' of the labels is int64 and 'kind' of {TABLE_0} is string; cast one to the other's type",
    ),
    (
        "key_lists_of_different_length",
        asking(keys={"user": "id", "kind": ["kind", "plays"]}),
        InvalidType,
        "keys of feature table 0 maps 'kind' to ['kind', 'plays']; both must be column names",
    ),
    (
        "key_lists_of_different_length",
        asking(keys=[["user", "kind"], ["id"]]),
        InvalidType,
        "keys of feature table 0 is [['user', 'kind'], ['id']]; it must map names to feature columns",
    ),
    ("time_is_text", asking(label_time="kind"), InvalidType, f"time 'kind' of the labels is string; {TIMES}"),
    ("time_is_text", asking(event_time="kind"), InvalidType, f"time 'kind' of {TABLE_0} is string; {TIMES}"),
    (
        "feature_name_collides_with_label_column",
        asking(values={"kind": "kind"}),
        NameClash,
        "'kind' is asked as an output and is a column of the labels; name the output otherwise",
    ),
    (
        "feature_name_collides_with_label_column",
        partial(join, LABELS, [ASKED, ASKED], label_time="at"),
        NameClash,
        "'n' is asked as an output 2 times; give each its own name",
    ),
    (
        "unknown_label_or_feature_table",
        asking(labels=None),  # type: ignore[arg-type]
        InvalidType,
        "the labels are NoneType; they must be a pyarrow Table",
    ),
    (
        "unknown_label_or_feature_table",
        asking(table=None),
        InvalidType,
        f"{TABLE_0} is NoneType; it must be a pyarrow Table or a stream of record batches",
    ),
    (
        "no_features_requested",
        partial(join, LABELS, [], label_time="at"),
        InvalidValue,
        "no feature table is given; a join needs at least one",
    ),
    (
        "no_features_requested",
        asking(values={}),
        InvalidValue,
        "feature table 0 is asked for no feature; it needs at least one in values",
    ),
    (
        "null_time",
        asking(with_column(LABELS, "at", pa.array([None, 20], pa.timestamp("s")))),
        InvalidValue,
        "label time 'at' is null in 1 of 2 rows: 0",
    ),
    (
        "null_time",
        asking(
            pa.table({"user": range(9), "at": [float("nan")] * 8 + [1.0]}),
            table=with_column(TABLE, "ts", pa.array([5.0])),
        ),
        InvalidValue,
        "label time 'at' is null in 8 of 9 rows: 0, 1, 2, 3, 4, …",
    ),
    ("naive_and_aware_times_mixed", asking(table=ZONED), InvalidType, ZONED_MESSAGE),
    (
        "naive_and_aware_times_mixed",
        asking(table=DATED, event_time="day", created_time="ts"),
        InvalidType,
        ZONED_MESSAGE,
    ),
    (
        "more",
        asking(max_age={"m": None}),
        MissingColumn,
        "max_age of feature table 0 names 'm'; its values are 'n'",
    ),
    (
        "more",
        asking(MILLISECONDS, "ms", with_column(TABLE, "ts", [[5]]), max_age=timedelta(1)),
        InvalidValue,
        NOT_COUNTABLE,
    ),
    ("more", asking(table=TWO_IDS), NameClash, f"column 'id' is 2 times in {TABLE_0}; it must be there once"),
    (
        "more",
        asking(with_column(LABELS, "kind", [[[1], [2]]]), keys={"kind": "kind"}),
        InvalidType,
        "key 'kind' of the labels is list<item: int64>; such values cannot be a key",
    ),
    (
        "more",
        asking(table=iter([])),
        InvalidValue,
        f"{TABLE_0} is a stream without a batch and so without a schema; pass a RecordBatchReader",
    ),
    (
        "more",
        asking(table=[TABLE]),
        InvalidType,
        f"{TABLE_0} is a stream of Table; it must be one of pyarrow record batches",
    ),
]


@pytest.mark.parametrize(
    ("refusal", "run", "error", "message"),
    REFUSED,
    ids=[f"{case[0]}-{place}" for place, case in enumerate(REFUSED)],
)
def test_bad_input_is_refused_with_what_was_wrong_and_what_there_is(
    refusal: str, run: Join, error: type[JukeboxError], message: str
) -> None:
    """The error has its kind and its whole sentence."""
    assert refusal in {*IDS, "more"}
    with pytest.raises(error) as caught:
        run()
    assert str(caught.value) == message


def test_every_refusal_at_hand_is_tried() -> None:
    """Each id of refusals.json has a case here."""
    assert {case[0] for case in REFUSED} >= IDS


def unreadable(read: list[int]) -> Iterator[pa.RecordBatch]:
    """Yield batches and write down each that is asked for."""
    for batch in range(3):
        read.append(batch)
        yield TABLE.to_batches()[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"event_time": "no"},
        {"values": {"kind": "plays"}},
        {"max_age": 3},
        {"keys": {"user": "kind"}},
        {"values": {}},
    ],
    ids=["column", "clash", "limit", "key", "nothing"],
)
def test_a_stream_is_not_read_before_it_is_refused(changes: dict[str, Any]) -> None:
    """Of a reader not one batch is taken, of a bare iterable the first at most, for its schema."""
    read: list[int] = []
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, unreadable(read))
    with pytest.raises(JukeboxError):
        asking(table=reader, **changes)()
    assert read == []
    with pytest.raises(JukeboxError):
        asking(table=unreadable(read), **changes)()
    assert read in ([], [0])


def test_the_second_table_is_checked_before_the_first_is_read() -> None:
    """A fault in a later table is found while no earlier one has been read."""
    read: list[int] = []
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, unreadable(read))
    with pytest.raises(MissingColumn):
        join(LABELS, [replace(ASKED, table=reader), replace(ASKED, values={"m": "no"})], label_time="at")
    assert read == []


def test_a_batch_of_another_schema_is_refused() -> None:
    """A stream whose columns change type is refused with both types."""
    other = with_column(TABLE, "plays", pa.array([7.0]))
    with pytest.raises(InvalidType, match="holds 'plays' as int64 at first and as double in a later batch"):
        asking(table=[*TABLE.to_batches(), *other.to_batches()])()


def test_a_null_event_time_is_no_error_and_no_answer() -> None:
    """A feature row without an event time is never used."""
    table = with_column(TABLE, "ts", pa.array([None], pa.timestamp("us")))
    assert asking(table=table)()["n"].to_pylist() == [None, None]
