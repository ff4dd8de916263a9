"""What the MLMD tests write: features, feature tables, and a store shaped as TFX leaves it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path

from ml_metadata.metadata_store.pywrap.metadata_store_extension.metadata_store import CreateMetadataStore

from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.stores import OfflineSource
from jukebox.stores.mlmd.library import MetadataStore, pb

ENDPOINT = Endpoint("weather", "weather.csv", "csv", (Key("origin", "airport", "iata"),), event_time="time_hour")


def feature(name: str = "temp", **about: object) -> Feature:
    """Return a feature of the weather at an airport."""
    return replace(Feature(FeatureName("airport", "weather", name), ENDPOINT, name, "double"), **about)


def offline(uri: str, *features: str, day: date = date(2013, 1, 1)) -> OfflineSource:
    """Return a feature table at ``uri`` for one day."""
    at = datetime(2013, 1, 2, tzinfo=timezone.utc)
    return OfflineSource(uri, "weather", features, (day,), "f00d", at)


def raw(path: Path) -> MetadataStore:
    """Return the store at ``path`` as any other program opens it."""
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    return MetadataStore(config)


def as_of_schema_8(path: Path) -> None:
    """Make a store with one artifact, and have MLMD itself take it back to schema version 8."""
    store = raw(path)
    kind = store.put_artifact_type(pb.ArtifactType(name="Examples"))
    store.put_artifacts([pb.Artifact(type_id=kind, uri="data/1")])
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    down = pb.MigrationOptions(downgrade_to_schema_version=8)
    with suppress(RuntimeError):  # how MLMD says that it has done so
        CreateMetadataStore(config.SerializeToString(), down.SerializeToString())


class Tfx:
    """Writes a store as TFX does: types by class path, outputs with their states, cached and failed runs."""

    def __init__(self, path: Path) -> None:
        self.store = raw(path)

    def run(
        self, component: str, inputs: list[int] = (), outputs: list[str] = (), *, state: int = pb.Execution.COMPLETE
    ) -> list[int]:
        """Write a run that read artifacts by id and wrote artifacts ``Type:uri``; return the ids of what it wrote."""
        made = [self._artifact(*output.split(":", 1), state) for output in outputs]
        return self.events(component, inputs, made, state=state, kind=pb.Event.OUTPUT)

    def reuse(self, component: str, inputs: list[int], outputs: list[int]) -> None:
        """Write a run that found its results in the cache."""
        found = self.store.get_artifacts_by_id(outputs)
        self.events(component, inputs, found, state=pb.Execution.CACHED, kind=pb.Event.OUTPUT)

    def resolve(self, outputs: list[int]) -> None:
        """Write a resolver's run, which chose artifacts."""
        found = self.store.get_artifacts_by_id(outputs)
        component = "tfx.dsl.components.common.resolver.Resolver"
        self.events(component, [], found, state=pb.Execution.COMPLETE, kind=pb.Event.INTERNAL_OUTPUT)

    def begin(self, component: str, inputs: list[int] = ()) -> int:
        """Write a run that is under way; return its id."""
        return self._execution(component, inputs, [], pb.Execution.RUNNING, pb.Event.OUTPUT)[0]

    def events(self, component: str, inputs: list[int], outputs: list, *, state: int, kind: int) -> list[int]:
        """Write a run with its events; return the ids of its outputs."""
        return self._execution(component, inputs, outputs, state, kind)[1][len(inputs) :]

    def _execution(self, component, inputs, outputs, state, kind):
        type_id = self.store.put_execution_type(pb.ExecutionType(name=component))
        read = [(artifact, pb.Event(type=pb.Event.INPUT)) for artifact in self.store.get_artifacts_by_id(inputs)]
        pairs = read + [(artifact, pb.Event(type=kind)) for artifact in outputs]
        for i, (_, event) in enumerate(pairs):
            event.path.steps.add().key = f"channel{i}"
            event.path.steps.add().index = 0
        execution = pb.Execution(type_id=type_id, last_known_state=state)
        run, ids, _ = self.store.put_execution(execution, pairs, [])
        return run, ids

    def _artifact(self, kind: str, uri: str, state: int) -> pb.Artifact:
        whole = state == pb.Execution.COMPLETE
        type_id = self.store.put_artifact_type(pb.ArtifactType(name=kind))
        return pb.Artifact(type_id=type_id, uri=uri, state=pb.Artifact.LIVE if whole else pb.Artifact.ABANDONED)
