"""A training set that is right verifies; one changed cell, leak, source or record is found and named."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine import verifying
from jukebox.engine.verification import EITHER, FUTURE, NOWHERE, PAST, Mismatch
from jukebox.engine.verifying import verify
from jukebox.errors import InvalidValue, LeakFound, NotReproduced, SourceChanged, StorageError
from jukebox.formats import parquet
from tests.components.place import DELAY, LATE, SEATS, TEMP, WIND, Place, at, labels, write
from tests.engine.tampering import cell, told

SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"), ("JFK", "02 06:59"), ("JFK", "02 07:30"), ("SFO", "03 12:00"))
ALL = [TEMP, WIND, SEATS, DELAY, LATE]


def everything(here: Place, **about: Any) -> None:
    """Join every kind of feature to labels, some of them in two ways."""
    for endpoint in ("weather", "planes", "arrivals", "routes"):
        here.load(endpoint, out=str(here.root / "tables" / endpoint))
    spine = SPINE.append_column("tail", pa.array(["N1", "N2", None, "N1", "N9"]))
    here.join(spine.append_column("dest", pa.array(["SFO", "JFK", "LGA", "JFK", "SFO"])), **about)


def joined(here: Place, **about: Any) -> str:
    """Join the weather to labels; return where the training set lies."""
    here.load()
    here.join(SPINE, [TEMP, WIND], **about)
    return str(here.out)


@pytest.mark.parametrize("as_known", [True, False])
@pytest.mark.parametrize("allow_exact", [True, False])
def test_a_training_set_that_is_right_verifies(here: Place, *, as_known: bool, allow_exact: bool) -> None:
    """Late, static, naive and composite ones: each cell of labels and features is compared and none differs."""
    everything(here, features=ALL, as_known=as_known, allow_exact=allow_exact)
    found = verify(str(here.out))
    assert (found.error, found.faults, found.changed, found.differing) == (None, (), (), ())
    assert (found.rows, found.of_rows, found.cells) == (5, 5, 5 * 10)


def test_a_feature_in_two_roles_and_its_last_value_verify(here: Place) -> None:
    """The weather of origin and destination, and the last temperature there was: each by its own rule."""
    here.weather("2024-01-02", [("JFK", at("02 00:00"), at("02 01:00"), 5.0, 1.0)] * 2)
    here.weather("2024-01-03", [("JFK", at("03 00:00"), at("03 01:00"), None, 2.0)])
    destinations = {"column": "dest_wind", "keys": {"dest": "origin"}}
    last = {"column": "last_temp", "last_non_null": True, "max_age": None}
    request = {WIND: ["wind", destinations, {**destinations, "column": "fresh", "max_age": "1d"}], TEMP: [None, last]}
    everything(here, features=request)
    found = verify(str(here.out))
    assert (found.error, found.cells) == (None, 5 * 10)
    assert here.joined()["dest_wind"].null_count < 5


def test_one_changed_cell_is_found_and_named(here: Place) -> None:
    """With its row, what is right and what was found; the file and the records tell of it too."""
    folder = joined(here)
    cell(here.out, "wind", 3, 99.5)
    found = verify(folder)
    [column] = found.differing
    assert (column.column, column.cells, column.differing, column.leaked) == ("wind", 5, 1, 0)
    assert column.examples == (Mismatch(3, 1.0, 99.5, NOWHERE),)
    assert found.faults == (
        "training_set.parquet does not hold what the training set's manifest says",
        "1 of the rows looked at are in no split",
    )
    assert isinstance(found.error, NotReproduced)
    assert not isinstance(found.error, LeakFound)
    assert "1 of 5 cells of 'wind' (row 3 has 99.5, the value of no row of its key" in str(found.error)


def test_a_value_that_was_not_known_yet_is_called_a_leak(here: Place) -> None:
    """A join that ignores arrival, under a manifest that claims it does not: all else fits."""
    folder = joined(here, as_known=False)
    told(here.out, rules={"as_known": True})
    found = verify(folder)
    assert found.faults == ()
    assert isinstance(found.error, LeakFound)
    temp = next(column for column in found.differing if column.column == "temp")
    # At 6:59 the observation of 6:00 was not there, and at half past midnight that of midnight.
    assert temp.examples == (Mismatch(1, None, 0.0, FUTURE), Mismatch(2, None, 16.0, FUTURE))
    assert (temp.differing, temp.leaked, found.leaked) == (2, 2, 3)


def test_a_value_that_old_and_future_rows_hold_is_no_proof_of_a_leak(here: Place) -> None:
    """The wind is 1.0 at all times: too old and too new rows hold it. A value of an old row alone is told apart."""
    here.load()
    here.join(SPINE, {TEMP: {"column": "temp", "max_age": "2h"}, WIND: {"column": "wind", "max_age": "1m"}})
    assert here.joined()["wind"].to_pylist() == [None] * 5
    cell(here.out, "wind", 0, 1.0)
    cell(here.out, "temp", 0, 0.0)
    found = {column.column: column.examples for column in verify(str(here.out)).differing}
    assert found == {"temp": (Mismatch(0, 16.0, 0.0, PAST),), "wind": (Mismatch(0, None, 1.0, EITHER),)}


def test_a_label_that_is_not_the_labels_is_found(here: Place) -> None:
    """Its own columns are compared as well, times to the last digit."""
    folder = joined(here)
    cell(here.out, "at", 4, at("03 12:00") + timedelta(microseconds=1))
    [column] = verify(folder).differing
    assert column.examples == (Mismatch(4, "2024-01-03T12:00:00.000000", "2024-01-03T12:00:00.000001", "no label"),)


def test_a_column_of_another_type_or_none_at_all_is_a_fault(here: Place) -> None:
    """Equal numbers of another type are other cells."""
    folder = joined(here)
    path = here.out / "training_set.parquet"
    table = here.joined().drop(["wind"])
    whole = table["n"].cast(pa.int32())
    write(path, table.set_column(0, "n", whole))
    faults = verify(folder).faults
    assert "column 'n' is int32 in training_set.parquet and int64 at its source" in faults
    assert "column 'wind' is not in training_set.parquet" in faults


def test_records_of_other_numbers_are_found(here: Place) -> None:
    """The splits are swapped, so that each holds another number of records; or a shard is not there."""
    folder = joined(here, split="hash:0.5:n")
    evaluated, trained = sorted(here.out.glob("Split-*/data_tfrecord-*.gz"))
    first, second = evaluated.read_bytes(), trained.read_bytes()
    evaluated.write_bytes(second)
    trained.write_bytes(first)
    assert verify(folder).faults == (
        "split 'train' holds 2 records, the manifest says 3",
        "split 'eval' holds 3 records, the manifest says 2",
    )
    evaluated.unlink()
    assert any("split 'eval' cannot be read" in fault for fault in verify(folder).faults)


def test_records_of_other_rows_are_found(here: Place) -> None:
    """The Parquet file is right; the records, from which models are trained, are of as many other rows."""
    folder = joined(here, as_known=False)
    leaked = {path: path.read_bytes() for path in here.out.glob("Split-*/data_tfrecord-*.gz")}
    here.join(SPINE, [TEMP, WIND])
    assert verify(folder).error is None
    for path, records in leaked.items():
        path.write_bytes(records)
    assert verify(folder).faults == ("2 of the rows looked at are in no split",)


def test_labels_that_changed_are_named(here: Place) -> None:
    """Nothing is derived from other labels."""
    folder = joined(here)
    write(here.root / "labels.parquet", SPINE.slice(1))
    found = verify(folder)
    assert (found.changed, found.columns) == ((str(here.root / "labels.parquet"),), ())
    assert isinstance(found.error, SourceChanged)
    assert str(here.root / "labels.parquet") in str(found.error)


def test_a_partition_that_was_loaded_again_is_named_if_its_rows_are_others(here: Place) -> None:
    """The same rows in a new file are the same partition; other rows are named with their date."""
    folder = joined(here)
    here.load()
    assert verify(folder).error is None
    here.weather("2024-01-02", [("JFK", at("02 00:00"), at("02 01:00"), 5.0, 1.0)])
    here.load(date="2024-01-02")
    found = verify(folder)
    assert [uri for uri in found.changed if "date=2024-01-02" in uri] == list(found.changed) != []
    with pytest.raises(SourceChanged, match="date=2024-01-02"):
        raise found.error


def test_a_partition_whose_file_was_rewritten_in_place_is_named(here: Place) -> None:
    """Its manifest stands as it was: only the content tells."""
    folder = joined(here)
    [path] = (here.table / "date=2024-01-02").glob("*.parquet")
    rows = pa.Table.from_batches(parquet.read(path))
    write(path, rows.slice(1))
    assert verify(folder).changed == (str(path),)
    path.write_bytes(path.read_bytes()[:-9])
    assert verify(folder).changed == (str(path),)


def test_a_sample_looks_at_that_many_labels_and_the_seed_at_others(here: Place) -> None:
    """Ten of a hundred, by their numbers: a wrong cell is found by the seeds that look at it, and by all rows."""
    here.load()
    here.join(
        labels(*[("JFK", f"02 {hour:02}:{minute:02}") for hour in range(20) for minute in range(0, 60, 12)]), [WIND]
    )
    cell(here.out, "wind", 50, 7.0)
    by_seed = [bool(verify(str(here.out), rows=10, seed=seed).differing) for seed in range(30)]
    assert 0 < sum(by_seed) < 10
    found = verify(str(here.out), rows=10)
    assert (found.rows, found.of_rows, found.cells) == (10, 100, 40)
    assert verify(str(here.out), rows=1_000).differing[0].examples[0].row == 50


def test_no_labels_and_tables_without_rows_verify(here: Place) -> None:
    """There is nothing to compare, or every answer is null."""
    folder = joined(here)
    here.join(SPINE.slice(0, 0), [TEMP])
    assert (verify(folder).error, verify(folder).cells) == (None, 0)
    here.weather("2024-01-01", [])
    here.load(date="2024-01-01", out=str(here.root / "empty"))
    here.join(SPINE, [TEMP], feature_tables=[str(here.root / "empty")])
    assert here.joined()["temp"].null_count == 5
    assert (verify(folder).error, verify(folder).cells) == (None, 20)


def test_features_are_read_a_batch_at_a_time(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the labels looked at need is held: no batch is kept once the next one is read."""
    folder = joined(here)
    alive: list[int] = []
    seen: list[weakref.ref[pa.RecordBatch]] = []
    read = verifying.read_partitions

    def watched(*arguments: Any) -> Iterator[pa.RecordBatch]:
        for batch in read(*arguments):
            for row in range(batch.num_rows):
                gc.collect()
                alive.append(sum(ref() is not None for ref in seen))
                one = batch.slice(row, 1)
                seen.append(weakref.ref(one))
                yield one

    monkeypatch.setattr(verifying, "read_partitions", watched)
    verify(folder)
    assert len(alive) == 24
    assert max(alive) <= 2


@pytest.mark.parametrize("about", [{"rows": 0}, {"rows": -1}, {"seed": -1}])
def test_numbers_that_mean_nothing_are_refused(here: Place, about: dict[str, int]) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidValue, match=r"rows is|seed is"):
        verify(str(here.root / "nothing"), **about)


def test_what_is_no_training_set_is_refused(here: Place) -> None:
    """A folder without a manifest, one that is not there, and another artifact."""
    here.load()
    for folder in (here.root, here.root / "nothing"):
        with pytest.raises(StorageError, match="holds no whole artifact"):
            verify(str(folder))
    with pytest.raises(InvalidValue, match="holds a feature_table, not a training_set"):
        verify(str(here.table))


def test_a_report_is_plain_json(here: Place) -> None:
    """Values without a type in JSON are text, and the counts stand beside."""
    folder = joined(here)
    cell(here.out, "wind", 3, float("nan"))
    told_ = verify(folder).to_json()
    wind = next(column for column in told_["columns"] if column["column"] == "wind")
    assert wind["examples"] == [{"row": 3, "expected": "1.0", "found": "nan", "origin": NOWHERE}]
    assert (told_["rows"], told_["cells"], told_["leaked"]) == (5, 25, 0)
    assert replace(verify(folder), columns=()).to_json()["columns"] == []
