"""Parts of a feature table that are raced apart and merged are the whole: in any order, values and proof included."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core import asof_rules
from jukebox.core.asof import Features, Proof, join_proven
from jukebox.core.asof_merging import finished, merge, packed, race, unpacked, winners_of
from jukebox.core.asof_pass import Labels, Pass, Rules, begun, labels_of
from jukebox.core.asof_pieces import TablePiece
from jukebox.core.asof_tables import Source
from jukebox.core.asof_times import ticks
from tests.core.asof_strategies import cut, requests
from tests.core.test_asof_laws import Request, as_bytes, examples, outputs, pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("either_kernel")

FAR = 2**40


def ready(labels: pa.Table) -> Labels:
    """Return labels as a join has them, their time in ``at``."""
    return labels_of(labels, ticks(labels["at"])[0], asof_rules.label_clock(labels.schema, "at"))


def started(labels: pa.Table, asked: Features, rules: Rules) -> Pass:
    """Return a pass that no row was raced in, over labels that were prepared for it alone."""
    return begun(ready(labels), asked, rules, asked.table.schema, "the table", stores=True)


def merged(
    labels: pa.Table, asked: Features, rules: Rules, parts: Sequence[pa.RecordBatch], order: Sequence[Sequence[int]]
) -> tuple[dict[str, pa.ChunkedArray], Proof]:
    """Return columns and proof of parts that are raced apart, each group of ``order`` in one pass, and merged."""
    source = Source(asked, asked.table.schema, asked.table, "the table")
    whole = started(labels, asked, rules)
    for group in order:
        alone = started(labels, asked, rules)
        for number in group:
            race(alone, source, TablePiece((parts[number],)), number * FAR)
        merge(whole, unpacked(packed(winners_of(alone))))
    return finished(whole)


@st.composite
def groups(draw: st.DrawFn, parts: int) -> list[list[int]]:
    """Draw which parts are raced together, and in which order; some group has none."""
    where = draw(st.lists(st.integers(0, 3), min_size=parts, max_size=parts))
    order = draw(st.permutations(range(parts)))
    return [[number for number in order if where[number] == group] for group in range(4)]


@given(request=requests(tables=1), rows=st.sampled_from([1, 2, 1_000]), data=st.data())
@examples
def test_parts_raced_apart_and_merged_in_any_order_equal_the_whole(
    request: Request, rows: int, data: st.DataObject
) -> None:
    """Values, every count of the proof and ``newer_unknown`` are those of the join that read all rows itself."""
    labels, (asked,), rules = request
    parts = data.draw(cut(asked.table))
    order = data.draw(groups(len(parts)))
    expected, (proof,) = join_proven(labels, [asked], label_time="at", proof="full", **rules)
    with pieces_of(rows):
        columns, shown = merged(labels, asked, Rules(**rules, proof="full"), parts, order)
    assert outputs(columns) == {name: told for name, told in outputs(expected).items() if name in columns}
    assert columns.keys() == asked.values.keys()
    assert shown == proof


@given(request=requests(tables=1), data=st.data())
@examples
def test_winners_merged_twice_change_nothing(request: Request, data: st.DataObject) -> None:
    """A runner may do a part's work again: the same winners against themselves are the same answers."""
    labels, (asked,), rules = request
    parts = data.draw(cut(asked.table))
    once = [[number] for number in range(len(parts))]
    ruled = Rules(**rules, proof="full")
    first, proof = merged(labels, asked, ruled, parts, once)
    again, shown = merged(labels, asked, ruled, parts, once + once[::-1])
    assert outputs(again) == outputs(first)
    assert shown == proof


KINDS = {
    "bool": pa.array([True, None, False, True]),
    "decimal": pa.array([1, None, 3, 4], pa.decimal128(9, 2)),
    "text": pa.array(["a", None, "", "é"]),
    "bytes": pa.array([b"\0", None, b"", b"x"], pa.large_binary()),
    "list": pa.array([[1.0], None, [], [2.0, 3.0]], pa.list_(pa.float32())),
    "embedding": pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    "dictionary": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "struct": pa.array([{"a": 1}, None, {"a": None}, {"a": 4}]),
    "map": pa.array([[("a", 1)], None, [], [("b", 2)]], pa.map_(pa.string(), pa.int64())),
    "nanoseconds": pa.array([2**62, None, 1, -1], pa.timestamp("ns", "UTC")),
    "duration": pa.array([timedelta(1), None, timedelta(0), timedelta(3)], pa.duration("us")),
    "null": pa.nulls(4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_any_type_travels_as_it_is(kind: str) -> None:
    """What another process has won keeps its type and its nulls."""
    day = [datetime(2024, 1, number) for number in (1, 2, 3, 4)]
    labels = pa.table({"user": [2, 1, 2, 1], "at": day})
    rows = pa.table({"user": [1, 2, 1, 2], "ts": day, "value": KINDS[kind]})
    asked = Features(rows, keys={"user": "user"}, event_time="ts", values={"answer": "value"})
    joined, (proof,) = join_proven(labels, [asked], label_time="at", proof="full")
    parts = [part.to_batches()[0] for part in (rows[:1], rows[1:3], rows[3:])]
    columns, shown = merged(labels, asked, Rules(True, True, "full"), parts, [[2, 0], [1]])
    assert as_bytes(labels.append_column("answer", columns["answer"])) == as_bytes(joined)
    assert outputs(labels.append_column("answer", columns["answer"])) == outputs(joined)
    assert shown == proof


def test_an_integer_column_called_as_a_rank_is_not_taken_for_it() -> None:
    """Features may be called slot, event, created and position."""
    day = [datetime(2024, 1, number) for number in (1, 2)]
    labels = pa.table({"user": [1, 1], "at": day})
    names = ("slot", "event", "created", "position")
    rows = pa.table({"user": [1, 1], "ts": day, **{name: [7, 8] for name in names}})
    asked = Features(rows, keys={"user": "user"}, event_time="ts", values={f"the_{name}": name for name in names})
    columns, _ = merged(labels, asked, Rules(True, True, "full"), rows.to_batches(), [[0]])
    assert {name: column.to_pylist() for name, column in columns.items()} == {f"the_{name}": [7, 8] for name in names}
