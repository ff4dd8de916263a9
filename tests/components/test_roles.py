"""One feature in several roles, and the newest value that is no null: what an entry of a request may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.errors import MissingColumn, NameClash
from tests.components.place import DAYS, LATE, SEATS, TEMP, UTC, WIND, at, labels

if TYPE_CHECKING:
    from tests.components.place import Place

SPINE = labels(("JFK", "02 07:30"), ("LGA", "02 07:30"), ("SFO", "02 07:30")).append_column(
    "dest", pa.array(["LGA", "SFO", "JFK"])
)
DEST = {"dest": "origin"}


@pytest.fixture
def there(here: Place) -> Place:
    """Return a place where it is 1 degree in New York's one airport and 2 in its other, with the wind unknown later."""
    here.weather(
        DAYS[1],
        [
            ("JFK", at("02 06:00"), at("02 06:30"), 1.0, 10.0),
            ("LGA", at("02 06:00"), at("02 06:30"), 2.0, 20.0),
            ("JFK", at("02 07:00"), at("02 07:10"), None, None),
        ],
    )
    here.load(date=DAYS[1])
    return here


def test_the_weather_at_the_origin_and_at_the_destination_stand_beside_each_other(there: Place) -> None:
    """Each label by its own keys, in the order of the request; the partitions are read in two roles and named once."""
    request = {WIND: {"column": "wind"}, TEMP: [{"max_age": "2h"}, {"column": "temp_dest", "keys": DEST}]}
    made = there.join(SPINE, request, as_known=True)
    assert there.joined().column_names == ["n", "origin", "at", "dest", "wind", "temp", "temp_dest"]
    assert there.joined()["temp"].to_pylist() == [None, 2.0, None]
    assert there.joined()["temp_dest"].to_pylist() == [2.0, None, None]
    assert [table["keys"] for table in made.details["tables"]] == [{"origin": "origin"}, DEST]
    assert [feature["table"] for feature in made.details["features"]] == [0, 0, 1]
    assert len(made.inputs) == 2
    assert [table["partitions"] for table in made.details["tables"]] == [[made.inputs[1].uri]] * 2


def test_two_roles_are_what_two_joins_give(there: Place) -> None:
    """A role changes no other column, and it is the join with its keys for all."""
    there.join(SPINE, {TEMP: ["temp", {"column": "there", "keys": DEST}]})
    both = there.joined()
    there.join(SPINE, {TEMP: "temp"})
    assert both["temp"].equals(there.joined()["temp"])
    there.join(SPINE, {TEMP: "there"}, keys=DEST)
    assert both["there"].equals(there.joined()["there"])


def test_the_keys_of_a_role_go_before_those_of_the_join(there: Place) -> None:
    """What the role does not name is as the join says."""
    spine = SPINE.rename_columns(["n", "from", "at", "dest"])
    there.join(spine, {TEMP: ["temp", {"column": "there", "keys": DEST}]}, keys={"from": "origin"})
    assert there.joined()["temp"].to_pylist() == [None, 2.0, None]
    assert there.joined()["there"].to_pylist() == [2.0, None, None]


def test_one_key_of_several_may_be_renamed_in_a_role(here: Place) -> None:
    """A route and the way back: both keys from other columns."""
    here.load("routes")
    spine = pa.table({"a": ["JFK", "SFO"], "b": ["SFO", "JFK"], "at": pa.array([at("02 07:30")] * 2, UTC)})
    way, back = {"a": "origin", "b": "dest"}, {"b": "origin", "a": "dest"}
    here.join(spine, {LATE: [{"column": "way", "keys": way}, {"column": "back", "keys": back}]})
    assert here.joined()["way"].to_pylist() == [1.25, None]
    assert here.joined()["back"].to_pylist() == [None, 1.25]
    here.join(spine.rename_columns(["origin", "b", "at"]), {LATE: {"keys": {"b": "dest"}}})
    assert here.joined()["late"].to_pylist() == [1.25, None]


def test_a_static_table_has_roles_too(here: Place) -> None:
    """An aircraft and the one that it replaced."""
    here.load("planes")
    spine = pa.table({"tail": ["N1", "N9"], "before": ["N9", "N1"], "at": pa.array([at("02 07:30")] * 2, UTC)})
    here.join(spine, {SEATS: ["seats", {"column": "seats_before", "keys": {"before": "tail"}}]})
    assert here.joined().select(["seats", "seats_before"]).to_pydict() == {
        "seats": [100, None],
        "seats_before": [None, 100],
    }


def test_last_non_null_passes_over_nulls_for_its_own_column_alone(there: Place) -> None:
    """The newest row of JFK holds nulls; its age is that of the row which answers."""
    request: dict[str, Any] = {TEMP: "temp", WIND: ["wind", {"column": "kept", "last_non_null": True}]}
    made = there.join(SPINE, request)
    assert there.joined()["temp"].to_pylist() == [None, 2.0, None]
    assert there.joined()["wind"].to_pylist() == [None, 20.0, None]
    assert there.joined()["kept"].to_pylist() == [10.0, 20.0, None]
    [_, wind, kept] = made.details["features"]
    assert (wind["last_non_null"], wind["null_values"], kept["last_non_null"], kept["null_values"]) == (
        False,
        1,
        True,
        0,
    )
    assert (wind["median_age_us"], kept["median_age_us"]) == (30 * 60_000_000, 90 * 60_000_000)


def test_last_non_null_counts_max_age_from_the_row_with_the_value(there: Place) -> None:
    """An hour and a half is over an hour."""
    request = {WIND: [{"column": "kept", "last_non_null": True, "max_age": limit} for limit in ("1h",)]}
    there.join(SPINE, request)
    assert there.joined()["kept"].to_pylist() == [None, None, None]


@pytest.mark.parametrize(
    ("keys", "kind", "said"),
    [
        ({"dest": "orgin"}, MissingColumn, f"'dest' is mapped to 'orgin', no key of '{TEMP}'; its keys are origin"),
        ({"dest": "origin", "n": "origin"}, NameClash, "'dest' and 'n' are both mapped to the key 'origin'"),
        ({"to": "origin"}, MissingColumn, "'to' is not in the labels"),
    ],
)
def test_keys_of_a_role_that_fit_nothing_are_refused(there: Place, keys: Any, kind: Any, said: str) -> None:
    """With the name of the feature that they were given for."""
    with pytest.raises(kind, match=said):
        there.join(SPINE, {TEMP: ["temp", {"column": "there", "keys": keys}]})
    assert not there.out.exists()


def test_one_label_column_is_not_two_keys(here: Place) -> None:
    """Mapped to the one, it would be the other by its name, and a key would be lost."""
    here.load("routes")
    spine = pa.table({"origin": ["JFK"], "at": pa.array([at("02 07:30")], UTC)})
    with pytest.raises(NameClash, match=r"label column 'origin' would be two keys of '.*late', 'origin' and 'dest'"):
        here.join(spine, [LATE], keys={"origin": "dest"})


def test_the_join_tells_how_far_it_is(there: Place) -> None:
    """It ends with all tables done, each role being one."""
    told: list[Any] = []
    there.join(SPINE, {TEMP: ["temp", {"column": "there", "keys": DEST}]}, progress=told.append)
    assert (told[-1].rows, told[-1].tables, told[-1].of_tables) == (6, 2, 2)
    assert [at.rows for at in told] == sorted(at.rows for at in told)
