"""What no training set of a log can be made of, and what makes one without rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    MissingColumn,
    NameClash,
    NoPartition,
    UnknownFeature,
)
from tests.components.place import DELAY, LATE, SEATS, TEMP, UTC, Place
from tests.components.serving import LATER, Serving, outcomes, served, times, told


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, and a log of three requests for temperature and wind."""
    return served(here)


def test_what_makes_no_sense_is_refused_before_anything_is_written(serving: Serving) -> None:
    """Columns that are not there or clash, labels without a time, features that nobody knows or loaded."""
    good = outcomes("a", "b")
    for labels, about, kind, said in (
        (outcomes("a", "x"), {}, InvalidValue, r"1 of 2 labels were not logged; name .* label_time; .*\['x'\]"),
        (good, {"request_id": "id"}, MissingColumn, "column 'id' is not in the labels; they have request_id, n"),
        (good, {"label_time": "when"}, MissingColumn, "column 'when' is not in the labels"),
        (outcomes("a", "x"), {"label_time": "n"}, InvalidType, "'n' is int64; it is a timestamp with a zone"),
        (outcomes("a", "x", t=pa.array([LATER, None], UTC)), {"label_time": "t"}, InvalidValue, "have no 't'"),
        (outcomes("a", "b", p=["0", "0"]), {"position": "p"}, InvalidType, "'p' is string; positions are whole"),
        (good, {"request_id": "f"}, MissingColumn, "column 'f' is not"),
        (outcomes("a", f=[0.5]), {"request_id": "f"}, InvalidType, "'f' is double; the ids of requests are text"),
        (outcomes("a", temp=[1.0]), {}, NameClash, "'temp' is in the labels already"),
        (outcomes("a", served_at=[1]), {}, NameClash, "column 'served_at'"),
        (good, {"features": ["/airport/weather/tmp"]}, UnknownFeature, "nearest"),
        (good, {"features": [TEMP], "split": "half"}, InvalidValue, "'half' is no split"),
        (good, {"features": [TEMP], "proof": "none"}, InvalidValue, "proof is 'none'"),
        (good, {"features": [LATE], "feature_tables": []}, NoPartition, "2 labels have no logged value of .*late@1"),
        (outcomes("a", tail=[5]), {"features": [SEATS]}, InvalidType, "'tail' is integer in the log|labels"),
        (good, {"features": [DELAY]}, MissingColumn, "'arrivals' is joined by 'tail' or 'aircraft', and .* origin"),
        (
            good,
            {"features": {TEMP: {"keys": {"base": {"column": "origin", "identifier": "gid_hex"}}}}},
            InvalidValue,
            "base.* is written as gid_hex and wanted as iata",
        ),
        (good, {"log": str(serving.place.root / "none")}, NoPartition, "there is no log of served features at"),
    ):
        with pytest.raises(kind, match=said):
            serving.stitch(labels, **about)
    assert not serving.out.exists()


def test_a_log_that_is_damaged_is_refused_by_name(serving: Serving) -> None:
    """A truncated file; another type than the feature has offline, which the version would have to change with."""
    files = sorted(serving.log.rglob("*.parquet"))
    rows = serving.logged()
    files[0].write_bytes(files[0].read_bytes()[:-20])
    with pytest.raises(CorruptData, match=files[0].name):
        serving.stitch(outcomes("a"))
    at_ = rows.schema.get_field_index(f"{TEMP}@1")
    serving.rewrite(rows.set_column(at_, f"{TEMP}@1", rows[f"{TEMP}@1"].cast(pa.string())))
    with pytest.raises(InvalidType, match=r"temp@1' is string in the log and double"):
        serving.stitch(outcomes("a"))
    assert not serving.out.exists()


def test_a_log_without_rows_leaves_everything_to_the_join(serving: Serving) -> None:
    """Labels that bring their own time and keys are joined as ever."""
    serving.rewrite(serving.logged().slice(0, 0))
    labels = outcomes("a", "b", origin=["JFK", "LGA"], t=times("02 07:30", "02 06:00"))
    made = serving.stitch(labels, label_time="t")
    assert serving.stitched()["temp"].to_pylist() == [16.0, None]
    assert told(made, "temp") == (0, 0, 2, 1)


def test_labels_without_rows_make_a_training_set_without_rows(serving: Serving) -> None:
    """As the join does."""
    assert serving.stitch(outcomes()).rows == 0
    assert serving.stitched().num_rows == 0
