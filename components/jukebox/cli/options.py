"""Options that hold more than text: JSON, lists of names, keys, times."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue, MissingColumn, NameClash, StorageError
from jukebox.stores import open_lineage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.stores import LineageSource, Registry


def there(registry: str) -> str:
    """Return the URI of a registry that is there: reading makes none; raises InvalidValue and StorageError."""
    try:
        open_lineage(registry)
    except StorageError as exc:
        if not registry.startswith("mlmd"):
            raise
        raise StorageError(f"{exc}; --registry names another, and `jukebox register` makes one") from exc
    return registry


def lineage_of(registry: str, sources: Sequence[str] = ()) -> LineageSource:
    """Return the lineage of a registry that is there, with other sources beside it; raises as ``there``."""
    return open_lineage(there(registry), *sources)


def json_object(option: str, text: str | None) -> dict[str, Any] | None:
    """Return the JSON object that ``text`` holds; raises InvalidValue for anything else."""
    value = _json(option, text)
    if value is not None and not isinstance(value, dict):
        raise InvalidValue(f"{option} is a JSON {type(value).__name__}; it must be an object")
    return value


def json_objects(option: str, text: str | None) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the JSON object, or the list of them, that ``text`` holds; raises InvalidValue for anything else."""
    value = _json(option, text)
    if value is None or isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidValue(f"{option} is {text}; it must be a JSON object, or a list of objects")
    return value


def _json(option: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as exc:
        raise InvalidValue(f"{option} is no JSON: {exc}; it holds {text}") from exc
    if value is None:
        raise InvalidValue(f"{option} is the JSON null; leave it out")
    return value


def request(text: str) -> dict[str, Any] | list[str]:
    """Return a request, from JSON or from names with commas between; raises InvalidValue."""
    if text.lstrip().startswith("{"):
        return json_object("--features", text) or {}
    return names(text)


def names(text: str) -> list[str]:
    """Return the names that stand in ``text`` with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]


def entity(texts: Sequence[str], registry: Registry, features: Sequence[str]) -> dict[str, Any]:
    """Return keys by name from ``airport=JFK``, as whole numbers where the features' identifier is int64.

    What a contextual feature takes is written as in JSON, unless it is text. Raises InvalidValue for a text without an
    equals sign, or one that is no whole number or JSON where one is due, and NameClash for a key that is given twice.
    """
    from jukebox.engine.catalog import registered

    known = registered(registry, features)
    whole = {
        name
        for feature in known
        for key in feature.feature.endpoint.keys
        if key.identifier == "int64"
        for name in (key.column, key.primitive_entity, feature.name.entity)
    }
    context = {
        name
        for feature in known
        if feature.feature.contextual and feature.feature.data_type != "string"
        for name in (feature.feature.column, str(feature.name), feature.name.short)
    }
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidValue(f"--entity '{text}' is no key; it is written airport=JFK")
        if name in found:
            raise NameClash(f"--entity gives '{name}' twice, {found[name]} and {value}; get looks one entity up")
        if name in context:
            found[name] = _json(f"--entity {name}", value)
            continue
        try:
            found[name] = int(value) if name in whole else value
        except ValueError as exc:
            raise InvalidValue(f"--entity '{text}' must hold a whole number") from exc
    return found


def asked(
    features: Sequence[str], keys: Mapping[str, Any] | None, registry: Registry
) -> Sequence[str] | dict[str, dict[str, Any]]:
    """Return the request for features by names, each with those of the ``keys`` that are its own.

    ``keys`` is what a training set takes. Raises MissingColumn for a key that no feature has, InvalidType and
    InvalidValue for what is no key.
    """
    if keys is None:
        return features
    from jukebox.engine.catalog import registered
    from jukebox.engine.label_keys import parted

    columns, _ = parted(keys, "--keys")
    held = {
        name: {key.column for key in feature.feature.endpoint.keys}
        for name, feature in zip(features, registered(registry, features), strict=True)
    }
    for name, column in columns.items():
        if not any(column in mine for mine in held.values()):
            there = ", ".join(sorted(set().union(*held.values()))) or "none"
            raise MissingColumn(f"--keys maps '{name}' to '{column}', no key of the features; keys are {there}")
    return {
        name: {"column": name, "keys": {label: keys[label] for label, column in columns.items() if column in mine}}
        for name, mine in held.items()
    }


def time(option: str, text: str | None) -> datetime | None:
    """Return the moment that ISO text names; raises InvalidValue."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as exc:
        raise InvalidValue(f"{option} '{text}' is no time; it is written 2013-07-01T12:00:00Z") from exc
