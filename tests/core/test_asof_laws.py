"""The join equals a row-by-row reading of its rules on random tables, and obeys the laws that sharding needs."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.core import asof_pieces, asof_values
from jukebox.core.asof import Features, join, join_proven
from jukebox.core.asof_proof import merged
from jukebox.core.by_rule_values import cells, mark
from tests.core import asof_oracle
from tests.core.asof_strategies import cut, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.usefixtures("either_kernel"), pytest.mark.filterwarnings("error::RuntimeWarning")]

Request = tuple[pa.Table, list[Features], dict[str, bool]]

examples = settings(
    max_examples=int(os.environ.get("JUKEBOX_EXAMPLES", "75")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@contextmanager
def pieces_of(rows: int) -> Iterator[None]:
    """Make the stream's pieces, and what the store keeps beside its winners, as small as big tables make them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asof_pieces, "ROWS", rows)
        patch.setattr(asof_values, "SLACK", rows)
        yield


def outputs(table: pa.Table | dict[str, pa.ChunkedArray]) -> dict[str, list[str]]:
    """Return a joined table's row numbers and answers as texts that are equal for cells that are equal to the bit."""
    names = table.column_names if isinstance(table, pa.Table) else list(table)
    return {name: [mark(cell) for cell in cells(table[name])] for name in names if not name.startswith(("at", "key"))}


def as_bytes(table: pa.Table) -> bytes:
    """Return a table as bytes, in which NaN equals NaN."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


@given(request=requests(), rows=st.sampled_from([1, 2, 5, 1_000]))
@examples
def test_every_answer_is_the_one_that_the_rules_give(request: Request, rows: int) -> None:
    """Each cell, and each count of the proof, equals the oracle's; the label columns are as they were."""
    labels, features, rules = request
    with pieces_of(rows):
        joined, proofs = join_proven(labels, features, label_time="at", proof="full", **rules)
    assert as_bytes(joined.select(labels.column_names)) == as_bytes(labels)
    assert joined.column_names == [
        *labels.column_names,
        *(name for asked in features for name in asked.values),
    ]
    for asked, proof in zip(features, proofs, strict=True):
        expected = asof_oracle.answers(labels, asked, "at", **rules)
        for output, column in asked.values.items():
            values = cells(asked.table[column])
            answers = [None if row is None else values[row] for row in expected.rows[output]]
            assert list(map(mark, cells(joined[output]))) == list(map(mark, answers))
            assert joined[output].type == asked.table[column].type
        for shown in proof.columns:
            rows_used, known = expected.rows[shown.column], expected.known[shown.column]
            answered = sum(row is not None for row in rows_used)
            assert (shown.labels, shown.answered) == (len(labels), answered)
            assert shown.unanswered_no_history == known.count(None)
            assert shown.unanswered_too_old == len(labels) - answered - known.count(None)
            assert shown.newer_unknown == expected.newer_unknown[shown.column]
            assert shown.null_values == joined[shown.column].null_count - (len(labels) - answered)


@given(request=requests(), data=st.data())
@examples
def test_labels_joined_in_shards_equal_the_whole(request: Request, data: st.DataObject) -> None:
    """Labels cut in two, joined apart and concatenated give the table that they give together, and the proof.

    The median age is told to within a sixty-fourth.
    """
    labels, features, rules = request
    at = data.draw(st.integers(0, len(labels)))
    whole, proofs = join_proven(labels, features, label_time="at", proof="full", **rules)
    full: dict[str, Any] = {"proof": "full", "mergeable": True, **rules}
    shards = [join_proven(part, features, label_time="at", **full) for part in (labels[:at], labels[at:])]
    assert outputs(pa.concat_tables(shard for shard, _ in shards)) == outputs(whole)
    assert all(shard.schema.equals(whole.schema) for shard, _ in shards)
    for table, both in zip(proofs, merged(shards[0][1], shards[1][1]), strict=True):
        for one, other in zip(table.columns, both.columns, strict=True):
            assert replace(one, median_age_us=None) == replace(other, median_age_us=None)
            assert (one.median_age_us is None) == (other.median_age_us is None)
            assert abs((one.median_age_us or 0) - (other.median_age_us or 0)) <= (one.median_age_us or 0) / 64


@given(request=requests(tables=1), data=st.data())
@examples
def test_the_cutting_of_the_stream_changes_nothing(request: Request, data: st.DataObject) -> None:
    """A table, and the same rows as a reader or as a bare iterable in any batches, give the same answers."""
    labels, (asked,), rules = request
    whole = join(labels, [asked], label_time="at", **rules)
    batches = data.draw(cut(asked.table))
    reader = pa.RecordBatchReader.from_batches(asked.table.schema, iter(batches))
    with pieces_of(data.draw(st.sampled_from([1, 3, 1_000]))):
        for stream in (reader, iter(batches), pa.Table.from_batches(batches)):
            again = join(labels, [replace(asked, table=stream)], label_time="at", **rules)
            assert outputs(again) == outputs(whole)


@given(request=requests(), data=st.data())
@examples
def test_permuted_labels_give_permuted_answers(request: Request, data: st.DataObject) -> None:
    """The order of the labels decides the order of the rows and nothing else; doubled labels are answered twice."""
    labels, features, rules = request
    order = data.draw(st.permutations(range(len(labels)))) + data.draw(st.sampled_from([[], list(range(len(labels)))]))
    rows = pa.array(order, pa.int64())
    whole = join(labels, features, label_time="at", **rules)
    again = join(labels.take(rows), features, label_time="at", **rules)
    assert outputs(again) == outputs(whole.take(rows))


@given(request=requests(tables=3))
@examples
def test_another_feature_changes_no_other_column(request: Request) -> None:
    """Tables asked together answer as each of them does alone."""
    labels, features, rules = request
    together = join(labels, features, label_time="at", **rules)
    for asked in features:
        alone = join(labels, [asked], label_time="at", **rules)
        assert outputs(alone) == outputs(together.select(alone.column_names))


@given(request=requests(tables=1), data=st.data())
@examples
def test_row_order_matters_for_nothing_but_equal_times(request: Request, data: st.DataObject) -> None:
    """Feature rows in another order give the same answers where no two rows of a key have the same times."""
    labels, (asked,), rules = request
    names = [*asked.keys.values(), *asked.times()]
    ranks = list(zip(range(len(asked.table)), *(texts(asked.table[name]) for name in names), strict=True))
    first_rows = [row for row, *rank in {rank[1:]: rank for rank in reversed(ranks)}.values()]
    table = asked.table.take(pa.array(first_rows, pa.int64()))
    shuffled = table.take(pa.array(data.draw(st.permutations(range(len(table)))), pa.int64()))
    first, second = (join(labels, [replace(asked, table=t)], label_time="at", **rules) for t in (table, shuffled))
    assert outputs(first) == outputs(second)


def texts(column: pa.ChunkedArray) -> list[str]:
    """Return values as text, in which -0.0 and 0.0, and null and NaN, are one."""
    if pa.types.is_floating(column.type):
        return [str(None if value is None or math.isnan(value) else value + 0.0) for value in column.to_pylist()]
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    return [str(value) for value in column.to_pylist()]
