"""The registry on MLMD: an artifact for each version of a feature, in the contexts of its family, entity and endpoint.

A registration is one transaction, whatever the number of features. Two writers that change one feature at once would
make an artifact of the same name, the new version's or the former revision's; MLMD refuses the second, who reads again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from jukebox.errors import NameClash
from jukebox.features import FeatureName
from jukebox.stores.mlmd import recording, sources
from jukebox.stores.mlmd.kinds import FEATURE, REGISTRATION, REVISION, artifact_type, node_name, split_version
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.places import place
from jukebox.stores.mlmd.versions import (
    Held,
    feature_artifact,
    former_artifact,
    former_of,
    held,
    newest_of_all,
    next_of,
    revision_of,
    versions_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.features import Feature
    from jukebox.stores import FormerRevision, OfflineSource, OnlineSource, Recorded, RegisteredFeature
    from jukebox.stores.mlmd.connection import Store

    _Change: TypeAlias = tuple[Held | None, RegisteredFeature]  # what was, and what is to be


class MlmdRegistry:
    """The Registry protocol on an MLMD store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def features(self) -> Sequence[RegisteredFeature]:
        """Return the newest version of every feature, by name."""
        newest = newest_of_all(self._store)
        return tuple(newest[name].registered for name in sorted(newest))

    def feature(self, name: str, version: int | None = None) -> RegisteredFeature:
        """Return a feature by name, its newest version by default; raises UnknownFeature."""
        parsed = FeatureName.parse(name)
        return self._held(parsed, version).registered

    def history(self, name: str) -> Sequence[FormerRevision]:
        """Return what a feature was before each of its changes, oldest first; raises UnknownFeature."""
        newest = self._held(FeatureName.parse(name), None).registered
        names = [node_name(revision_of(newest.name, n)) for n in range(1, newest.revision)]
        found = [self._store.call("get_artifact_by_type_and_name", REVISION, each) for each in names]
        return tuple(former_of(artifact) for artifact in found if artifact is not None)

    def plan(self, features: Iterable[Feature]) -> Sequence[RegisteredFeature]:
        """Return what ``register`` would return, and write nothing; raises NameClash for a name given twice."""
        return tuple(after for _, after in _planned(_once(features), newest_of_all(self._store)))

    def register(self, features: Iterable[Feature]) -> Sequence[RegisteredFeature]:
        """Make the registry hold ``features``, all or none of them; what it holds already stays as it is.

        A definition other than the newest version's makes a new version, also where an older version had it. Raises
        NameClash for a name given twice.
        """
        wanted = _once(features)

        def attempt() -> tuple[list[_Change], int | None, dict[int, RegisteredFeature]]:
            changes = _planned(wanted, newest_of_all(self._store))
            return changes, *self._write(changes)

        changes, own, written = self._store.unmet(attempt)
        self._place(own, written)
        return tuple(after for _, after in changes)

    def add_offline_source(self, source: OfflineSource) -> None:
        """Make ``source`` known as where its features lie for its dates; the same URI again replaces it."""
        ids = [self._held(*split_version(name)).id for name in source.features]
        sources.add_offline(self._store, source, ids)

    def offline_sources(self, versioned: str) -> Sequence[OfflineSource]:
        """Return the offline sources of a versioned feature, the newest registration last; raises UnknownFeature."""
        found = self._held(*split_version(versioned))
        return sources.offline_of(self._store, found.registered.versioned, found.id)

    def set_online_source(self, source: OnlineSource) -> None:
        """Make ``source`` the one that serves its features from now on; raises UnknownFeature."""
        served = [self._held(*split_version(name)).registered for name in source.features]
        sources.set_online(self._store, source, served)

    def online_source(self, versioned: str) -> OnlineSource:
        """Return where a versioned feature is served; raises NotRegistered where it is not, and UnknownFeature."""
        return sources.online_of(self._store, self._held(*split_version(versioned)).registered.versioned)

    def remove_online_source(self, versioned: Iterable[str]) -> None:
        """Make versioned features known as served nowhere; raises UnknownFeature."""
        sources.unset_online(self._store, [self._held(*split_version(name)).registered for name in versioned])

    def record(
        self,
        component: str,
        *,
        reads: Iterable[str] = (),
        makes: Iterable[str] = (),
        inputs: Iterable[Recorded] = (),
        outputs: Iterable[Recorded] = (),
        execution: str | None = None,
    ) -> None:
        """Record one run, as the protocol says; an artifact that the store knows by its URI is not made again."""
        named = recording.Named(
            reads=[self._held(*split_version(name)).id for name in reads],
            makes=[self._held(*split_version(name)).id for name in makes],
        )
        running = recording.running(self._store, execution)
        if running is not None:
            recording.tie(self._store, running, named)
        else:
            recording.write(self._store, component, named, inputs=tuple(inputs), outputs=tuple(outputs))

    def _held(self, name: FeatureName, version: int | None) -> Held:
        return held(versions_of(self._store, name, version)[-1])

    def _write(self, changes: Sequence[_Change]) -> tuple[int | None, dict[int, RegisteredFeature]]:
        """Write what changed in one transaction; return the registration's id, and what it wrote by artifact id."""
        changed = [(before, after) for before, after in changes if after.change != "unchanged"]
        if not changed:
            return None, {}
        types = {name: artifact_type(self._store, name) for name in (FEATURE, REVISION, REGISTRATION)}
        features = [feature_artifact(types[FEATURE], before, after) for before, after in changed]
        formers = [former_artifact(types[REVISION], before) for before, _ in changed if before is not None]
        registration = pb.Artifact(type_id=types[REGISTRATION], state=pb.Artifact.PENDING)
        ids = self._store.call("put_artifacts", [registration, *features, *formers])
        return ids[0], dict(zip(ids[1:], (after for _, after in changed), strict=False))

    def _place(self, own: int | None, written: dict[int, RegisteredFeature]) -> None:
        # A registration is pending until its features are placed; what a killed writer left is made up for.
        registrations = self._store.call("get_artifacts_by_type", REGISTRATION)
        pending = [registration for registration in registrations if registration.state == pb.Artifact.PENDING]
        if any(registration.id != own for registration in pending):
            every = [held(artifact) for artifact in self._store.call("get_artifacts_by_type", FEATURE)]
            written = {each.id: each.registered for each in every}
        if pending:
            place(self._store, written)
            for registration in pending:
                registration.state = pb.Artifact.LIVE
            self._store.call("put_artifacts", pending)


def _once(features: Iterable[Feature]) -> list[Feature]:
    wanted = list(features)
    counts = Counter(str(feature.name) for feature in wanted)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise NameClash(f"{', '.join(twice)} is given twice; a registration names a feature once")
    return wanted


def _planned(wanted: Sequence[Feature], newest: dict[str, Held]) -> list[_Change]:
    pairs = [(feature, newest.get(str(feature.name))) for feature in wanted]
    return [(before, next_of(before, feature)) for feature, before in pairs]
