"""Lineage from manifests alone, ``manifests://FOLDER``: where there is no ML Metadata, artifacts tell of themselves.

A manifest names what was read by URI and by the fingerprint of what it held. What is there with that fingerprint is
what was read, also where it has been moved since; else what was read is gone, and stands in the graph as DELETED.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE
from jukebox.core.lineage_nodes import Event, Node
from jukebox.core.lineage_places import place_of
from jukebox.errors import CorruptData, InvalidValue, StorageError, reason
from jukebox.stores.on_disk import OnDisk
from jukebox.tables import MANIFEST, Manifest, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEME = "manifests://"
# Of each kind of manifest: the artifact's type, and the component that made it.
_MADE = {
    "feature_set": ("jukebox.FeatureSet", "register_features"),
    "partition": ("jukebox.Partition", "offline_load"),
    "feature_table": ("jukebox.FeatureTable", "offline_load"),
    "training_set": ("jukebox.TrainingSet", "point_in_time_join"),
    "feature_statistics": ("ExampleStatistics", "feature_statistics"),
    "online_table": ("jukebox.OnlineTable", "online_load"),
    "verification": ("jukebox.Verification", "verify_training_set"),
    "consistency": ("jukebox.Consistency", "consistency_check"),
    "model_record": ("jukebox.ModelRecord", "record_model"),
    "deployment": ("jukebox.Deployment", "record_deployment"),
}


def open_lineage(uri: str) -> OnDisk:
    """Return the lineage of all manifests below the folder of ``manifests://FOLDER``.

    Raises InvalidValue for a URI without a folder, StorageError where it is not there, and CorruptData for a manifest
    that is broken; JSON files of that name that others wrote are passed over.
    """
    root = uri.removeprefix(SCHEME)
    if not root:
        raise InvalidValue(f"'{uri}' names no folder; it is written {SCHEME}FOLDER")
    if not Path(root).is_dir():
        raise StorageError(f"there is no folder of manifests at {root}")
    return lineage_of(uri, (Manifest.read(path.parent) for path in _paths(Path(root))))


def lineage_of(where: str, manifests: Iterable[Manifest]) -> OnDisk:
    """Return the lineage that manifests tell."""
    drawn = _Drawing(where)
    every = _settled(manifests)
    for manifest in every:
        drawn.add(manifest)
    for manifest in every:
        drawn.tie(manifest)
    return drawn.held


def _settled(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the manifests with deployments as they are now: of those of a model at an endpoint the last one counts."""
    every = list(manifests)
    last: dict[tuple[str, str], str] = {}
    for manifest in every:
        if manifest.kind == "deployment":
            last[_served(manifest)] = max(last.get(_served(manifest), ""), manifest.details["since"])
    over = {m.uri for m in every if m.kind == "deployment" and m.details["since"] < last[_served(m)]}
    return [replace(m, details={**m.details, "active": "false"}) if m.uri in over else m for m in every]


def _served(deployment: Manifest) -> tuple[str, str]:
    return deployment.details["model"], deployment.details["endpoint"]


def _paths(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob(MANIFEST)):
        try:
            body = json.loads(path.read_text())
        except OSError as exc:
            raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
        except ValueError as exc:
            raise CorruptData(f"{path} is no manifest: {exc}") from exc
        if isinstance(body, dict) and "jukebox_manifest" in body:
            yield path


class _Drawing:
    """A graph on its way from manifests; an artifact's id is its place and the fingerprint of what it held."""

    def __init__(self, where: str) -> None:
        self.held = OnDisk(where)
        self._same: dict[str, list[str]] = {}  # ids by fingerprint
        self._kinds: dict[str, str] = {}  # types by place

    def add(self, manifest: Manifest) -> None:
        place = _absolute(manifest.uri)
        kind = _MADE.get(manifest.kind, (f"jukebox.{manifest.kind}", ""))[0]
        node_id = _identity(place, manifest.fingerprint)
        properties = {**manifest.facts, **_properties(manifest)}
        at = int(1e3 * (Path(manifest.uri) / MANIFEST).stat().st_mtime)
        told = tuple(sorted(properties.items()))
        node = Node("artifact", node_id, kind, uri=place, state="LIVE", properties=told, at=at)
        self.held.add(node, *_aliases(manifest))
        self._same.setdefault(manifest.fingerprint, []).append(node_id)
        self._kinds[place] = kind

    def tie(self, manifest: Manifest) -> None:
        place = _absolute(manifest.uri)
        made = _identity(place, manifest.fingerprint)
        component = "log_training_set" if _is_stitched(manifest) else _MADE.get(manifest.kind, ("", manifest.kind))[1]
        (whole,) = self.held.artifacts([made])
        run = Node("execution", f"run {made}", f"jukebox.{component}", state="COMPLETE", at=whole.at)
        self.held.add(run)
        self.held.tie(Event(made, run.id, output=True))
        if manifest.kind == "model_record":
            self.held.tie(Event(self._model(manifest), run.id, output=True))
        for source in manifest.inputs:
            self.held.tie(Event(self._read(manifest, source), run.id, output=False))
        for name in _features(manifest):
            self.held.tie(Event(self._feature(name), run.id, output=manifest.kind == "feature_set"))

    def _read(self, manifest: Manifest, source: Source) -> str:
        """Return the id of what was read: by place and fingerprint, else by fingerprint, else what is gone."""
        if manifest.kind == "deployment":
            return self._deployed(source.uri)
        place = _place_read(manifest, source)
        exact = _identity(place, source.fingerprint)
        alike = self._same.get(source.fingerprint, [])
        if exact in alike:
            return exact
        if len(alike) == 1 and source.fingerprint:
            return alike[0]
        if not self.held.artifacts([exact]):
            known = self._kinds.get(place)
            state = "LIVE" if known is None else "DELETED"
            facts = (("fingerprint", source.fingerprint),)
            kind = known or ("jukebox.ServedLog" if _is_log(manifest, source) else _kind_of(place))
            self.held.add(Node("artifact", exact, kind, uri=place, state=state, properties=facts))
        return exact

    def _deployed(self, model: str) -> str:
        if not self.held.artifacts([model]):
            self.held.add(Node("artifact", model, "jukebox.Model", uri=model, state="LIVE"))
        return model

    def _model(self, manifest: Manifest) -> str:
        model, facts = str(manifest.details["model"]), manifest.details["facts"]
        told = tuple(sorted({**facts, "fingerprint": manifest.fingerprint}.items()))
        self.held.add(Node("artifact", model, "jukebox.Model", uri=model, state="LIVE", properties=told))
        return model

    def _feature(self, versioned: str) -> str:
        if not self.held.artifacts([versioned]):
            name, _, version = versioned.partition("@")
            told = (("name", name), ("version", version))
            self.held.add(Node("artifact", versioned, FEATURE, versioned, f"jukebox:/{versioned}", "LIVE", told))
        return versioned


def _identity(place: str, fingerprint: str) -> str:
    return f"{place}#{fingerprint[:16]}"


def _absolute(uri: str) -> str:
    return place_of(uri) if "://" in uri else str(Path(uri).absolute())


def _place_read(manifest: Manifest, source: Source) -> str:
    if manifest.kind == "feature_table":
        return _absolute(str(Path(manifest.uri, source.uri)))
    place = _absolute(source.uri)
    # A join names the file of a partition; what describes itself is the partition's folder.
    folder = place.rpartition("/")[0]
    return folder if folder.rpartition("/")[2].startswith("date=") else place


def _kind_of(place: str) -> str:
    return "jukebox.Partition" if place.rpartition("/")[2].startswith("date=") else "jukebox.DataSet"


def _is_stitched(manifest: Manifest) -> bool:
    return manifest.kind == "training_set" and "log" in manifest.details


def _is_log(manifest: Manifest, source: Source) -> bool:
    if manifest.kind == "consistency":
        is_replayed = any(each["check"] == "replay" for each in manifest.details["features"])
        return is_replayed and source == manifest.inputs[0]
    # Of a training set that was stitched the labels come first, and then the log.
    return _is_stitched(manifest) and source == manifest.inputs[1]


def _features(manifest: Manifest) -> list[str]:
    """Return the versioned features that the run named."""
    told = manifest.details.get("features", ())
    if manifest.kind in ("partition", "feature_table", "model_record"):
        return list(told)
    if manifest.kind == "online_table":
        return list(dict.fromkeys(name for table in manifest.details["tables"] for name in table["features"]))
    if manifest.kind == "consistency":
        return list(dict.fromkeys(str(each["feature"]).partition("?")[0] for each in told))
    if manifest.kind in ("training_set", "feature_set"):
        return list(dict.fromkeys(f"{each['name']}@{each['version']}" for each in told))
    return []


def _properties(manifest: Manifest) -> dict[str, str]:
    if manifest.kind == "deployment":
        return {"endpoint": manifest.details["endpoint"], "active": manifest.details["active"]}
    return {"date": str(manifest.details["date"])} if manifest.kind == "partition" else {}


def _aliases(manifest: Manifest) -> list[str]:
    if manifest.kind == "online_table":
        return [f"{manifest.details['store']}#{table['table']}" for table in manifest.details["tables"]]
    # What is asked of a table is asked of all that it holds: those who read it name its partitions.
    return [str(Path(manifest.uri).absolute().parent)] if manifest.kind == "partition" else []
