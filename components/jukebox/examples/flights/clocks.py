"""From what a clock on the wall showed to the instant in UTC."""

from __future__ import annotations

import polars as pl

_HOUR = pl.duration(hours=1)


def to_utc(local: pl.Expr, zone: str, *, ambiguous: str = "earliest") -> pl.Expr:
    """Return the instants at which clocks in ``zone`` showed the naive times ``local``.

    An hour that the clocks skip in spring is read as if they had not been changed yet, and of an hour that
    they show twice in autumn ``ambiguous`` says which: ``earliest`` or ``latest``.
    """

    def instants(times: pl.Expr) -> pl.Expr:
        zoned = times.dt.replace_time_zone(zone, ambiguous=pl.lit(ambiguous), non_existent="null")
        return zoned.dt.convert_time_zone("UTC")

    return pl.coalesce(instants(local), instants(local - _HOUR) + _HOUR)


def minute_of_day(hhmm: str) -> pl.Expr:
    """Return the minutes since midnight, 0 to 1439, of a column that writes 5:17 as 517 and midnight as 0 or 2400."""
    return (pl.col(hhmm) // 100 * 60 + pl.col(hhmm) % 100) % 1440


def nearest_instant(frame: pl.DataFrame, *, hhmm: str, zone: str, expected: str) -> pl.Series:
    """Return, for each row, the instant nearest to ``expected`` at which clocks in its ``zone`` showed ``hhmm``.

    Null where ``hhmm`` or ``expected`` is null. The answer is never more than about half a day away.
    """
    parts = [
        part.select("row", nearest=_nearest(minute_of_day(hhmm), name, pl.col(expected)))
        for (name,), part in frame.partition_by(zone, as_dict=True).items()
    ]
    return frame.select("row").join(pl.concat(parts), on="row", how="left", maintain_order="left")["nearest"]


def _nearest(minute: pl.Expr, zone: str, expected: pl.Expr) -> pl.Expr:
    shown = expected.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    now = shown.dt.hour().cast(pl.Int64) * 60 + shown.dt.minute()
    away = (minute - now + 720) % 1440 - 720
    local = shown.dt.truncate("1m") + pl.duration(minutes=away)
    first, last = (to_utc(local, zone, ambiguous=fold) for fold in ("earliest", "latest"))
    return pl.when((last - expected).abs() < (first - expected).abs()).then(last).otherwise(first)
