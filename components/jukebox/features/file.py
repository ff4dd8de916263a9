"""Reads a features file: YAML in two parts, endpoints and features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidFile
from jukebox.features.consistency import consistency_faults
from jukebox.features.data_types import canonical_type
from jukebox.features.definitions import CONTEXT, Endpoint, Feature
from jukebox.features.documents import text_of, told, tree_of
from jukebox.features.durations import parse_duration
from jukebox.features.names import FeatureName
from jukebox.features.schema import schema_faults
from jukebox.features.spellings import canonical

if TYPE_CHECKING:
    from jukebox.features import yaml_lines


def load_features(path: str) -> tuple[Feature, ...]:
    """Return the features that the file at ``path`` declares, in its order.

    Raises StorageError when it cannot be read, and InvalidFile with every fault when it breaks the format.
    """
    return parse_features(text_of(path), path)


def parse_features(text: str, path: str = "features.yaml") -> tuple[Feature, ...]:
    """Return the features that ``text`` declares, in its order; ``path`` is what an error calls it.

    Raises InvalidFile with one line for each fault, in the order of the file's lines.
    """
    tree = tree_of(text, path, "endpoints and features")
    value = canonical(tree.value)
    faults = _faults(value, tree)
    if faults:
        raise InvalidFile(path, faults)
    endpoints = {fields["name"]: Endpoint.from_json(fields) for fields in value.get("endpoints", ())}
    return tuple(_feature(fields, endpoints) for fields in value["features"])


def _faults(value: Any, tree: yaml_lines.Tree) -> list[str]:
    shape = [*tree.faults, *schema_faults(value)]
    refused = {path for path, _ in shape}
    # A value that the schema has refused is not refused a second time for the same reason.
    rest = [(path, text) for path, text in consistency_faults(value, tree) if path not in refused]
    return told(tree, (*shape, *rest))


def _feature(fields: dict[str, Any], endpoints: dict[str, Endpoint]) -> Feature:
    name, contextual = FeatureName.parse(fields["name"]), fields.pop("contextual", False)
    known = {
        "name": name,
        "endpoint": CONTEXT if contextual else endpoints[fields["endpoint"]],
        "column": fields.get("column", name.name),
        "data_type": canonical_type(fields["data_type"]),
        "tags": tuple(fields.get("tags", ())),
        "max_age": parse_duration(fields["max_age"]) if "max_age" in fields else None,
    }
    return Feature(**{**fields, **known})
