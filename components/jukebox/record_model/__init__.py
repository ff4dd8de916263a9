"""Record a model that was trained outside TFX: of which training set, and so of which features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue, UnknownFeature
from jukebox.features.names import split_version
from jukebox.stores import Recorded, open_registry, place
from jukebox.tables import MANIFEST, Manifest, Source, combined, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.stores import Registry

MODEL = "jukebox.Model"


def run(
    *,
    model: str,
    training_set: str,
    registry: str,
    features: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
    out: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Make the model at ``model`` known as trained on ``training_set``, which leads to its features.

    Both are files, folders or URIs. ``features`` names those that the trainer used, where it left some of the training
    set's out; ``facts`` (framework, metrics…) are kept as text. A model of several training sets is recorded once with
    each. Returns the manifest, which is written to ``out`` where that is given.

    Raises StorageError where a file or folder is not there, and UnknownFeature for a feature that is not registered,
    or that the training set, where it says what it holds, does not hold.
    """
    model, training_set = place(model), place(training_set)
    store = open_registry(registry, writes="record_model")
    held, source = _read(training_set)
    used = [_used(store, each, held, training_set) for each in features or ()]
    told = {str(name): str(value) for name, value in sorted((facts or {}).items())}
    manifest = Manifest(
        kind="model_record",
        fingerprint=_content(model),
        inputs=(source,),
        details={"model": model, "features": list(dict.fromkeys(used)), "facts": told},
    )
    if out is not None:
        manifest = manifest.write(out)
    store.record(
        "record_model",
        reads=manifest.details["features"],
        inputs=[Recorded("jukebox.TrainingSet", training_set)],
        outputs=[] if out is None else [Recorded("jukebox.ModelRecord", out)],
        made=[Recorded(MODEL, model, properties=tuple(told.items()))],
        execution=execution,
    )
    return manifest


def _read(training_set: str) -> tuple[list[str], Source]:
    """Return the versioned features that a training set says it holds, none where it says nothing."""
    if "://" in training_set or not Path(training_set, MANIFEST).is_file():
        return [], Source(training_set, _content(training_set))
    manifest = Manifest.read(training_set)
    if manifest.kind != "training_set":
        raise InvalidValue(f"{training_set} holds a {manifest.kind}, not a training_set")
    features = [f"{each['name']}@{each['version']}" for each in manifest.details["features"]]
    return list(dict.fromkeys(features)), Source(training_set, manifest.fingerprint)


def _content(uri: str) -> str:
    # What lies in a bucket or in a registry of models is known by its URI alone.
    return combined([uri]) if "://" in uri else file_fingerprint(uri)


def _name(versioned: str) -> str:
    return versioned.partition("@")[0]


def _used(store: Registry, text: str, held: Sequence[str], training_set: str) -> str:
    name, version = split_version(text)
    if not held:
        return store.feature(str(name), version).versioned
    fitting = [each for each in held if each == f"{name}@{version}" or (version is None and _name(each) == str(name))]
    if not fitting:
        raise UnknownFeature(f"{training_set} does not hold '{text}'; it holds {', '.join(held)}")
    return fitting[-1]
