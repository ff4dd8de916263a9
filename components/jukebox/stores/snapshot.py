"""A registry in a file that ``jukebox export`` wrote: read only, for environments without ml-metadata.

It records no runs: what they read and made lies in the manifests alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jukebox.errors import NotRegistered, StorageError, UnknownFeature
from jukebox.features import FeatureName
from jukebox.features.documents import text_of
from jukebox.features.names import split_version
from jukebox.stores import read_only
from jukebox.stores.changes import once, planned
from jukebox.stores.reading import from_yaml
from jukebox.stores.searching import Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.core.lineage_nodes import Event, Node, NodeId
    from jukebox.features import Feature
    from jukebox.stores.nouns import (
        Chronicle,
        FormerRevision,
        Holdings,
        OfflineSource,
        OnlineSource,
        Recorded,
        RegisteredFeature,
    )
    from jukebox.stores.searching import Page, Query

SCHEME = "file://"


def open_registry(uri: str) -> SnapshotRegistry:
    """Return the registry in the file at ``file://PATH``; raises StorageError, and InvalidFile with all its faults."""
    path = uri.removeprefix(SCHEME)
    return SnapshotRegistry(uri, from_yaml(text_of(path), path))


def open_lineage(uri: str) -> NoLineage:
    """Return the lineage of such a file, which is none; raises StorageError where there is no file."""
    if not Path(uri.removeprefix(SCHEME)).is_file():
        raise StorageError(f"there is no registry at {uri}")
    return NoLineage(uri)


class SnapshotRegistry:
    """The Registry protocol on holdings in memory, which stay as they are: whatever would change them is refused."""

    def __init__(self, uri: str, holdings: Holdings) -> None:
        self._uri, self._holdings = uri, holdings
        self._features = {str(chronicle.newest.name): chronicle for chronicle in holdings.features}
        self._online = dict(holdings.online)
        self._index = Index(chronicle.newest for chronicle in holdings.features)

    def features(self) -> Sequence[RegisteredFeature]:
        """Return the newest version of every feature, by name."""
        return self._index.features

    def feature(self, name: str, version: int | None = None) -> RegisteredFeature:
        """Return a feature by name, its newest version by default; raises UnknownFeature."""
        chronicle = self._chronicle(name)
        if version is None:
            return chronicle.newest
        if not 1 <= version <= chronicle.newest.version:
            raise UnknownFeature.version(str(chronicle.newest.name), version, chronicle.newest.version)
        return chronicle.versions[version - 1]

    def history(self, name: str) -> Sequence[FormerRevision]:
        """Return what a feature was before each of its changes, oldest first; raises UnknownFeature."""
        return self._chronicle(name).former

    def versions(self, name: str) -> Sequence[RegisteredFeature]:
        """Return a feature's versions, oldest first, each as it was last; raises UnknownFeature."""
        return self._chronicle(name).versions

    def search(self, query: Query) -> Page:
        """Return a page of what ``query`` asks for; raises NotRegistered where it asks for a model's features."""
        if query.model is not None:
            raise _no_lineage(self._uri)
        return self._index.search(query, online=self._online)

    def index(self) -> Index:
        """Return the newest version of every feature as an index."""
        return self._index

    def plan(self, features: Iterable[Feature]) -> Sequence[RegisteredFeature]:
        """Return what registering ``features`` elsewhere would make of these; raises NameClash."""
        newest = {name: chronicle.newest for name, chronicle in self._features.items()}
        return tuple(change.after for change in planned(once(features), newest))

    def register(self, features: Iterable[Feature], *, force: Iterable[str] = ()) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("register")

    def set_life_cycle(self, names: Iterable[str], life_cycle: str, *, force: Iterable[str] = ()) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("a change of life cycle")

    def deployed_models(self, feature: str) -> Sequence[str]:  # noqa: ARG002
        """Raise NotRegistered: no lineage says which models use a feature."""
        raise _no_lineage(self._uri)

    def holdings(self) -> Holdings:
        """Return all that the registry holds."""
        return self._holdings

    def take_over(self, holdings: Holdings) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("import")

    def add_offline_source(self, source: OfflineSource) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("an offline load")

    def offline_sources(self, versioned: str) -> Sequence[OfflineSource]:
        """Return the offline sources of a versioned feature, the newest registration last; raises UnknownFeature."""
        name = self._versioned(versioned)
        return tuple(source for source in self._holdings.offline if name in source.features)

    def set_online_source(self, source: OnlineSource) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("an online load")

    def online_source(self, versioned: str) -> OnlineSource:
        """Return where a versioned feature is served; raises NotRegistered where it is not, and UnknownFeature."""
        name = self._versioned(versioned)
        if name not in self._online:
            raise NotRegistered(f"'{name}' has not been loaded online")
        return self._online[name]

    def remove_online_source(self, versioned: Iterable[str]) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("an online unload")

    def record(
        self,
        component: str,
        *,
        reads: Iterable[str] = (),
        makes: Iterable[str] = (),
        inputs: Iterable[Recorded] = (),
        outputs: Iterable[Recorded] = (),
        made: Iterable[Recorded] = (),
        execution: str | None = None,
    ) -> None:
        """Do nothing: the lineage of a run lies in its manifest."""

    def end_deployment(self, model: str, endpoint: str) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("the end of a deployment")

    def resume_deployment(self, model: str, endpoint: str) -> NoReturn:  # noqa: ARG002
        """Raise StorageError."""
        raise self._refused("a deployment")

    def _chronicle(self, name: str) -> Chronicle:
        canonical = str(FeatureName.parse(name))
        if canonical not in self._features:
            raise UnknownFeature.named(canonical, self._features)
        return self._features[canonical]

    def _versioned(self, text: str) -> str:
        name, version = split_version(text)
        return self.feature(str(name), version).versioned

    def _refused(self, what: str) -> StorageError:
        return read_only(self._uri, what)


class NoLineage:
    """The LineageSource protocol where there is none."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def feature_nodes(self, name: str) -> NoReturn:  # noqa: ARG002
        """Raise NotRegistered."""
        raise _no_lineage(self._uri)

    def nodes_at(self, uri: str) -> NoReturn:  # noqa: ARG002
        """Raise NotRegistered."""
        raise _no_lineage(self._uri)

    def nodes_of(self, types: Iterable[str]) -> NoReturn:  # noqa: ARG002
        """Raise NotRegistered."""
        raise _no_lineage(self._uri)

    def census(self) -> NoReturn:
        """Raise NotRegistered."""
        raise _no_lineage(self._uri)

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:  # noqa: ARG002
        """Return nothing."""
        return ()


def _no_lineage(uri: str) -> NotRegistered:
    return NotRegistered(f"{uri} is a registry in a file and holds no lineage: that lies in the manifests alone")
