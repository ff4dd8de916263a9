"""The registry on MLMD: an artifact for each version of a feature, in the contexts of its family, entity and endpoint.

A registration is one transaction, whatever the number of features. Two writers that change one feature at once would
make an artifact of the same name, the new version's or the former revision's; MLMD refuses the second, who reads again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from jukebox.core.lineage import features_of
from jukebox.core.uses import uses_of
from jukebox.errors import UnknownFeature
from jukebox.features import FeatureName
from jukebox.features.names import split_version
from jukebox.stores.changes import LIFE_CYCLES, forced_names, once, planned, require_allowed, require_known
from jukebox.stores.merging import missing
from jukebox.stores.mlmd import recording, sources
from jukebox.stores.mlmd.deployments import end, resume
from jukebox.stores.mlmd.kinds import (
    FEATURE,
    ONLINE_CHANGE,
    REGISTRATION,
    REVISION,
    artifact_type,
    node_name,
)
from jukebox.stores.mlmd.ledger import Ledger
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.lineage import lineage_of
from jukebox.stores.mlmd.places import place
from jukebox.stores.mlmd.versions import (
    Held,
    all_chronicles,
    chronicle_artifacts,
    feature_artifact,
    former_artifact,
    former_of,
    held,
    newest_of_all,
    revision_of,
    versions_of,
)
from jukebox.stores.nouns import FormerRevision, Holdings
from jukebox.stores.searching import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from jukebox.features import Feature
    from jukebox.stores.changes import Change
    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.nouns import OfflineSource, OnlineSource, Recorded, RegisteredFeature
    from jukebox.stores.searching import Page, Query


class MlmdRegistry:
    """The Registry protocol on an MLMD store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registrations, self._online_changes = Ledger(store, REGISTRATION), Ledger(store, ONLINE_CHANGE)
        # Nothing is read yet: a store that was written before there were such entries has entry 0 for its latest.
        self._index: tuple[int, Index] = -1, Index(())
        self._online: tuple[int, frozenset[str]] = -1, frozenset()

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

    def versions(self, name: str) -> Sequence[RegisteredFeature]:
        """Return a feature's versions, oldest first, each as it was last; raises UnknownFeature."""
        return tuple(held(artifact).registered for artifact in versions_of(self._store, FeatureName.parse(name)))

    def search(self, query: Query) -> Page:
        """Return a page of the newest versions that ``query`` asks for; raises NotRegistered for an unknown model.

        Answers from memory, which is read anew after a registration or an online load by whomever.
        """
        used = None
        if query.model is not None:
            nodes = features_of(lineage_of(self._store), query.model)
            used = {dict(node.properties)["name"] for node in nodes}
        return self.index().search(query, online=self._served() if query.online is not None else (), used=used)

    def index(self) -> Index:
        """Return the newest version of every feature as an index, which is kept as long as it holds."""
        latest = self._registrations.latest()
        if self._index[0] != latest:
            self._index = latest, Index(self.features())
        return self._index[1]

    def plan(self, features: Iterable[Feature]) -> Sequence[RegisteredFeature]:
        """Return what ``register`` would return with every name forced, and write nothing; raises NameClash."""
        newest = {name: each.registered for name, each in newest_of_all(self._store).items()}
        return tuple(change.after for change in planned(once(features), newest))

    def register(self, features: Iterable[Feature], *, force: Iterable[str] = ()) -> Sequence[RegisteredFeature]:
        """Make the registry hold ``features``, all or none of them; what it holds already stays as it is.

        A definition other than the newest version's makes a new version, also where an older version had it. Raises
        NameClash for a name given twice, and ChangeRefused unless ``force`` names the features.
        """
        wanted = once(features)
        return self._change(lambda _: wanted, forced_names(force, wanted))

    def set_life_cycle(
        self, names: Iterable[str], life_cycle: str, *, force: Iterable[str] = ()
    ) -> Sequence[RegisteredFeature]:
        """Make ``life_cycle`` that of the features, all or none, and leave the rest of them as it is.

        Raises UnknownFeature, InvalidValue for a life cycle that there is none, and ChangeRefused as ``register``.
        """
        require_known("life cycle", life_cycle, LIFE_CYCLES)
        given = [str(FeatureName.parse(name)) for name in names]

        def wanted(newest: Mapping[str, RegisteredFeature]) -> list[Feature]:
            for name in given:
                if name not in newest:
                    raise UnknownFeature.named(name, newest)
            return once(replace(newest[name].feature, life_cycle=life_cycle) for name in given)

        return self._change(wanted, frozenset(str(FeatureName.parse(name)) for name in force))

    def deployed_models(self, feature: str) -> Sequence[str]:
        """Return the URIs of the models that are deployed and use a feature; raises UnknownFeature."""
        return tuple(node.uri for node in uses_of(lineage_of(self._store), feature).deployed)

    def holdings(self) -> Holdings:
        """Return all that the registry holds."""
        chronicles = tuple(all_chronicles(self._store).values())
        serving = sources.all_online(self._store)
        versioned = [version.versioned for chronicle in chronicles for version in chronicle.versions]
        online = tuple((name, serving[node_name(name)]) for name in versioned if node_name(name) in serving)
        return Holdings(chronicles, sources.all_offline(self._store), online)

    def take_over(self, holdings: Holdings) -> int:
        """Make the registry hold ``holdings`` too, as they are; return how many features came anew.

        The features come all or none; what a writer that died has left out, the same again adds. Raises ChangeRefused.
        """

        def attempt() -> tuple[Holdings, int | None, dict[int, RegisteredFeature]]:
            number = self._registrations.latest() + 1
            new = missing(self.holdings(), holdings)
            types = {name: artifact_type(self._store, name) for name in (FEATURE, REVISION)}
            pairs = [pair for chronicle in new.features for pair in chronicle_artifacts(types, chronicle)]
            return new, *self._put(number, pairs)

        new, own, written = self._store.unmet(attempt)
        self._place(own, written)
        for source in new.offline:
            self.add_offline_source(source)
        for serving in dict.fromkeys(serving for _, serving in new.online):
            self._serve(serving, [name for name, each in new.online if each == serving])
        return len(new.features)

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
        self._serve(source, source.features)

    def online_source(self, versioned: str) -> OnlineSource:
        """Return where a versioned feature is served; raises NotRegistered where it is not, and UnknownFeature."""
        return sources.online_of(self._store, self._held(*split_version(versioned)).registered.versioned)

    def remove_online_source(self, versioned: Iterable[str]) -> None:
        """Make versioned features known as served nowhere; raises UnknownFeature."""
        unserved = [self._held(*split_version(name)).registered for name in versioned]
        sources.unset_online(self._store, self._online_changes, unserved)

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
        """Record one run, as the protocol says; an artifact that the store knows by its URI is not made again."""
        named = recording.Named(
            reads=[self._held(*split_version(name)).id for name in reads],
            makes=[self._held(*split_version(name)).id for name in makes],
        )
        running = recording.running(self._store, execution)
        if running is not None:
            recording.tie(self._store, running, named, tuple(made))
        else:
            whole = {"inputs": tuple(inputs), "outputs": tuple(outputs), "made": tuple(made)}
            recording.write(self._store, component, named, **whole)

    def end_deployment(self, model: str, endpoint: str) -> None:
        """Make the model at a URI serve at ``endpoint`` no longer; raises NotRegistered where it does not."""
        end(self._store, model, endpoint)

    def resume_deployment(self, model: str, endpoint: str) -> bool:
        """Make a deployment that is recorded already, and may have ended, active; return whether there is one."""
        return resume(self._store, model, endpoint)

    def _held(self, name: FeatureName, version: int | None) -> Held:
        return held(versions_of(self._store, name, version)[-1])

    def _change(
        self, wanted: Callable[[Mapping[str, RegisteredFeature]], Sequence[Feature]], forced: Collection[str]
    ) -> Sequence[RegisteredFeature]:
        """Register what is wanted of the newest versions, all or none, as of one moment."""

        def attempt() -> tuple[list[Change], int | None, dict[int, RegisteredFeature]]:
            number = self._registrations.latest() + 1
            newest = newest_of_all(self._store)
            registered = {name: each.registered for name, each in newest.items()}
            changes = planned(wanted(registered), registered)
            require_allowed(changes, self.deployed_models, forced)
            return changes, *self._write(number, changes, newest)

        changes, own, written = self._store.unmet(attempt)
        self._place(own, written)
        return tuple(change.after for change in changes)

    def _served(self) -> frozenset[str]:
        latest = self._online_changes.latest()
        if self._online[0] != latest:
            self._online = latest, frozenset(sources.all_online(self._store))
        return self._online[1]

    def _serve(self, source: OnlineSource, versioned: Iterable[str]) -> None:
        served = [self._held(*split_version(name)).registered for name in versioned]
        sources.set_online(self._store, self._online_changes, source, served)

    def _write(
        self, number: int, changes: Sequence[Change], newest: dict[str, Held]
    ) -> tuple[int | None, dict[int, RegisteredFeature]]:
        changed = [change for change in changes if change.after.change != "unchanged"]
        if not changed:
            return None, {}
        feature, revision = (artifact_type(self._store, name) for name in (FEATURE, REVISION))
        now = datetime.now(timezone.utc)
        pairs = [(feature_artifact(feature, newest.get(str(c.after.name)), c.after), c.after) for c in changed]
        formers = (FormerRevision(c.before, now) for c in changed if c.before is not None)
        pairs += [(former_artifact(revision, former), former.registered) for former in formers]
        return self._put(number, pairs)

    def _put(
        self, number: int, pairs: Sequence[tuple[pb.Artifact, RegisteredFeature]]
    ) -> tuple[int | None, dict[int, RegisteredFeature]]:
        """Write artifacts in one transaction; return the registration's id, and the features written by their ids."""
        if not pairs:
            return None, {}
        registration = self._registrations.entry(number, pending=True)
        own, *ids = self._store.call("put_artifacts", [registration, *(artifact for artifact, _ in pairs)])
        feature = pairs[0][0].type_id
        written = zip(ids, pairs, strict=True)
        return own, {i: registered for i, (artifact, registered) in written if artifact.type_id == feature}

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
