"""The plan of a training set: which labels meet which partitions by which keys, from a request or from a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from jukebox.core.splits import Split
from jukebox.engine import contextual
from jukebox.engine.catalog import Partition, grouped, registered
from jukebox.engine.label_keys import Converted, conversions, parted, require_one_meaning, together
from jukebox.engine.labels import label_fingerprint
from jukebox.engine.requests import Asked, asked, normalized
from jukebox.errors import (
    CorruptData,
    InvalidValue,
    MissingColumn,
    NameClash,
    NoPartition,
    SourceChanged,
    StorageError,
    reason,
)
from jukebox.features import FeatureName, parse_duration
from jukebox.storage import place_of
from jukebox.stores import place
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from jukebox.engine.requests import Entry
    from jukebox.features import Key
    from jukebox.stores import Registry
    from jukebox.tables import Source

PROOFS = ("sample", "full")


@dataclass(frozen=True)
class PlannedTable:
    """A feature table in one role: its partitions by date, what is asked of it, and label column to key column.

    ``keys`` names every key of the table, in the table's order; ``converted`` are the label columns whose ids the table
    has in another way.
    """

    partitions: tuple[Partition, ...]
    members: tuple[Asked, ...]
    keys: Mapping[str, str] = field(hash=False)
    converted: tuple[Converted, ...] = ()

    @property
    def about(self) -> Manifest:
        """The manifest of its first partition: keys, times and endpoint are the same for all."""
        return self.partitions[0].manifest

    @property
    def event_time(self) -> str:
        """The column of the event time; a static table has one too, of no meaning."""
        return str(self.about.event_time)

    @property
    def static(self) -> bool:
        """Whether its rows are true at all times."""
        return bool(self.about.details["static"])

    @property
    def joined_keys(self) -> dict[str, str]:
        """Label column to key column, converted label columns in the place of those that they come from."""
        columns = {each.label: each.column for each in self.converted}
        return {columns.get(label, label): key for label, key in self.keys.items()}

    @property
    def rows(self) -> int:
        """How many rows its partitions hold."""
        return sum(part.manifest.rows for part in self.partitions)

    @property
    def columns(self) -> list[str]:
        """The columns that the join reads: keys, times and what is asked, each once."""
        times = [self.event_time] if self.about.created_time is None else [self.event_time, self.about.created_time]
        return list(dict.fromkeys([*self.keys.values(), *times, *(member.source_column for member in self.members)]))

    @property
    def terms(self) -> dict[str, Any]:
        """What is asked of its rows, by the names that the join and its brute-force judge both have for it."""
        return {
            "keys": self.joined_keys,
            "event_time": None if self.static else self.event_time,
            "values": {member.column: member.source_column for member in self.members},
            "created_time": self.about.created_time,
            "max_age": {member.column: member.max_age for member in self.members},
            "last_non_null": frozenset(member.column for member in self.members if member.last_non_null),
        }


@dataclass(frozen=True)
class Plan:
    """Everything that the rows of a training set follow from; ``members`` are its columns, in order.

    ``context`` are contextual features, which the labels bring.
    """

    labels: str
    label_time: str
    tables: tuple[PlannedTable, ...]
    members: tuple[Asked, ...]
    split: Split
    allow_exact: bool = True
    as_known: bool = True
    proof: str = "sample"
    context: tuple[Asked, ...] = ()

    @property
    def label_keys(self) -> frozenset[str]:
        """The label columns that features are joined by."""
        return frozenset(label for table in self.tables for label in table.keys)

    @property
    def converted(self) -> tuple[Converted, ...]:
        """The label columns that are converted for one table or more, each once."""
        return tuple(dict.fromkeys(each for table in self.tables for each in table.converted))

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """Every partition, once: a table in two roles is read from the same."""
        return tuple({part.path: part for table in self.tables for part in table.partitions}.values())

    @property
    def feature_tables(self) -> tuple[str, ...]:
        """The URIs of the feature tables, sorted."""
        return tuple(sorted({part.table for part in self.partitions}))


def planned(
    registry: Registry,
    *,
    labels: str,
    label_time: str,
    features: Mapping[str, Any] | Sequence[str],
    feature_tables: Collection[str] | None = None,
    feature_set: str | None = None,
    split: str = "time:0.8",
    keys: Mapping[str, Any] | None = None,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
) -> Plan:
    """Return the plan of a request: its features in their registered versions, and where the registry says they lie.

    The labels are not read. A label column of which ``keys`` tell the identifier is converted for tables that have
    another. Raises InvalidValue, also where a label column would name two things; InvalidType, UnknownFeature,
    NoPartition, MissingColumn where keys are mapped to what is no key, NameClash where two label columns are mapped to
    one key or one to two, and StorageError or CorruptData for a feature table that is not whole.
    """
    if proof not in PROOFS:
        raise InvalidValue(f"proof is '{proof}'; it is {' or '.join(PROOFS)}")
    rule, entries = Split.parse(split), normalized(features)
    found = registered(registry, [entry.name for entry in entries], feature_set)
    wanted = list(zip(entries, found, strict=True))
    context = tuple(contextual.from_labels(*each) for each in wanted if each[1].feature.contextual)
    wanted = [each for each in wanted if not each[1].feature.contextual]
    entries, found = [entry for entry, _ in wanted], [feature for _, feature in wanted]
    if not entries:
        raise InvalidValue("the request asks for contextual features alone; the labels have them already")
    members = asked(entries, found)
    once = list({feature.versioned: feature for feature in found}.values())
    lying = {f.versioned: parts for parts, group in grouped(registry, once, feature_tables) for f in group}
    names, written = parted({} if keys is None else keys, "the request")
    told = together([written, *(entry.written for entry in entries)])
    all_keys = {key for parts in lying.values() for key in parts[0].manifest.keys}
    renamed = _by_key(names, all_keys, "the asked features; their")
    tables: dict[tuple[Any, ...], PlannedTable] = {}
    met: dict[str, set[Key]] = {}
    for entry, member, of in zip(entries, members, found, strict=True):
        parts = lying[member.versioned]
        role = _role(entry, parts[0].manifest.keys, renamed)
        for label, column in role.items():
            met.setdefault(label, set()).update(key for key in of.feature.endpoint.keys if key.column == column)
        converted = conversions(role, of.feature.endpoint.keys, told)
        same = (tuple(part.path for part in parts), tuple(role.items()))
        before = tables[same].members if same in tables else ()
        tables[same] = PlannedTable(parts, (*before, member), role, converted)
    require_one_meaning(met, told)
    rules = (rule, allow_exact, as_known, proof)
    return Plan(place(labels), label_time, tuple(tables.values()), tuple(members), *rules, context=context)


def _by_key(renamed: Mapping[str, str], keys: Collection[str], of: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for label, key in renamed.items():
        if key not in keys:
            there = ", ".join(sorted(keys)) or "none"
            raise MissingColumn(f"'{label}' is mapped to '{key}', no key of {of} keys are {there}")
        if key in names:
            raise NameClash(f"'{names[key]}' and '{label}' are both mapped to the key '{key}'; a join takes one")
        names[key] = label
    return names


def _role(entry: Entry, keys: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Return label column to key column: the entry's own mapping before the join's, and else the same name."""
    names = {**renamed, **_by_key(entry.keys, keys, f"'{entry.name}'; its")}
    role: dict[str, str] = {}
    for key in keys:
        label = names.get(key, key)
        if label in role:
            raise NameClash(f"label column '{label}' would be two keys of '{entry.name}', '{role[label]}' and '{key}'")
        role[label] = key
    return role


def plan_of(manifest: Manifest) -> Plan:
    """Return the plan that a training set was made by, from its manifest alone; no registry is asked.

    The labels are read once, batch by batch; of the partitions only the manifests are. One that was loaded again
    with the same content is the same. Raises SourceChanged, which names the labels and partitions that are gone or
    hold something else by now, and InvalidValue for the manifest of something else, or of a version that did not
    write its plan down.
    """
    if manifest.kind != "training_set":
        raise InvalidValue(f"{manifest.uri} holds a {manifest.kind}, not a training_set")
    about = manifest.details
    if "log" in about:
        raise InvalidValue(
            f"{manifest.uri} was stitched from the log {manifest.inputs[1].uri}; consistency_check holds that log "
            "against the join"
        )
    if "tables" not in about:
        raise InvalidValue(f"{manifest.uri} was made by a version that did not write its plan down; make it again")
    parts = _unchanged(manifest)
    members = [_member(told) for told in about["features"]]
    tables = []
    for number, table in enumerate(about["tables"]):
        mine = [m for m, told in zip(members, about["features"], strict=True) if told["table"] == number]
        converted = tuple(Converted(**each) for each in table.get("converted", ()))
        partitions = tuple(parts[path] for path in table["partitions"])
        tables.append(PlannedTable(partitions, tuple(mine), table["keys"], converted))
    rules = {"split": Split.parse(about["split"]), "context": contextual.of_manifest(about), **about["rules"]}
    return Plan(manifest.inputs[0].uri, tables=tuple(tables), members=tuple(members), **rules)


def _member(told: Mapping[str, Any]) -> Asked:
    limit = None if told["max_age"] is None else parse_duration(told["max_age"])
    name = FeatureName.parse(told["name"])
    return Asked(name, told["version"], told["data_type"], told["column"], limit, told["last_non_null"])


def _unchanged(manifest: Manifest) -> dict[str, Partition]:
    """Return the partitions by the path that the manifest gives them; raises SourceChanged for all that changed."""
    labels, *sources = manifest.inputs
    changed, parts = {labels.uri: _labels_changed(labels, manifest)}, {}
    for source in sources:
        part = _partition(source)
        if isinstance(part, Partition):
            parts[source.uri] = part
        else:
            changed[source.uri] = part
    told = {uri: what for uri, what in changed.items() if what is not None}
    if told:
        others = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        raise SourceChanged(
            f"{manifest.uri} cannot be made again: {next(iter(told.values()))}{others}", sources=tuple(told)
        )
    return parts


def _labels_changed(labels: Source, manifest: Manifest) -> str | None:
    keys = {label for table in manifest.details["tables"] for label in table["keys"]}
    try:
        now = label_fingerprint(labels.uri, manifest.details["rules"]["label_time"], keys)
    except (NoPartition, StorageError, CorruptData) as exc:
        return f"the labels cannot be read any more, {reason(exc)}"
    return None if now == labels.fingerprint else f"the labels {labels.uri} hold other rows than then"


def _partition(source: Source) -> Partition | str:
    """Return the partition that ``source`` was, as it lies now, or what has become of it."""
    folder = place_of(source.uri).parent
    try:
        now = Manifest.read(folder, "partition")
    except (StorageError, CorruptData, InvalidValue) as exc:
        return f"the partition {folder} is gone, {reason(exc)}"
    if now.fingerprint != source.fingerprint:
        return f"the partition {folder} was rewritten with other rows, delivered at {now.details['delivered_at']}"
    part = Partition(date.fromisoformat(now.details["date"]), now)
    return part if part.path.exists() else f"the partition {folder} has lost its data, {part.path.name}"
