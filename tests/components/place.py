"""A small data set with every kind of endpoint, and a place to register, load and join it in."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import offline_load, point_in_time_join, register_features
from jukebox.formats import parquet, tfrecord

if TYPE_CHECKING:
    from jukebox.tables import Manifest

DECLARED = """\
endpoints:
  - {name: weather, uri: "weather/{date}.parquet", format: parquet, event_time: hour, created_time: known_at,
     time_zone: UTC, keys: [{column: origin, primitive_entity: airport, identifier: iata}]}
  - {name: planes, uri: planes.csv, format: csv, static: true,
     keys: [{column: tail, primitive_entity: aircraft, identifier: tail_number}]}
  - {name: arrivals, uri: arrivals.csv, format: csv, event_time: arrived, time_zone: America/New_York,
     keys: [{column: tail, primitive_entity: aircraft, identifier: tail_number}]}
  - {name: routes, uri: "routes/{date}", format: tfrecord, event_time: at,
     keys: [{column: origin, primitive_entity: airport, identifier: iata},
            {column: dest, primitive_entity: airport, identifier: iata}]}
features:
  - {name: /airport/weather/temp, endpoint: weather, column: temp, data_type: float64, max_age: 2h}
  - {name: /airport/weather/wind, endpoint: weather, column: wind_speed, data_type: float64}
  - {name: /aircraft/fleet/seats, endpoint: planes, column: seats, data_type: int64}
  - {name: /aircraft/history/delay, endpoint: arrivals, column: delay, data_type: int64}
  - {name: /route/history/late, endpoint: routes, column: late, data_type: float32}
"""
TEMP, WIND = "/entity/airport/component/weather/name/temp", "/entity/airport/component/weather/name/wind"
SEATS, DELAY = "/entity/aircraft/component/fleet/name/seats", "/entity/aircraft/component/history/name/delay"
LATE = "/entity/route/component/history/name/late"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
UTC = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Place:
    """A source folder, a registry and folders for what is made, all below ``root``."""

    root: Path

    @property
    def source(self) -> Path:
        """Where the endpoints lie."""
        return self.root / "source"

    @property
    def registry(self) -> str:
        """The registry's URI."""
        return f"mlmd+sqlite://{self.root}/registry.db"

    @property
    def table(self) -> Path:
        """Where loads go that name no other place."""
        return self.root / "table"

    @property
    def out(self) -> Path:
        """Where joins go that name no other place."""
        return self.root / "training_set"

    def register(self, text: str = DECLARED) -> Manifest:
        """Register ``text``."""
        file = self.root / "features.yaml"
        file.write_text(text)
        return register_features.run(features=str(file), registry=self.registry, out=str(self.root / "feature_set"))

    def load(self, endpoint: str = "weather", **about: Any) -> Manifest:
        """Load an endpoint, by default for all of DAYS."""
        about = {"start": DAYS[0], "end": DAYS[-1]} | about if "date" not in about else about
        fixed = {"endpoint": endpoint, "source": str(self.source), "registry": self.registry}
        return offline_load.run(**{**fixed, "out": str(self.table), **about})

    def join(self, labels: pa.Table | Path, features: Any = (TEMP,), **about: Any) -> Manifest:
        """Join ``features`` to the labels, which are given as a table or where they lie."""
        if isinstance(labels, pa.Table):
            write(self.root / "labels.parquet", labels)
            labels = self.root / "labels.parquet"
        fixed = {"labels": str(labels), "label_time": "at", "registry": self.registry, "out": str(self.out)}
        return point_in_time_join.run(**{**fixed, "features": features, **about})

    def joined(self) -> pa.Table:
        """Return the rows of the training set."""
        return pa.Table.from_batches(parquet.read(self.out / "training_set.parquet"))

    def weather(self, day: str, rows: list[tuple[Any, ...]]) -> None:
        """Write rows of (origin, hour, known_at, temp, wind_speed) as the weather of ``day``."""
        columns = list(zip(*rows, strict=True)) or [()] * 5
        types = [pa.string(), UTC, UTC, pa.float64(), pa.float64()]
        names = ["origin", "hour", "known_at", "temp", "wind_speed"]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
        write(self.source / "weather" / f"{day}.parquet", pa.table(arrays, names))


def at(text: str) -> datetime:
    """Return an instant of January 2024: day, hour and minute, ``02 07:30``."""
    return datetime.fromisoformat(f"2024-01-{text}+00:00")


def labels(*rows: tuple[str, str]) -> pa.Table:
    """Return labels of (origin, day and time), numbered from 0 in ``n``."""
    origins, times = [row[0] for row in rows], [at(row[1]) for row in rows]
    return pa.table(
        {"n": pa.array(range(len(rows))), "origin": pa.array(origins, pa.string()), "at": pa.array(times, UTC)}
    )


def write(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet."""
    parquet.write(path, table.to_batches(), schema=table.schema)


def furnish(root: Path) -> Place:
    """Return a place with its sources written and its features registered."""
    place = Place(root)
    for number, day in enumerate(DAYS):
        hours = [at(f"{day[-2:]} {hour:02}:00") for hour in range(0, 24, 6)]
        rows = [(o, h, h + timedelta(hours=1), 10.0 * number + h.hour, 1.0) for h in hours for o in ("JFK", "LGA")]
        place.weather(day, rows)
        routes = pa.table(
            {"origin": ["JFK"], "dest": ["SFO"], "at": pa.array([hours[1]], UTC), "late": [0.25 + number]}
        )
        path = place.source / "routes" / day / "part.tfrecord.gz"
        tfrecord.write(path, routes.to_batches(), schema=routes.schema)
    (place.source / "planes.csv").write_text("tail,seats,maker\nN1,100,A\nN2,,B\n")
    # The third, at 23:30 in New York, is the fourth in UTC.
    (place.source / "arrivals.csv").write_text(
        "tail,arrived,delay\nN1,2024-01-01T08:00:00,5\nN1,2024-01-02T09:00:00,-3\nN1,2024-01-03T23:30:00,40\n"
    )
    place.register()
    return place


def copied(place: Place, root: Path) -> Place:
    """Return a copy of a furnished place."""
    shutil.copytree(place.root, root, dirs_exist_ok=True)
    return Place(root)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below ``folder`` with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder as plain JSON."""
    return json.loads((folder / "manifest.json").read_text())
