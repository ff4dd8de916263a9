"""The rules by search: every question and edge by hand, and the same whatever batches the rows come in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.by_rule import Question, Search
from jukebox.core.by_rule_origins import Origins
from jukebox.core.by_rule_values import cells, instants, mark

US = pa.timestamp("us")


def labels(*rows: tuple[Any, int]) -> pa.Table:
    """Return labels of (user, microseconds)."""
    return pa.table({"user": [row[0] for row in rows], "at": pa.array([row[1] for row in rows], US)})


def plays(*rows: tuple[Any, int | None, int | None, int | None]) -> pa.RecordBatch:
    """Return feature rows of (user, event, created, n)."""
    users, events, created, counts = zip(*rows, strict=True)
    arrays = [pa.array(users), pa.array(events, US), pa.array(created, US), pa.array(counts, pa.int64())]
    return pa.RecordBatch.from_arrays(arrays, ["user", "ts", "made", "n"])


def asked(**about: Any) -> Question:
    """Return the question for ``n`` of the plays of a user."""
    fixed = {"keys": {"user": "user"}, "label_time": "at", "event_time": "ts", "values": {"n": "n"}}
    return Question(**{**fixed, "created_time": "made", **about})


def found(question: Question, spine: pa.Table, *batches: pa.RecordBatch) -> list[Any]:
    """Return the values of the answers in ``n``."""
    search = Search(spine, question)
    for batch in batches:
        search.read(batch)
    return [answer.value for answer in search.answers("n")]


ROWS = plays(("a", 10, 10, 1), ("a", 20, 30, 2), ("a", 20, 25, 3), ("a", None, 1, 4), ("a", 25, None, 5))


@pytest.mark.parametrize(
    ("at", "about", "value"),
    [
        (9, {}, None),
        (10, {}, 1),
        (10, {"allow_exact": False}, None),
        (24, {}, 1),
        (25, {}, 3),
        (25, {"allow_exact": False}, 3),
        (30, {}, 2),
        (20, {"as_known": False}, 2),
        (25, {"as_known": False}, 5),
        (25, {"as_known": False, "allow_exact": False}, 2),
        (20, {"created_time": None}, 3),
        (30, {"max_age": {"n": timedelta(microseconds=10)}}, 2),
        (31, {"max_age": {"n": timedelta(microseconds=10)}}, None),
        (10, {"max_age": {"n": timedelta(0)}}, 1),
        (0, {"event_time": None, "created_time": None}, 5),
        (24, {"event_time": None}, 1),
    ],
)
def test_an_answer_is_the_one_that_the_rules_give(at: int, about: dict[str, Any], value: int | None) -> None:
    """Exact times, late rows, rows without times, ties, ages and their edges, and rows true at all times."""
    assert found(asked(**about), labels(("a", at)), ROWS) == [value]


def test_the_last_of_equal_rows_wins_across_batches() -> None:
    """Position counts through all batches; an earlier batch's row wins only with later times."""
    first, second = plays(("a", 10, 10, 1), ("a", 12, 12, 2)), plays(("a", 10, 10, 3))
    spine = labels(("a", 10), ("a", 12))
    assert found(asked(), spine, first, second) == [3, 2]
    assert found(asked(), spine, second, first) == [1, 2]


def test_null_is_an_answer_unless_the_last_with_a_value_is_asked_for() -> None:
    """Then the row with a value answers, and its own age counts."""
    rows = plays(("a", 10, 10, 7), ("a", 20, 20, None))
    spine = labels(("a", 25))
    assert found(asked(), spine, rows) == [None]
    last = {"last_non_null": frozenset(["n"])}
    assert found(asked(**last), spine, rows) == [7]
    assert found(asked(**last, max_age={"n": timedelta(microseconds=15)}), spine, rows) == [7]
    assert found(asked(**last, max_age={"n": timedelta(microseconds=14)}), spine, rows) == [None]


def test_a_null_in_a_key_matches_nothing_and_no_key_matches_all() -> None:
    """Not even another null; a global series answers every label."""
    rows = plays((None, 10, 10, 1), ("b", 11, 11, 2))
    spine = labels((None, 30), ("b", 30), ("c", 30))
    assert found(asked(), spine, rows) == [None, 2, None]
    assert found(asked(keys={}), spine, rows) == [2, 2, 2]


def test_keys_of_several_columns_are_not_glued() -> None:
    """('a', 'b|c') and ('a|b', 'c') are two keys."""
    spine = pa.table({"x": ["a", "a|b"], "y": ["b|c", "c"], "at": pa.array([5, 5], US)})
    arrays = [pa.array(["a|b", "a"]), pa.array(["c", "b|c"]), pa.array([1, 1], US), pa.array([1, 2])]
    rows = pa.RecordBatch.from_arrays(arrays, ["x", "y", "ts", "n"])
    assert found(asked(keys={"x": "x", "y": "y"}, created_time=None), spine, rows) == [2, 1]


def test_times_of_other_units_compare_to_the_nanosecond() -> None:
    """A row one nanosecond after the label's second is the future, far beyond what a float can tell."""
    second = 2**32
    spine = pa.table({"user": ["a"], "at": pa.array([second], pa.timestamp("s"))})
    times = pa.array([second * 10**9, second * 10**9 + 1], pa.timestamp("ns"))
    rows = pa.RecordBatch.from_arrays([pa.array(["a", "a"]), times, pa.array([1, 2])], ["user", "ts", "n"])
    assert found(asked(created_time=None), spine, rows) == [1]


def test_a_newer_row_that_is_not_known_is_told_of() -> None:
    """Only one of a later event than the answer's, and only where rows can be hidden."""
    search = Search(labels(("a", 24), ("a", 25), ("a", 9)), asked())
    search.read(ROWS)
    assert [(answer.row, answer.newer_unknown) for answer in search.answers("n")] == [
        (0, True),
        (2, True),
        (None, False),
    ]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]),
            st.none() | st.integers(0, 6),
            st.none() | st.integers(0, 6),
            st.none() | st.integers(0, 3),
        ),
        min_size=1,
        max_size=12,
    ),
    at=st.integers(0, 8),
    cut=st.integers(0, 12),
    last=st.booleans(),
    known=st.booleans(),
)
@settings(deadline=None)
def test_the_cutting_into_batches_changes_nothing_and_each_row_is_weighed(
    rows: list[Any], at: int, cut: int, last: bool, known: bool
) -> None:
    """The answer is the greatest of all rows that may answer, each looked at by itself."""
    question = asked(as_known=known, last_non_null=frozenset(["n"] if last else []))
    may = [
        (row[1], row[2] is not None, row[2] or 0, number, row[3])
        for number, row in enumerate(rows)
        if row[0] == "a"
        and row[1] is not None
        and row[1] <= at
        and (not known or (row[2] is not None and row[2] <= at))
        and not (last and row[3] is None)
    ]
    expected = max(may)[-1] if may else None
    batch = plays(*rows)
    assert found(question, labels(("a", at)), batch.slice(0, cut), batch.slice(cut)) == [expected]


def test_a_value_comes_from_the_future_from_the_past_or_from_nowhere() -> None:
    """By the rows of the label's own key: known then, not known then, both, or none."""
    spine = labels(("a", 24), ("a", 24), ("a", 24), ("b", 24))
    rows = plays(("a", 10, 10, 1), ("a", 12, 12, 6), ("a", 30, 30, 6), ("a", 20, 26, 2))
    origins = Origins(spine, asked(), {(0, "n"): 2, (1, "n"): 6, (2, "n"): 9, (3, "n"): 2})
    origins.read(rows)
    assert (origins.known, origins.unknown) == ({(1, "n")}, {(0, "n"), (1, "n")})


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([1, None], pa.timestamp("ns", "UTC")), [1, None]),
        (pa.array([86_400_000], pa.int64()).view(pa.date64()), [86_400_000]),
        (pa.array([3], pa.int32()).view(pa.date32()), [3]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array([[1, None], None, []], pa.list_(pa.int8())), [[1, None], None, []]),
        (pa.array([[10**18 + 1], None], pa.list_(pa.timestamp("ns"))), [[10**18 + 1], None]),
        (pa.array([[1.5, 2.0], None, [0.5, 1.0]], pa.list_(pa.float32(), 2)), [[1.5, 2.0], None, [0.5, 1.0]]),
        (pa.array([b"\x00", None]), [b"\x00", None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    ],
)
def test_cells_are_exact_also_of_a_slice(array: pa.Array, values: list[Any]) -> None:
    """Times are the integers that they are, lists keep their nulls, embeddings their lengths."""
    assert cells(array) == values
    assert cells(array.slice(1)) == values[1:]
    assert cells(pa.chunked_array([array, array])) == values * 2


def test_instants_meet_in_nanoseconds_and_numbers_stay_what_they_are() -> None:
    """A date is its midnight; NaN is no time."""
    assert instants(pa.array([2, None], pa.timestamp("ms"))) == [2_000_000, None]
    assert instants(pa.array([1], pa.int32()).view(pa.date32())) == [86_400 * 10**9]
    assert instants(pa.array([0.5, float("nan")])) == [0.5, None]
    assert instants(pa.array([2**63 - 1], pa.timestamp("s"))) == [(2**63 - 1) * 10**9]


def test_marks_tell_values_apart_to_the_bit() -> None:
    """All NaN are one; 0.0 and -0.0, 1 and True, None and an empty list are not."""
    nan = float("nan")
    assert mark(nan) == mark(-nan * 0)
    pairs = [(0.0, -0.0), (1, True), (1, 1.0), (None, []), ("1", 1), (b"a", "a"), ([1.0], [1.0, 1.0])]
    assert all(mark(one) != mark(other) for one, other in pairs)
