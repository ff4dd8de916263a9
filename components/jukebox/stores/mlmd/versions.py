"""How a feature's versions and revisions are written as MLMD artifacts, and read back."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from jukebox.errors import UnknownFeature
from jukebox.features import Feature
from jukebox.stores import FormerRevision, RegisteredFeature
from jukebox.stores.mlmd.kinds import FEATURE, node_name, set_texts, text_of, to_json
from jukebox.stores.mlmd.library import pb

if TYPE_CHECKING:
    from jukebox.features import FeatureName
    from jukebox.stores.mlmd.connection import Store


@dataclass(frozen=True)
class Held:
    """A version of a feature as the store holds it, with its artifact's id."""

    id: int
    registered: RegisteredFeature


def versions_of(store: Store, name: FeatureName, version: int | None = None) -> list[pb.Artifact]:
    """Return the artifacts of a feature's versions, oldest first, or of one; raises UnknownFeature for none."""
    wanted = itertools.count(1) if version is None else (version,)
    names = (node_name(f"{name}@{number}") for number in wanted)
    found = (store.call("get_artifact_by_type_and_name", FEATURE, each) for each in names)
    artifacts = list(itertools.takewhile(lambda artifact: artifact is not None, found))
    if not artifacts:
        raise _unknown(store, name, version)
    return artifacts


def newest_of_all(store: Store) -> dict[str, Held]:
    """Return the newest version of every feature, by canonical name."""
    every = [held(artifact) for artifact in store.call("get_artifacts_by_type", FEATURE)]
    return {str(each.registered.name): each for each in sorted(every, key=lambda each: each.registered.version)}


def held(artifact: pb.Artifact) -> Held:
    """Return what an artifact that ``feature_artifact`` made says."""
    feature = Feature.from_json(json.loads(text_of(artifact, "feature")))
    version, revision = int(text_of(artifact, "version")), int(text_of(artifact, "revision"))
    return Held(artifact.id, RegisteredFeature(feature, version, revision))


def next_of(before: Held | None, feature: Feature) -> RegisteredFeature:
    """Return what registering ``feature`` makes of the newest version there is."""
    if before is None:
        return RegisteredFeature(feature, 1, 1, "new")
    newest = before.registered
    if feature == newest.feature:
        return replace(newest, change="unchanged")
    if feature.digest != newest.feature.digest:
        return RegisteredFeature(feature, newest.version + 1, newest.revision + 1, "new version")
    if to_json(feature.to_json()) != to_json(newest.feature.to_json()):
        return RegisteredFeature(feature, newest.version, newest.revision + 1, "edited")
    return replace(newest, change="unchanged")


def feature_artifact(type_id: int, before: Held | None, after: RegisteredFeature) -> pb.Artifact:
    """Return the artifact of a new version, or the edited one of the version there is."""
    artifact = pb.Artifact(type_id=type_id, name=node_name(after.versioned), state=pb.Artifact.LIVE)
    artifact.uri = f"jukebox:/{after.versioned}"
    if after.change == "edited" and before is not None:
        artifact.id = before.id
    set_texts(artifact, _texts(after) | _for_people(after.feature))
    return artifact


def former_artifact(type_id: int, before: Held) -> pb.Artifact:
    """Return the artifact that keeps what a feature was; named by the revision, so that only one writer can make it."""
    former = before.registered
    name = node_name(revision_of(former.name, former.revision))
    artifact = pb.Artifact(type_id=type_id, name=name, state=pb.Artifact.LIVE)
    set_texts(artifact, _texts(former) | {"replaced_at": datetime.now(timezone.utc).isoformat()})
    return artifact


def former_of(artifact: pb.Artifact) -> FormerRevision:
    """Return what ``former_artifact`` wrote."""
    return FormerRevision(held(artifact).registered, datetime.fromisoformat(text_of(artifact, "replaced_at")))


def revision_of(name: FeatureName, revision: int) -> str:
    """Return the name of a feature's revision, ``/entity/…/name/temp#3``."""
    return f"{name}#{revision}"


def _texts(registered: RegisteredFeature) -> dict[str, str]:
    return {
        "feature": to_json(registered.feature.to_json()),
        "version": str(registered.version),
        "revision": str(registered.revision),
    }


def _for_people(feature: Feature) -> dict[str, str]:
    return {
        "name": str(feature.name),
        "digest": feature.digest,
        "data_type": feature.data_type,
        "description": feature.description,
        "owner": feature.owner or "",
        "scope": feature.scope,
        "life_cycle": feature.life_cycle,
        "tags": ", ".join(feature.tags),
    }


def _unknown(store: Store, name: FeatureName, version: int | None) -> UnknownFeature:
    newest = newest_of_all(store)
    if version is None or str(name) not in newest:
        return UnknownFeature.named(str(name), newest)
    return UnknownFeature(f"'{name}' has no version {version}; the newest is {newest[str(name)].registered.version}")
