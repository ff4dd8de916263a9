"""From names to what the registry holds: which features an endpoint feeds, and which partitions hold a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue, NoPartition, NotRegistered, UnknownFeature
from jukebox.features import FeatureName
from jukebox.features.names import split_version
from jukebox.storage import place_of
from jukebox.stores import place
from jukebox.tables import Manifest, partition_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from jukebox.storage import Place
    from jukebox.stores import RegisteredFeature, Registry


def features_of_endpoint(
    registry: Registry, endpoint: str, source_map: Mapping[str, str] | None = None, feature_set: str | None = None
) -> tuple[RegisteredFeature, ...]:
    """Return the features that ``endpoint`` feeds, or those of them that the source map names.

    Raises NotRegistered for an endpoint that no feature has, UnknownFeature for a name that is not its, and
    InvalidValue where the source map is empty or contradicts the registered source column.
    """
    pinned = _pinned(feature_set)
    everything = registry.features() if feature_set is None else [registry.feature(*each) for each in pinned.items()]
    fed = {str(f.name): f for f in everything if f.feature.endpoint.name == endpoint}
    if not fed:
        known = sorted({f.feature.endpoint.name for f in everything})
        there = ", ".join(known) or "none"
        raise NotRegistered(f"no registered feature has the endpoint '{endpoint}'; there is {there}")
    if source_map is None:
        return tuple(fed.values())
    if not source_map:
        raise InvalidValue(f"the source map names no feature; endpoint '{endpoint}' feeds {', '.join(fed)}")
    chosen = {_mapped(fed, name, column, endpoint).versioned for name, column in source_map.items()}
    # In the order of the endpoint, not of the map: KFP keeps none.
    return tuple(feature for feature in fed.values() if feature.versioned in chosen)


def _mapped(fed: Mapping[str, RegisteredFeature], name: str, column: str, endpoint: str) -> RegisteredFeature:
    canonical = str(FeatureName.parse(name))
    if canonical not in fed:
        raise UnknownFeature(f"endpoint '{endpoint}' does not feed '{canonical}'; it feeds {', '.join(fed)}")
    registered = fed[canonical].feature.column
    if column != registered:
        raise InvalidValue(
            f"'{canonical}' is registered from column '{registered}', the source map says '{column}'; "
            "register the change first"
        )
    return fed[canonical]


@dataclass(frozen=True)
class Partition:
    """One date of a feature table: its manifest, and the Parquet file that it names."""

    day: date
    manifest: Manifest

    @property
    def path(self) -> Place:
        """The Parquet file."""
        return place_of(self.manifest.uri, str(self.manifest.details["data"]))

    @property
    def table(self) -> str:
        """The URI of the feature table that it is part of."""
        return str(place_of(self.manifest.uri).parent)


def features_of_table(table: str) -> tuple[str, ...]:
    """Return the versioned names that the feature table at ``table`` holds; raises StorageError, CorruptData."""
    return tuple(Manifest.read(table, "feature_table").details["features"])


def partitions_of(
    registry: Registry, feature: RegisteredFeature, tables: Collection[str] | None = None
) -> tuple[Partition, ...]:
    """Return the partitions that hold ``feature``, by date; of two loads of a date the newer counts.

    ``tables`` keeps to feature tables at these URIs, as a pipeline hands them over. Raises NoPartition when there
    is none or when a date was loaded again without the feature, StorageError or CorruptData when a table that the
    registry knows is not whole.
    """
    found: dict[date, Partition | None] = {}
    given = None if tables is None else {place(table) for table in tables}
    for source in registry.offline_sources(feature.versioned):
        if given is None or source.uri in given:
            for day in source.dates:
                part = Partition(day, Manifest.read(partition_folder(source.uri, day), "partition"))
                holds = feature.versioned in part.manifest.details["features"]
                found[day] = part if holds else found.get(day)
    lost = sorted(day for day, part in found.items() if part is None)
    if lost or not found:
        where = f"any longer for {len(lost)} dates from {lost[0]}" if lost else "offline"
        where = "in the feature tables given" if tables is not None and not lost else where
        if feature.feature.contextual:
            raise NoPartition(f"'{feature.versioned}' is contextual, known in a request alone: nothing of it is loaded")
        endpoint = feature.feature.endpoint.name
        raise NoPartition(f"'{feature.versioned}' is not loaded {where}; load its endpoint '{endpoint}' first")
    return tuple(part for _, part in sorted(found.items()) if part is not None)


def grouped(
    registry: Registry, features: Sequence[RegisteredFeature], tables: Collection[str] | None = None
) -> list[tuple[tuple[Partition, ...], list[RegisteredFeature]]]:
    """Return the partitions with the features that they hold, so that each table is read once."""
    found = _grouped(registry, features, tables)
    # While one feature after another is looked up a stream may add a date, and what is one table seem to be two.
    while len(found) > 1 and list(again := _grouped(registry, features, tables)) != list(found):
        found = again
    return list(found.values())


def _grouped(
    registry: Registry, features: Sequence[RegisteredFeature], tables: Collection[str] | None
) -> dict[tuple[tuple[str, date], ...], tuple[tuple[Partition, ...], list[RegisteredFeature]]]:
    groups: dict[tuple[tuple[str, date], ...], tuple[tuple[Partition, ...], list[RegisteredFeature]]] = {}
    for feature in features:
        found = partitions_of(registry, feature, tables)
        groups.setdefault(tuple((part.table, part.day) for part in found), (found, []))[1].append(feature)
    return groups


def registered(registry: Registry, names: Sequence[str], feature_set: str | None = None) -> list[RegisteredFeature]:
    """Return the features of ``names``, in order; a feature set pins the versions that its run registered.

    A name may end in ``@version``. Raises UnknownFeature with the nearest names, InvalidValue for another version.
    """
    pinned = _pinned(feature_set)
    result = []
    for text in names:
        name, version = split_version(text)
        result.append(registry.feature(str(name), pinned.get(str(name)) if version is None else version))
    return result


def _pinned(feature_set: str | None) -> dict[str, int]:
    if feature_set is None:
        return {}
    return {f["name"]: f["version"] for f in Manifest.read(feature_set, "feature_set").details["features"]}
