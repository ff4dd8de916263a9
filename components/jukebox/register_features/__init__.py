"""Register the features of a features.yaml, each a versioned artifact of the registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jukebox.features.file import load_features
from jukebox.stores import Recorded, RegisteredFeature, is_there, open_registry
from jukebox.tables import Manifest, Source, combined, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(
    *,
    features: str,
    registry: str,
    force: Sequence[str] | None = None,
    out: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Make the registry hold the features that the file ``features`` declares, all of them or none.

    What it holds already stays as it is, another definition becomes a new version, and other metadata are
    edited in place. ``force`` names features whose type, keys or life cycle may change in ways that are refused
    otherwise. Returns the manifest of the feature set, which pins the versions; it is written to the
    folder ``out`` where one is given. ``execution`` is the orchestrator's own in the registry's store.

    Raises InvalidFile with every fault of the file and ChangeRefused with every change that is not allowed, before
    anything is registered, UnknownFeature for a forced name that the file does not declare, and StorageError.
    """
    source = Source(features, file_fingerprint(features))
    declared = load_features(features)
    store = open_registry(registry, writes="register_features")
    registered = store.register(declared, force=force or ())
    manifest = _feature_set(registered, source)
    if out is not None:
        manifest = manifest.write(out)
    store.record(
        "register_features",
        makes=[feature.versioned for feature in registered],
        outputs=[] if out is None else [Recorded("jukebox.FeatureSet", out)],
        execution=execution,
    )
    return manifest


def fingerprint(*, features: str, registry: str) -> str:
    """Return the fingerprint of the feature set that ``run`` would leave; nothing is written.

    It changes with the file and with what the registry holds of its features, and a run does not change it.
    Raises InvalidFile and StorageError.
    """
    declared = load_features(features)
    # Opening a registry that is not there would make it, and compiling a pipeline must leave no database behind.
    if not is_there(registry):
        return _fingerprint([RegisteredFeature(feature, 1, 1, "new") for feature in declared])
    return _fingerprint(open_registry(registry).plan(declared))


def _feature_set(registered: Sequence[RegisteredFeature], source: Source) -> Manifest:
    return Manifest(
        kind="feature_set",
        fingerprint=_fingerprint(registered),
        inputs=(source,),
        details={
            "features": [
                {
                    "name": str(feature.name),
                    "version": feature.version,
                    "revision": feature.revision,
                    "digest": feature.feature.digest,
                    "change": feature.change,
                }
                for feature in registered
            ]
        },
    )


def _fingerprint(registered: Sequence[RegisteredFeature]) -> str:
    # The declaration counts beside its numbers: a registry made anew gives other features the same numbers.
    parts = (f"{f.versioned} {f.revision} {json.dumps(f.feature.to_json(), sort_keys=True)}" for f in registered)
    return combined(sorted(parts))
