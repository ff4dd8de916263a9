"""Daily snapshots from the source to the training set: what a partition says is not known before its delivery."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox import online_load
from jukebox.serving import FeatureReader
from jukebox.tables import Manifest
from tests.components.place import DAYS, DECLARED, UTC, write

if TYPE_CHECKING:
    from tests.components.place import Place

FANS = "/entity/artist/component/daily/name/fans"
SNAPSHOTS = """\
  - {name: artists, uri: "artists/{date}.parquet", format: parquet, delivery_time: 6h, time_zone: Europe/Stockholm,
     keys: [{column: artist, primitive_entity: artist, identifier: string}]}
features:
  - {name: /artist/daily/fans, endpoint: artists, column: fans, data_type: int64, max_age: 2d}
"""
# Midnight in Stockholm is eleven in the evening of UTC: the first partition comes at 05:00 of the second.
DELIVERED = datetime(2024, 1, 2, 5, tzinfo=timezone.utc)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def daily(here: Place) -> Place:
    """Return a place with snapshots of two artists loaded, 0 fans on the first day, 100 on the second, and so on."""
    here.register(DECLARED.replace("features:\n", SNAPSHOTS))
    for number, day in enumerate(DAYS):
        rows = pa.table({"artist": ["a", "b"], "fans": [100 * number, 100 * number + 1]})
        write(here.source / "artists" / f"{day}.parquet", rows)
    here.load("artists")
    return here


def fans(place: Place, *times: datetime, **about: object) -> list[int | None]:
    """Return the fans of artist a at these times."""
    place.join(pa.table({"artist": ["a"] * len(times), "at": pa.array(times, UTC)}), [FANS], **about)
    return place.joined()["fans"].to_pylist()


def test_a_partition_answers_from_the_very_instant_of_its_delivery_and_not_before(daily: Place) -> None:
    """A microsecond before, the partition of the day before is what is known."""
    day = timedelta(days=1)
    for number in range(3):
        delivered = DELIVERED + number * day
        before = None if number == 0 else 100 * (number - 1)
        assert fans(daily, delivered - INSTANT, delivered) == [before, 100 * number]


def test_its_date_and_the_night_after_it_never_see_it(daily: Place) -> None:
    """What a join on dates would leak: the snapshot of a day at noon of that day."""
    noon = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)
    assert fans(daily, noon, noon + timedelta(hours=16)) == [0, 0]


def test_without_as_known_it_answers_from_the_end_of_its_date(daily: Place) -> None:
    """Its event time is that midnight, from which ages count too."""
    ended = DELIVERED - timedelta(hours=6)
    assert fans(daily, ended - INSTANT, ended, as_known=False) == [None, 0]
    last = ended + timedelta(days=4)
    assert fans(daily, last, last + INSTANT) == [200, None]


def test_the_partition_says_when_it_was_true_and_known(daily: Place) -> None:
    """All downstream reads these columns like any other's."""
    table = Manifest.read(daily.table, "feature_table")
    assert (table.event_time, table.created_time) == ("event_time", "created_time")
    assert list(table.schema) == ["artist", "event_time", "created_time", "fans"]
    assert not table.details["static"]


def test_the_proof_counts_the_labels_that_a_later_partition_was_hidden_from(daily: Place) -> None:
    """Those between the end of a date and its delivery."""
    made = daily.join(
        pa.table({"artist": ["a"] * 3, "at": pa.array([DELIVERED - timedelta(hours=n) for n in (0, 5, 7)], UTC)}),
        [FANS],
    )
    [told] = made.details["features"]
    assert (told["examined"], told["newer_unknown"], told["answered"]) == (3, 1, 1)


def test_an_empty_partition_is_a_day_that_says_nothing(daily: Place) -> None:
    """The day before goes on being what is known."""
    empty = pa.table({"artist": pa.array([], pa.string()), "fans": pa.array([], pa.int64())})
    write(daily.source / "artists" / f"{DAYS[1]}.parquet", empty)
    daily.load("artists", date=DAYS[1])
    assert fans(daily, DELIVERED + timedelta(days=1)) == [0]


def test_serving_knows_a_snapshot_from_its_delivery_on(daily: Place) -> None:
    """The online store has the newest; asked about a time before its delivery it has no answer, as training."""
    store = f"sqlite://{daily.root}/online.db"
    online_load.run(store=store, registry=daily.registry, features=[FANS])
    reader = FeatureReader(daily.registry)
    delivered = DELIVERED + timedelta(days=2)
    [late] = reader.read({"artist": "a"}, [FANS], at=delivered)
    [early] = reader.read({"artist": "a"}, [FANS], at=delivered - INSTANT)
    assert (late.value, late.status, early.value, early.status) == (200, "fresh", None, "missing")
