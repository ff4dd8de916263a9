"""The first rows of an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jukebox.engine.preview import first_rows
from jukebox.errors import MissingColumn
from jukebox.tables import Manifest
from tests.components.conftest import furnished, here
from tests.components.place import DAYS, DECLARED, TEMP, WIND, labels

if TYPE_CHECKING:
    from tests.components.place import Place

__all__ = ["furnished", "here"]


def test_the_rows_of_a_table_come_from_its_dates_in_order(here: Place) -> None:
    """As many as asked, over the partitions, with those of no rows passed over."""
    here.weather(DAYS[0], [])
    table = here.load()
    found = first_rows(table, 10)
    assert found is not None
    assert found.column_names == ["origin", "hour", "known_at", "temp", "wind"]
    assert found["temp"].to_pylist() == [10.0, 10.0, 16.0, 16.0, 22.0, 22.0, 28.0, 28.0, 20.0, 20.0]
    everything = first_rows(table, 1000, ["wind"])
    assert everything is not None
    assert (everything.num_rows, everything.column_names) == (16, ["wind"])


def test_a_training_set_shows_its_labels_first(here: Place) -> None:
    """In their order."""
    here.load()
    made = here.join(labels(("LGA", "02 07:30"), ("JFK", "02 07:30")), [TEMP, WIND])
    found = first_rows(made, 1)
    assert found is not None
    assert found.select(["n", "origin", "temp"]).to_pylist() == [{"n": 0, "origin": "LGA", "temp": 16.0}]


def test_partitions_of_an_earlier_version_beside_the_tables_own_are_not_shown(here: Place) -> None:
    """They may have other columns."""
    here.load()
    here.register(DECLARED.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    table = here.load(date=DAYS[1])
    found = first_rows(table, 1000, ["temp"])
    assert found is not None
    assert found["temp"].to_pylist() == [10.0, 10.0, 16.0, 16.0, 22.0, 22.0, 28.0, 28.0]


def test_what_has_no_rows_shows_none(here: Place) -> None:
    """An empty table, an artifact of another kind, and nobody who wants to see one."""
    here.weather(DAYS[0], [])
    empty = here.load(date=DAYS[0])
    assert first_rows(empty, 10) is None
    assert first_rows(Manifest(kind="feature_set"), 10) is None
    assert first_rows(here.load(), 0) is None


def test_a_column_that_is_not_there_is_an_error(here: Place) -> None:
    """With the names of those that are."""
    table = here.load()
    with pytest.raises(MissingColumn, match=r"'dewp' is not in .*'temp', 'wind'"):
        first_rows(table, 10, ["dewp"])
