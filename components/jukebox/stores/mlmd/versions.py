"""How a feature's versions and revisions are written as MLMD artifacts, and read back."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jukebox.errors import UnknownFeature
from jukebox.features import Feature
from jukebox.stores.mlmd.kinds import FEATURE, REVISION, node_name, set_texts, text_of, to_json
from jukebox.stores.mlmd.library import pb
from jukebox.stores.nouns import Chronicle, FormerRevision, RegisteredFeature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def all_chronicles(store: Store) -> dict[str, Chronicle]:
    """Return every feature with all that it was, by canonical name."""
    former: dict[str, list[FormerRevision]] = defaultdict(list)
    for artifact in store.call("get_artifacts_by_type", REVISION):
        revision = former_of(artifact)
        former[str(revision.registered.name)].append(revision)
    newest = newest_of_all(store)
    for revisions in former.values():
        revisions.sort(key=lambda revision: revision.registered.revision)
    return {name: Chronicle(newest[name].registered, tuple(former[name])) for name in sorted(newest)}


def chronicle_artifacts(
    types: Mapping[str, int], chronicle: Chronicle
) -> Iterator[tuple[pb.Artifact, RegisteredFeature]]:
    """Yield the artifacts of a feature that is to be there with all that it was, each with what it holds."""
    for version in chronicle.versions:
        yield _version_artifact(types[FEATURE], version), version
    for revision in chronicle.former:
        yield former_artifact(types[REVISION], revision), revision.registered


def feature_artifact(type_id: int, before: Held | None, after: RegisteredFeature) -> pb.Artifact:
    """Return the artifact of a new version, or the edited one of the version there is."""
    artifact = _version_artifact(type_id, after)
    if after.change == "edited" and before is not None:
        artifact.id = before.id
    return artifact


def former_artifact(type_id: int, former: FormerRevision) -> pb.Artifact:
    """Return the artifact that keeps what a feature was; named by the revision, so that only one writer can make it."""
    was = former.registered
    name = node_name(revision_of(was.name, was.revision))
    artifact = pb.Artifact(type_id=type_id, name=name, state=pb.Artifact.LIVE)
    set_texts(artifact, _texts(was) | {"replaced_at": former.replaced_at.isoformat()})
    return artifact


def former_of(artifact: pb.Artifact) -> FormerRevision:
    """Return what ``former_artifact`` wrote."""
    return FormerRevision(held(artifact).registered, datetime.fromisoformat(text_of(artifact, "replaced_at")))


def revision_of(name: FeatureName, revision: int) -> str:
    """Return the name of a feature's revision, ``/entity/…/name/temp#3``."""
    return f"{name}#{revision}"


def _version_artifact(type_id: int, registered: RegisteredFeature) -> pb.Artifact:
    artifact = pb.Artifact(type_id=type_id, name=node_name(registered.versioned), state=pb.Artifact.LIVE)
    artifact.uri = f"jukebox:/{registered.versioned}"
    set_texts(artifact, _texts(registered) | _for_people(registered.feature))
    return artifact


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
    return UnknownFeature.version(str(name), version, newest[str(name)].registered.version)
