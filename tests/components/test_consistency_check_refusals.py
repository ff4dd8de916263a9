"""What a check refuses, leaves unchecked by name, and may be kept to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    MissingColumn,
    NoPartition,
    NotRegistered,
    SkewFound,
    UnknownFeature,
)
from jukebox.stores import open_registry
from tests.components.place import SEATS, TEMP, WIND, write
from tests.components.serving import JFK, LATER, Serving, changed, loaded

if TYPE_CHECKING:
    from tests.components.place import Place


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, offline and online."""
    return loaded(here)


def test_nothing_to_check_is_refused(serving: Serving) -> None:
    """No log, no table, no feature; a log without files or rows; a feature that is not served."""
    for about, kind, said in (
        ({"log": None}, InvalidValue, "names a log, an online table or features"),
        ({}, NoPartition, "there is no log of served features at .*served"),
        ({"log": str(serving.place.root / "features.yaml")}, CorruptData, "features.yaml is not whole Parquet"),
        ({"log": None, "features": ["/airport/weather/tmp"]}, UnknownFeature, "nearest"),
        (
            {"log": None, "online_table": str(serving.place.root / "tables/weather")},
            InvalidValue,
            "not an online_table",
        ),
        ({"log": None, "features": [TEMP], "rows": -1}, InvalidValue, "rows is -1"),
        ({"log": None, "features": [TEMP], "tolerance": -1.0}, InvalidValue, "tolerance is -1.0"),
        (
            {"log": None, "features": [TEMP], "thresholds": {"stail": 0.1}},
            InvalidValue,
            "no threshold 'stail'; there are",
        ),
        ({"log": None, "features": [TEMP], "thresholds": {"stale": 2}}, InvalidValue, "from 0 to 1"),
        ({"log": None, "features": [TEMP], "thresholds": {"stale": "1"}}, InvalidType, "'stale' is '1'"),
    ):
        with pytest.raises(kind, match=said):
            serving.checked(**about)
    assert not serving.check_out.exists()
    serving.serve(("a", JFK, LATER))
    serving.rewrite(serving.logged().slice(0, 0))
    with pytest.raises(InvalidValue, match="holds no vector; a check of nothing proves nothing"):
        serving.check()
    open_registry(serving.place.registry).remove_online_source([f"{TEMP}@1"])
    with pytest.raises(NotRegistered, match="temp"):
        serving.check(log=None, features=[TEMP])


def test_a_log_that_is_damaged_is_refused_by_name(serving: Serving) -> None:
    """A truncated file, a file of something else, a type that changed, keys of another kind, keys that are gone."""
    serving.serve(("a", JFK, LATER), features=[TEMP])
    [file] = serving.log.rglob("*.parquet")
    whole, rows = file.read_bytes(), serving.logged()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptData, match=file.name):
        serving.check()
    file.unlink()
    write(serving.log / "date=2024-01-04" / "other.parquet", pa.table({"a": [1]}))
    with pytest.raises(InvalidValue, match=r"other\.parquet is no log of served features: it has no 'request_id'"):
        serving.check()
    (serving.log / "date=2024-01-04" / "other.parquet").unlink()
    texts = rows.set_column(rows.schema.get_field_index(f"{TEMP}@1"), f"{TEMP}@1", rows[f"{TEMP}@1"].cast(pa.string()))
    serving.rewrite(texts)
    with pytest.raises(InvalidType, match="temp@1' is string in the log and double in its feature table"):
        serving.check()
    write(serving.log / "date=2024-01-04" / "zweite.parquet", rows)
    with pytest.raises(InvalidType, match=r"is string in .*served.parquet and double in .*zweite.parquet"):
        serving.check()
    (serving.log / "date=2024-01-04" / "zweite.parquet").unlink()
    numbers = pa.array([7] * rows.num_rows)
    at_ = rows.schema.get_field_index("key:origin:text")
    serving.rewrite(rows.set_column(at_, "key:origin:integer", numbers))
    with pytest.raises(InvalidType, match="'origin' is integer in the log and a key of 'weather' that is string"):
        serving.check()
    serving.rewrite(rows.drop(["key:origin:text"]))
    with pytest.raises(MissingColumn, match="'weather' is joined by 'origin' or 'airport'"):
        serving.check()


def test_a_report_of_before_does_not_stand_for_a_check_that_fails(serving: Serving) -> None:
    """The manifest goes first, and comes back only where nothing differs."""
    serving.serve(("a", JFK, LATER), features=[WIND])
    serving.check()
    changed(serving, WIND, lambda cells: [value + 1 for value in cells])
    with pytest.raises(SkewFound):
        serving.check()
    assert sorted(path.name for path in serving.check_out.iterdir()) == ["report.json"]


def test_features_that_cannot_be_checked_are_told(serving: Serving) -> None:
    """One that is not loaded offline any more, and one of a version that the registry does not know."""
    serving.serve(("a", JFK, LATER), features=[TEMP, SEATS])
    rows = serving.logged()
    serving.rewrite(rows.rename_columns([name.replace("seats@1", "seats@9") for name in rows.column_names]))
    made = serving.checked()
    [(name, why)] = made.details["unchecked"].items()
    assert (name, why.startswith("feature '")) == (f"{SEATS}@9", False)
    assert "9" in why
    with pytest.raises(NoPartition, match=r"no feature in the log .* can be checked"):
        serving.checked(features=[f"{SEATS}@9"])


def test_features_rows_and_tables_may_be_chosen(serving: Serving) -> None:
    """By short names too; the same rows for the same seed."""
    serving.serve(*((f"r{n}", JFK, LATER) for n in range(50)), features=[TEMP, WIND, SEATS])
    told = serving.check(features=["/airport/weather/temp", f"{SEATS}@1"], rows=10, seed=3)
    assert {name: each["cells"] for name, each in told.items()} == {"temp@1": 10, "seats@1": 10}
    weather = serving.checked(feature_tables=[str(serving.place.root / "tables" / "weather")])
    assert list(weather.details["unchecked"]) == [f"{SEATS}@1"]
    with pytest.raises(UnknownFeature, match=r"nearest: .*temp@1"):
        serving.check(features=["/airport/weather/tmp"])
