"""The labels: every flight at its scheduled departure, and whether it arrived late."""

from __future__ import annotations

import polars as pl

from jukebox.examples.flights.clocks import minute_of_day, nearest_instant, to_utc
from jukebox.examples.flights.raw import NEW_YORK

LATE_MINUTES = 15
"""A flight is late when it arrives more than this many minutes after its schedule."""

COLUMNS = (
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "sched_dep",
    "sched_dep_hour",
    "sched_dep_month",
    "sched_dep_weekday",
    "sched_minutes",
    "distance",
    "late",
)


def scheduled(flights: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    """Return the flights with ``sched_dep`` and ``sched_arr`` in UTC, and ``dest_zone``.

    The day of the scheduled arrival is the one nearest to a flight at 8 miles a minute and 50 minutes on the
    ground: the schedule and the distance alone decide it, so that nothing of the outcome leaks.
    """
    midnight = pl.datetime("year", "month", "day")
    departs = midnight + pl.duration(minutes=minute_of_day("sched_dep_time"))
    guessed = pl.col("sched_dep") + pl.duration(minutes=50 + pl.col("distance") // 8)
    timed = flights.with_columns(
        sched_dep=to_utc(departs, NEW_YORK), dest_zone=pl.col("dest").replace_strict(zones)
    ).with_columns(guessed=guessed)
    arrives = nearest_instant(timed, hhmm="sched_arr_time", zone="dest_zone", expected="guessed")
    return timed.drop("guessed").with_columns(sched_arr=arrives)


def labels(scheduled_flights: pl.DataFrame) -> pl.DataFrame:
    """Return one row a flight, in source order, with nothing that is known only after the scheduled departure.

    ``late`` is 1 or 0, and null where the flight never arrived at its destination. Hour, month and weekday
    (Monday is 1) are New York's; ``sched_minutes`` is gate to gate; ``distance`` is in miles. ``tailnum`` is the
    aircraft that flew: the schedule of the day is taken to have named it.
    """
    local = pl.col("sched_dep").dt.convert_time_zone(NEW_YORK)
    return scheduled_flights.with_columns(
        sched_dep_hour=local.dt.hour().cast(pl.Int64),
        sched_dep_month=local.dt.month().cast(pl.Int64),
        sched_dep_weekday=local.dt.weekday().cast(pl.Int64),
        sched_minutes=(pl.col("sched_arr") - pl.col("sched_dep")).dt.total_minutes(),
        late=is_late().cast(pl.Int64),
    ).select(COLUMNS)


def is_late() -> pl.Expr:
    """Return whether ``arr_delay`` makes a flight late; null where it is null."""
    return pl.col("arr_delay") > LATE_MINUTES
