"""The features of a model: what its lineage says that it was trained on, as a request."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.core.lineage import FEATURE, upstream
from jukebox.engine.label_keys import Written
from jukebox.engine.requests import Entry
from jukebox.errors import CorruptData, InvalidValue, NameClash, NotRegistered, StorageError, reason
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jukebox.core.lineage_nodes import Graph, LineageSource

_KIND = "training_set"


@dataclass(frozen=True)
class Trained:
    """What a model was trained on: features, and the types of its training set's columns, as far as they are known."""

    entries: tuple[Entry, ...]
    schema: Mapping[str, str] = field(hash=False)


def trained(lineage: LineageSource, model: str) -> Trained:
    """Return the features that went into the model at a URI, as the request of its training set has them.

    That is told by the training set's manifest: columns, versions, roles and limits of age. Where it can no longer be
    read, the lineage still names the features and versions: they go by the last part of their names, under the
    registered limits of age, and a warning says so. Raises NotRegistered for a model that is not known, or that no
    feature went into, and NameClash where two training sets have other features under one column.
    """
    graph = upstream(lineage, *lineage.nodes_at(model))
    names = sorted({node.name for node in graph.artifacts({FEATURE})})
    if not names:
        raise NotRegistered(f"no feature went into the model '{model}', says the lineage")
    try:
        manifests = _training_sets(graph, names)
    except (StorageError, CorruptData, InvalidValue) as exc:
        warnings.warn(
            f"the training set of '{model}' cannot be read, so its features go by the last part of their names, "
            f"under their registered limits of age: {reason(exc)}",
            stacklevel=2,
        )
        manifests = []
    entries = [entry for manifest in manifests for entry in _entries(manifest)]
    if not manifests:
        entries = [Entry(name, name.partition("@")[0].rpartition("/")[2]) for name in names]
    schema = {column: kind for manifest in manifests for column, kind in (manifest.schema or {}).items()}
    return Trained(_once(model, entries), schema)


def _training_sets(graph: Graph, names: list[str]) -> list[Manifest]:
    """Return the manifests of the training sets that a walk met, which together name the features."""
    artifacts = [node for node in graph.nodes if node.kind == "artifact" and node.type != FEATURE and node.uri]
    found: list[Manifest] = []
    failed: Exception = StorageError("no training set of it is recorded")
    for node in artifacts:
        try:
            found.append(Manifest.read(node.uri, _KIND))
        except (StorageError, CorruptData, InvalidValue) as exc:  # noqa: PERF203 - a few artifacts
            failed = exc if "TrainingSet" in node.type or node.type == "Examples" else failed
    if {f"{each['name']}@{each['version']}" for manifest in found for each in _features(manifest)} != set(names):
        raise failed
    return found


def _features(manifest: Manifest) -> list[Mapping[str, Any]]:
    return [*manifest.details["features"], *manifest.details.get("context", ())]


def _entries(manifest: Manifest) -> list[Entry]:
    tables = manifest.details.get("tables", ())
    return [_entry(each, tables) for each in _features(manifest)]


def _entry(told: Mapping[str, Any], tables: Any) -> Entry:
    name = f"{told['name']}@{told['version']}"
    # A training set of a log tells the role with the feature: not all of it was joined from a table.
    table = tables[told["table"]] if "table" in told and tables else {"keys": told.get("keys", {})}
    roles = {label: key for label, key in table["keys"].items() if label != key}
    written = {each["label"]: Written(each["source"]) for each in table.get("converted", ())}
    written |= {name: Written(how) for name, how in told.get("identifiers", {}).items()}
    return Entry(name, told["column"], told.get("max_age"), bool(told.get("last_non_null")), roles, written)


def _once(model: str, entries: list[Entry]) -> tuple[Entry, ...]:
    columns: dict[str, Entry] = {}
    for entry in entries:
        if columns.setdefault(entry.column, entry) != entry:
            raise NameClash(
                f"'{model}' was trained on '{entry.name}' and '{columns[entry.column].name}', both as '{entry.column}'"
            )
    return tuple(columns.values())
