"""What the tests of logs stand on: a place whose features are loaded online and served to a log, in step or not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import consistency_check, log_training_set, online_load
from jukebox.formats import parquet
from jukebox.serving import FeatureReader
from jukebox.serving.feature_log import FeatureLog
from jukebox.stores import open_online
from tests.components.place import DELAY, LATE, SEATS, TEMP, UTC, WIND, at, write

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from jukebox.tables import Manifest
    from tests.components.place import Place

ALL = [TEMP, WIND, SEATS, DELAY, LATE]
ENDPOINTS = ("weather", "planes", "arrivals", "routes")
LATER = at("04 05:00")
HOUR = timedelta(hours=1)
KINDS = ("mismatch", "missing", "extra", "early", "ahead", "stale")
JFK = {"origin": "JFK", "dest": "SFO", "tail": "N1"}
LGA = {"origin": "LGA", "dest": "SFO", "tail": "N2"}


@dataclass(frozen=True)
class Serving:
    """A place with a store and a log."""

    place: Place

    @property
    def store(self) -> str:
        """The URI of the online store."""
        return f"sqlite://{self.place.root}/online.db"

    @property
    def log(self) -> Path:
        """Where the log lies."""
        return self.place.root / "served"

    @property
    def out(self) -> Path:
        """Where training sets go."""
        return self.place.root / "stitched"

    @property
    def check_out(self) -> Path:
        """Where checks go."""
        return self.place.root / "consistency"

    def load(self, *endpoints: str) -> None:
        """Load endpoints into tables of their own."""
        for endpoint in endpoints or ENDPOINTS:
            self.place.load(endpoint, out=str(self.place.root / "tables" / endpoint))

    def load_online(self, features: Any = ALL, **about: Any) -> Manifest:
        """Load features into the store."""
        return online_load.run(store=self.store, registry=self.place.registry, features=features, **about)

    def serve(self, *requests: tuple[str | None, Any, datetime], features: Any = ALL, **about: Any) -> None:
        """Serve requests of (id, entity or entities, moment), and write all of them to the log."""
        with FeatureLog(str(self.log), **about) as log, FeatureReader(self.place.registry, told=log) as reader:
            for name, entity, moment in requests:
                entities = entity if isinstance(entity, list) else [entity]
                reader.read_many(entities, features, at=moment, request_id=name)
        assert log.counts.failed == 0, log.counts

    def check(self, **about: Any) -> dict[str, dict[str, Any]]:
        """Check the log; return what the manifest says of each feature, by the last part of its name."""
        made = self.checked(**about)
        return {told["feature"].rpartition("/")[2]: told for told in made.details["features"]}

    def checked(self, **about: Any) -> Manifest:
        """Check the log."""
        fixed = {"registry": self.place.registry, "out": str(self.check_out), "log": str(self.log)}
        return consistency_check.run(**{**fixed, **about})

    def stitch(self, labels: pa.Table, features: Any = (TEMP, WIND), **about: Any) -> Manifest:
        """Make a training set of the log for labels."""
        write(self.place.root / "labels" / "labels.parquet", labels)
        fixed = {"labels": str(self.place.root / "labels"), "registry": self.place.registry, "log": str(self.log)}
        return log_training_set.run(**{**fixed, "out": str(self.out), "features": features, **about})

    def stitched(self) -> pa.Table:
        """Return the rows of the training set."""
        path = self.out / "training_set.parquet"
        return pa.Table.from_batches(parquet.read(path), parquet.schema(path))

    def logged(self) -> pa.Table:
        """Return the rows of the log."""
        from jukebox.engine.served_logs import open_log

        log = open_log(str(self.log))
        return pa.Table.from_batches(log.read(log.schema.names), log.schema)

    def rewrite(self, rows: pa.Table) -> None:
        """Put one file in the place of the log."""
        for file in self.log.rglob("*.parquet"):
            file.unlink()
        write(self.log / "date=2024-01-04" / "served.parquet", rows)


def loaded(place: Place) -> Serving:
    """Return a place with everything loaded, offline and online."""
    serving = Serving(place)
    serving.load()
    serving.load_online()
    return serving


def served(place: Place) -> Serving:
    """Return a place with everything loaded, and a log of three requests for temperature and wind."""
    serving = loaded(place)
    serving.serve(("a", JFK, at("03 19:00")), ("b", LGA, at("03 19:30")), ("c", JFK, LATER), features=[TEMP, WIND])
    return serving


def outcomes(*ids: str | None, **columns: Any) -> pa.Table:
    """Return labels of requests, numbered from 0 in ``n``."""
    return pa.table({"request_id": pa.array(ids, pa.string()), "n": pa.array(range(len(ids))), **columns})


def times(*texts: str) -> pa.Array:
    """Return instants of January 2024."""
    return pa.array([at(text) for text in texts], UTC)


def told(made: Manifest, column: str) -> tuple[int, ...]:
    """How many cells of a column were logged, of these null, backfilled, of these null."""
    [found] = [each for each in made.details["features"] if each["column"] == column]
    return tuple(found[name] for name in ("logged", "logged_null", "backfilled", "backfilled_null"))


def counts(told: dict[str, Any]) -> dict[str, int]:
    """The differences of a feature that there are, by kind."""
    return {kind: told[kind] for kind in KINDS if told[kind]}


def report(serving: Serving) -> dict[str, Any]:
    """The report that lies there."""
    return json.loads((serving.check_out / "report.json").read_text())


def found(serving: Serving, **about: Any) -> dict[str, dict[str, int]]:
    """The differences by feature, whatever the thresholds."""
    everything = dict.fromkeys(KINDS, 1.0)
    return {
        name: differs
        for name, told in serving.check(thresholds=everything, **about).items()
        if (differs := counts(told))
    }


def changed(serving: Serving, feature: str, change: Any) -> None:
    """Rewrite the log with the cells of a feature changed by a function of their list."""
    rewritten(serving, f"{feature}@1", change)


def rewritten(serving: Serving, column: str, change: Any) -> None:
    """Rewrite the log with the cells of any of its columns changed by a function of their list."""
    rows = serving.logged()
    at_ = rows.schema.get_field_index(column)
    field = rows.schema.field(at_)
    serving.rewrite(rows.set_column(at_, field, pa.array(change(rows.column(at_).to_pylist()), field.type)))


def poison(serving: Serving, endpoint: str, minutes: int = 0, **values: Any) -> None:
    """Write another row of JFK into the online tables of an endpoint, some minutes later than the newest."""
    hour = at("03 18:00") + timedelta(minutes=minutes)
    row = {"origin": "JFK", "hour": hour, "known_at": hour + timedelta(hours=1), "temp": 38.0, "wind": 1.0, **values}
    store = open_online(serving.store)
    for table in [name for name in store.tables() if name.startswith(endpoint)]:
        layout = store.layout(table)
        columns = {name: pa.array([row[name]], layout.schema.field(name).type) for name in layout.schema.names}
        store.write(table, pa.table(columns), keys=["origin"], event_time="hour", created_time="known_at")
    store.close()
