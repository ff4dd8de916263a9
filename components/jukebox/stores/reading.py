"""A registry's holdings from YAML, as ``stores.writing`` writes them; all faults of a text are told at once."""

from __future__ import annotations

import json
from datetime import date, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidFile, JukeboxError, reason
from jukebox.features import Endpoint, Feature, FeatureName
from jukebox.features.documents import told, tree_of
from jukebox.features.schema import schema_faults
from jukebox.features.spellings import offer
from jukebox.stores.nouns import (
    Chronicle,
    FormerRevision,
    Holdings,
    OfflineSource,
    OnlineSource,
    RegisteredFeature,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jukebox.features.yaml_lines import Fault, Path, Tree

_NUMBERS = ("version", "revision", "replaced_at", "former", "name")


def from_yaml(text: str, path: str) -> Holdings:
    """Return the holdings that ``text`` tells; ``path`` is what an error calls it.

    Raises InvalidFile with one line for each fault, in the order of the text's lines.
    """
    tree = tree_of(text, path, "a registry, as jukebox export writes it")
    schema = json.loads(resources.files("jukebox.stores").joinpath("registry.schema.json").read_text(encoding="utf-8"))
    faults = [*tree.faults, *schema_faults(tree.value, schema)]
    reader = _Reader(tree)
    holdings = reader.holdings() if not faults else Holdings()
    faults += reader.faults
    if faults:
        raise InvalidFile(path, told(tree, faults))
    return holdings


class _Reader:
    """Reads a value of the right shape, and keeps the faults that its parts show when they are held together."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.faults: list[Fault] = []
        self._endpoints: dict[str, Endpoint] = {}
        self._versions: set[str] = set()

    def holdings(self) -> Holdings:
        value = self._tree.value
        for at, fields in enumerate(value["endpoints"]):
            self._once(self._endpoints, fields["id"], ("endpoints", at, "id"))
            told_of = {name: inner for name, inner in fields.items() if name != "id"}
            self._endpoints[fields["id"]] = Endpoint.from_json(told_of)
        features: dict[str, Chronicle] = {}
        for at, fields in enumerate(value["features"]):
            chronicle = self._chronicle(fields, ("features", at))
            if chronicle is not None:
                self._once(features, str(chronicle.newest.name), ("features", at, "name"))
                features[str(chronicle.newest.name)] = chronicle
                self._versions |= {version.versioned for version in chronicle.versions}
        offline = [self._offline(each, ("offline_sources", at)) for at, each in enumerate(value["offline_sources"])]
        online = [self._online(each, ("online_sources", at)) for at, each in enumerate(value["online_sources"])]
        return Holdings(
            tuple(features[name] for name in sorted(features)),
            tuple(source for source in offline if source is not None),
            tuple(sorted((pair for pairs in online for pair in pairs), key=_version_key)),
        )

    def _chronicle(self, fields: dict[str, Any], path: Path) -> Chronicle | None:
        name = self._read(FeatureName.parse, fields["name"], (*path, "name"))
        newest = None if name is None else self._registered(name, fields, path)
        former = [self._former(name, each, (*path, "former", at)) for at, each in enumerate(fields.get("former", ()))]
        revisions = [revision for revision in former if revision is not None]
        if newest is None or len(revisions) < len(former):
            return None
        self._check_numbers([*(each.registered for each in revisions), newest], path)
        return Chronicle(newest, tuple(revisions))

    def _former(self, name: FeatureName | None, fields: dict[str, Any], path: Path) -> FormerRevision | None:
        at = self._read(datetime.fromisoformat, fields["replaced_at"], (*path, "replaced_at"))
        registered = None if name is None else self._registered(name, fields, path)
        return None if registered is None or at is None else FormerRevision(registered, at)

    def _registered(self, name: FeatureName, fields: dict[str, Any], path: Path) -> RegisteredFeature | None:
        if fields["endpoint"] not in self._endpoints:
            hint = offer(fields["endpoint"], self._endpoints)
            self.faults.append(((*path, "endpoint"), f"endpoint '{fields['endpoint']}' is not in this file{hint}"))
            return None
        said = {field: value for field, value in fields.items() if field not in _NUMBERS}
        whole = {**said, "name": str(name), "endpoint": self._endpoints[fields["endpoint"]].to_json()}
        feature = self._read(Feature.from_json, whole, path)
        return None if feature is None else RegisteredFeature(feature, fields["version"], fields["revision"])

    def _check_numbers(self, every: list[RegisteredFeature], path: Path) -> None:
        steps = zip([0, *(each.version for each in every)], [each.version for each in every], strict=False)
        if [each.revision for each in every] != list(range(1, len(every) + 1)):
            self.faults.append(((*path, "revision"), "the revisions do not count from 1, the former first"))
        elif any(after - before not in {0, 1} for before, after in steps) or every[0].version != 1:
            self.faults.append(((*path, "version"), "the versions do not count from 1, the former first"))

    def _offline(self, fields: dict[str, Any], path: Path) -> OfflineSource | None:
        days = [self._read(date.fromisoformat, day, (*path, "dates", at)) for at, day in enumerate(fields["dates"])]
        at = self._read(datetime.fromisoformat, fields["delivered_at"], (*path, "delivered_at"))
        self._check_known(fields["features"], (*path, "features"))
        if at is None or None in days:
            return None
        dates = tuple(day for day in days if day is not None)
        return OfflineSource(**{**fields, "features": tuple(fields["features"]), "dates": dates, "delivered_at": at})

    def _online(self, fields: dict[str, Any], path: Path) -> list[tuple[str, OnlineSource]]:
        at = self._read(datetime.fromisoformat, fields["loaded_at"], (*path, "loaded_at"))
        self._check_known(fields["serves"], (*path, "serves"))
        if at is None:
            return []
        told_of = {name: value for name, value in fields.items() if name != "serves"}
        source = OnlineSource(**{**told_of, "features": tuple(fields["features"]), "loaded_at": at})
        return [(name, source) for name in fields["serves"]]

    def _check_known(self, names: list[str], path: Path) -> None:
        for at, name in enumerate(names):
            if name not in self._versions:
                hint = offer(name, self._versions)
                self.faults.append(((*path, at), f"the version '{name}' is not in this file{hint}"))

    def _once(self, known: dict[str, Any], name: str, path: Path) -> None:
        if name in known:
            self.faults.append((path, f"'{name}' is given already"))

    def _read(self, read: Callable[[Any], Any], value: Any, path: Path) -> Any:
        try:
            return read(value)
        except (JukeboxError, ValueError) as exc:
            self.faults.append((path, reason(exc)))
            return None


def _version_key(pair: tuple[str, OnlineSource]) -> tuple[str, int]:
    name, _, version = pair[0].partition("@")
    return name, int(version)
