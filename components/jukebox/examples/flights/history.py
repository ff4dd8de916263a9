"""The recent past of aircraft, routes and carriers: each row holds what was known the moment a flight arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from jukebox.examples.flights.clocks import nearest_instant
from jukebox.examples.flights.labels import is_late
from jukebox.examples.flights.raw import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAXI_MINUTES = 20


def arrivals(scheduled_flights: pl.DataFrame) -> pl.DataFrame:
    """Return the flights that arrived at their destination, by ``arrived_at`` (UTC), then in source order.

    ``arr_time`` has no day: it is the one nearest to departure, time in the air and some taxiing. A flight
    that was cancelled or diverted, whose ``arr_delay`` is null, is not among them.
    """
    minutes = pl.col("dep_delay") + pl.col("air_time") + _TAXI_MINUTES
    arrived = scheduled_flights.filter(pl.col("arr_delay").is_not_null()).with_columns(
        expected=pl.col("sched_dep") + pl.duration(minutes=minutes)
    )
    at = nearest_instant(arrived, hhmm="arr_time", zone="dest_zone", expected="expected")
    return arrived.drop("expected").with_columns(arrived_at=at).sort("arrived_at", "row")


def aircraft(arrived: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each arrival of an aircraft, in the order of ``arrived``.

    ``flights_today`` counts its arrivals of that New York day and ``minutes_flown_1d`` sums its minutes in the
    air of those that arrived in (t - 24 h, t], both with this arrival and any other of the same minute.
    """
    known = arrived.filter(pl.col("tailnum").is_not_null())
    day = pl.col("arrived_at").dt.convert_time_zone(NEW_YORK).dt.date()
    flown = _past_day(known, ["tailnum"], minutes_flown_1d=pl.col("air_time").sum())
    return (
        known.with_columns(
            flights_today=pl.col("arrived_at").rank("max").over("tailnum", day).cast(pl.Int64),
            last_arr_delay=pl.col("arr_delay"),
        )
        .join(flown, on=["tailnum", "arrived_at"], how="left", maintain_order="left")
        .select("tailnum", "arrived_at", "last_arr_delay", "flights_today", "minutes_flown_1d")
    )


def delays(arrived: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return one row for each key and instant of an arrival, by instant, over the arrivals in (t - 24 h, t].

    ``mean_arr_delay_1d`` is in minutes, early arrivals counted as negative; ``late_share_1d`` is from 0 to 1.
    """
    return _past_day(
        arrived,
        keys,
        arrivals_1d=pl.len().cast(pl.Int64),
        mean_arr_delay_1d=pl.col("arr_delay").mean(),
        late_share_1d=is_late().mean(),
    )


def _past_day(arrived: pl.DataFrame, keys: Sequence[str], **columns: pl.Expr) -> pl.DataFrame:
    windows = arrived.sort(*keys, "arrived_at", "row").rolling(
        "arrived_at", period="24h", closed="right", group_by=keys
    )
    instants = windows.agg(**columns).unique([*keys, "arrived_at"], keep="last", maintain_order=True)
    return instants.sort("arrived_at", *keys)
