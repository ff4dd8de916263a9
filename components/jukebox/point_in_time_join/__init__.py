"""Join features to labels by name, each as it was known at the label's time, into a training set with its proof."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.core.fingerprints import fingerprint_of
from jukebox.core.splits import Split
from jukebox.engine.catalog import grouped, registered
from jukebox.engine.requests import asked, normalized
from jukebox.engine.training_sets import Group, described, joined, write_training_set
from jukebox.errors import InvalidValue, NameClash
from jukebox.stores import Recorded, open_registry
from jukebox.tables import Manifest, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from jukebox.engine.requests import Asked
    from jukebox.stores import Registry


def run(
    *,
    labels: str,
    label_time: str,
    features: Mapping[str, Any] | Sequence[str],
    registry: str,
    out: str,
    feature_tables: Collection[str] | None = None,
    feature_set: str | None = None,
    split: str = "time:0.8",
    keys: Mapping[str, str] | None = None,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
    execution: str | None = None,
) -> Manifest:
    """Leave at ``out`` a training set: every label once, in its order, with the asked features beside it.

    ``labels`` is a file or folder of Parquet, CSV or TFRecords (their label time in microseconds); ``features`` is
    the request, from feature name to output column or to ``{"column": …, "max_age": …}``. The registry says where
    the features lie; ``feature_tables`` keeps to some tables and ``feature_set`` to the versions that a registration
    left. ``split`` is ``time:0.8``, ``hash:0.8`` or ``hash:0.8:column,column``, by default of all label columns;
    ``keys`` maps label columns to key columns of another name; ``proof`` is ``sample`` (10,000 labels are searched
    for values not yet known) or ``full``.
    Returns the manifest with the proof. The rules are those of ``jukebox.core.asof``, and so are the errors; also
    UnknownFeature, NoPartition, CorruptData, InvalidValue, NameClash and StorageError.
    """
    if proof not in ("sample", "full"):
        raise InvalidValue(f"proof is '{proof}'; it is sample or full")
    labels, out = str(Path(labels).absolute()), str(Path(out).absolute())
    rule = Split.parse(split)
    renamed = {} if keys is None else dict(keys)
    rules = {"label_time": label_time, "keys": renamed, "allow_exact": allow_exact, "as_known": as_known}
    store = open_registry(registry)
    members = _members(store, features, feature_set)
    groups = _groups(store, members, feature_tables)
    spine = _labels(labels, label_time, _label_keys(groups, renamed), [member.column for member in members])
    rule = rule.over(spine.column_names)
    rule.require(spine.schema)
    table, proven = joined(spine, groups, {**rules, "proof": proof})
    table = table.select([*spine.column_names, *(member.column for member in members)])
    splits = write_training_set(out, table, rule.train_mask(spine, label_time))
    manifest = replace(
        _manifest(table, label_time, Source(labels, fingerprint_of(spine, spine.schema)), groups),
        details={
            "splits": splits,
            "split": str(rule),
            "rules": {**rules, "proof": proof},
            "features": [described(member, proven[member.column]) for member in members],
        },
    ).write(out)
    tables = sorted({part.table for parts, _ in groups for part in parts})
    store.record(
        "point_in_time_join",
        reads=[member.registered.versioned for member in members],
        inputs=[Recorded("jukebox.DataSet", labels), *(Recorded("jukebox.FeatureTable", table) for table in tables)],
        outputs=[Recorded("jukebox.TrainingSet", out)],
        execution=execution,
    )
    return manifest


def _manifest(table: pa.Table, label_time: str, labels: Source, groups: Sequence[Group]) -> Manifest:
    parts = [part for group, _ in groups for part in group]
    return Manifest(
        kind="training_set",
        rows=table.num_rows,
        schema={field.name: str(field.type) for field in table.schema},
        event_time=label_time,
        fingerprint=fingerprint_of(table, table.schema),
        inputs=(labels, *(Source(str(part.path), part.manifest.fingerprint) for part in parts)),
    )


def _members(store: Registry, features: Mapping[str, Any] | Sequence[str], feature_set: str | None) -> list[Asked]:
    request = normalized(features)
    return asked(request, registered(store, list(request), feature_set))


def _groups(store: Registry, members: Sequence[Asked], tables: Collection[str] | None) -> list[Group]:
    by_feature = defaultdict(list)
    for member in members:
        by_feature[member.registered.versioned].append(member)
    found = grouped(store, list({m.registered.versioned: m.registered for m in members}.values()), tables)
    return [(parts, [m for feature in group for m in by_feature[feature.versioned]]) for parts, group in found]


def _label_keys(groups: Sequence[Group], renamed: Mapping[str, str]) -> set[str]:
    return {*renamed, *(key for parts, _ in groups for key in parts[0].manifest.keys)}


def _labels(path: str, label_time: str, keys: Collection[str], outputs: Sequence[str]) -> pa.Table:
    reader = formats.format_of(path)
    schema = reader.schema(path)
    for column in outputs:
        if column in schema.names:
            raise NameClash(f"the output column '{column}' is in the labels already; ask for it under another name")
    if reader is formats.format_named("tfrecord"):
        schema = pa.schema([_from_record(field, label_time, keys) for field in schema])
    options = formats.Options(types={field.name: field.type for field in schema})
    return pa.Table.from_batches(reader.read(path, columns=schema.names, options=options), schema)


def _from_record(field: pa.Field, label_time: str, keys: Collection[str]) -> pa.Field:
    # A record has no type for times and text: the label time is in microseconds, and bytes in a key are text.
    if field.name == label_time and field.type == pa.int64():
        return field.with_type(pa.timestamp("us", "UTC"))
    return field.with_type(pa.string()) if field.name in keys and field.type == pa.binary() else field
