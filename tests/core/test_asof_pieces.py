"""Tables in pieces: what is known of the pieces, and who reads them when, changes no answer and no count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core import asof, asof_tables, kernel
from jukebox.core.asof import Features, Progress, join_proven
from jukebox.core.by_rule_values import cells
from tests.core.asof_strategies import cut, requests
from tests.core.test_asof_laws import Request, examples, outputs, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from jukebox.core.asof_proof import Proof

pytestmark = pytest.mark.usefixtures("either_kernel")


@dataclass
class Group:
    """Rows that tell, as a row group of a Parquet file does, what their least and greatest values are."""

    batch: pa.RecordBatch
    reads: int = 0

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.batch.num_rows)

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows in two batches, their texts as dictionaries."""
        self.reads += 1
        for part in (self.batch[: self.rows // 2], self.batch[self.rows // 2 :]):
            found = [part.column(part.schema.get_field_index(name)) for name in columns]
            plain = [
                name in encoded and not pa.types.is_dictionary(one.type)
                for name, one in zip(columns, found, strict=True)
            ]
            arrays = [one.dictionary_encode() if coded else one for one, coded in zip(found, plain, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def bounds(self, column: str) -> Any:
        """Return the least and the greatest value where a file's statistics tell them."""
        values = self.batch.column(self.batch.schema.get_field_index(column))
        known, kind = [value for value in cells(values) if value is not None], values.type
        if not known:
            return None
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            told = [value.encode() if isinstance(value, str) else value for value in known]
            return min(told), max(told)
        whole = pa.types.is_timestamp(kind) or pa.types.is_date32(kind) or pa.types.is_signed_integer(kind)
        return (min(known), max(known)) if whole else None


def coded(texts: pa.Array) -> pa.Array:
    """Return texts as a dictionary."""
    return texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()


@dataclass
class Groups:
    """A table in such groups."""

    schema: pa.Schema
    groups: list[Group] = field(default_factory=list)

    def pieces(self) -> Sequence[Group]:
        """Return the groups."""
        return self.groups


def in_groups(asked: Features, batches: Sequence[pa.RecordBatch]) -> Features:
    """Return the same request of the same rows in groups."""
    return replace(asked, table=Groups(asked.table.schema, [Group(batch) for batch in batches]))


def proven(labels: pa.Table, asked: Features, rules: dict[str, bool], **about: Any) -> tuple[Any, list[Proof]]:
    """Return the answers and the proofs."""
    joined, proofs = join_proven(labels, [asked], label_time="at", proof="full", **rules, **about)
    return outputs(joined), proofs


@given(request=requests(tables=1), data=st.data())
@examples
def test_pieces_that_are_left_out_for_what_they_tell_answer_nothing(request: Request, data: st.DataObject) -> None:
    """Bounds of keys and times, whatever the types of both sides, spare only reading that gives no answer."""
    labels, (asked,), rules = request
    with pieces_of(data.draw(st.sampled_from([1, 3, 1_000]))):
        found = proven(labels, in_groups(asked, data.draw(cut(asked.table))), rules)
    assert found == proven(labels, asked, rules)


@given(request=requests(tables=1), data=st.data())
@examples
def test_the_order_of_reading_changes_nothing(request: Request, data: st.DataObject) -> None:
    """Positions are those of the table, whichever piece is read first, on one thread or on four."""
    labels, (asked,), rules = request
    pieces = in_groups(asked, data.draw(cut(asked.table)))
    order, each = data.draw(st.randoms(use_true_random=False)), asof_tables._each

    def shuffled(pool: Any, work: Callable[[Any], None], placed: Sequence[Any]) -> None:
        each(pool, work, order.sample(list(placed), len(placed)))

    with pytest.MonkeyPatch.context() as patch, pieces_of(data.draw(st.sampled_from([1, 1_000]))):
        patch.setattr(asof, "WORTH_THREADS", 0)
        patch.setattr(asof_tables, "_each", shuffled)
        found = [proven(labels, pieces, rules, threads=threads) for threads in (1, 4)]
    assert found == [proven(labels, asked, rules)] * 2


@pytest.mark.parametrize(
    ("keys", "times", "reads"),
    [
        (["a", "b"], [1, 2], 2),
        (["a", "b"], [30, 40], 0),
        (["x", "z"], [1, 2], 0),
        (["a", "z"], [1, 40], 2),
        ([None, None], [1, 2], 2),
    ],
)
def test_a_piece_of_the_future_or_of_other_keys_is_not_read(keys: list[Any], times: list[int], reads: int) -> None:
    """One that may hold an answer is read for keys and times, and once more where it has one; its rows are counted.

    NumPy's loops put no texts in order: there, other keys are found out by reading them.
    """
    if keys == [None, None] or (keys == ["x", "z"] and not kernel.is_compiled()):
        reads = 1
    labels = pa.table({"k": ["a", "b"], "at": pa.array([10, 20], pa.timestamp("s"))})
    columns = [pa.array(keys, pa.string()), pa.array(times, pa.timestamp("s")), pa.array([1, 2])]
    group, told = Group(pa.RecordBatch.from_arrays(columns, ["k", "ts", "n"])), list[Progress]()
    asked = Features(Groups(group.batch.schema, [group]), keys={"k": "k"}, event_time="ts", values={"n": "n"})
    join_proven(labels, [asked], label_time="at", progress=told.append)
    assert group.reads == reads
    assert told[-1] == Progress(2, 2, 1, 1)


@pytest.mark.parametrize("allow_exact", [True, False])
@pytest.mark.parametrize("form", ["table", "pieces", "stream"])
def test_rows_that_are_true_at_all_times_for_everyone_answer_every_label(form: str, *, allow_exact: bool) -> None:
    """A table that is asked for no key and no time is read by its values alone; the last row answers."""
    labels = pa.table({"at": pa.array([10, 20], pa.timestamp("s"))})
    rows = pa.table({"n": [7, 8]})
    forms = {"table": rows, "pieces": Groups(rows.schema, [Group(rows.to_batches()[0])]), "stream": rows.to_batches()}
    asked = Features(forms[form], keys={}, event_time=None, values={"n": "n"})
    joined, _ = join_proven(labels, [asked], label_time="at", allow_exact=allow_exact)
    assert joined["n"].to_pylist() == [8, 8]
