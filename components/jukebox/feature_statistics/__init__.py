"""Describe data: TFDV statistics, the schema that they suggest, anomalies, and a page that a person can open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukebox.engine.datasets import open_data
from jukebox.engine.statistics import SCHEMA_FILE, examine, read_schema, schema_text
from jukebox.engine.statistics_page import Described, page
from jukebox.stores import Recorded, open_registry
from jukebox.tables import MANIFEST, Manifest, Source, file_fingerprint, write_text, written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE, STATISTICS, ANOMALIES = "statistics.html", "FeatureStats.pb", "SchemaDiff.pb"
_ARTIFACT_TYPES = {"feature_table": "jukebox.FeatureTable", "parquet": "jukebox.DataSet"}


def run(  # noqa: PLR0913 - three outputs, as TFX has them
    *,
    data: str,
    out: str,
    schema_out: str,
    anomalies_out: str,
    schema: str | None = None,
    registry: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Leave the statistics of ``data`` and a page about them at ``out``, a schema and the anomalies beside.

    ``data`` is a training set, a feature table, TFX ``Examples``, or a file or folder of Parquet. The layouts are
    those of TFX: ``Split-<name>/FeatureStats.pb``, ``schema.pbtxt``, ``Split-<name>/SchemaDiff.pb``; data without
    splits has the one split ``all``. The schema written is the one that the first split with rows suggests;
    anomalies are judged by ``schema``, a file or folder, where it is given, else by that one.
    Nothing is written before everything is computed, and the manifest last. Returns the manifest.

    Raises StorageError, CorruptData, InvalidType, InvalidValue where there are no rows, MissingDependency.
    """
    source = open_data(data)
    findings = examine(source.splits, None if schema is None else read_schema(schema))
    splits = [Described(name, found.datasets[0], findings.anomalies[name]) for name, found in findings.statistics.items()]
    seen = {feature.path.step[0] for split in splits for feature in split.statistics.features}
    left_out = [name for name in source.types if name not in seen]
    (Path(out) / MANIFEST).unlink(missing_ok=True)
    _write_splits(out, STATISTICS, findings.statistics)
    _write_splits(anomalies_out, ANOMALIES, findings.anomalies)
    write_text(Path(schema_out) / SCHEMA_FILE, schema_text(findings.schema))
    write_text(Path(out) / PAGE, page(data, splits, source.types, left_out))
    given = [] if schema is None else [Source(schema, file_fingerprint(schema))]
    manifest = Manifest(
        kind="feature_statistics",
        rows=sum(findings.rows.values()),
        schema=source.types,
        fingerprint=findings.fingerprint,
        inputs=(Source(data, source.fingerprint), *given),
        details={
            "splits": findings.rows,
            "anomalies": {split.split: split.anomaly_count for split in splits},
            "left_out": left_out,
            "page": PAGE,
        },
    ).write(out)
    if registry is not None and execution is None:
        inputs = [Recorded(_ARTIFACT_TYPES.get(source.kind, "Examples"), data)]
        inputs += [] if schema is None else [Recorded("Schema", schema)]
        _record(registry, inputs, out=out, schema_out=schema_out, anomalies_out=anomalies_out)
    return manifest


def _write_splits(folder: str, name: str, messages: Mapping[str, Any]) -> None:
    """Make ``folder`` hold one file ``name`` for each split, and none of an earlier run's splits."""
    for old in Path(folder).glob(f"Split-*/{name}"):
        if old.parent.name.removeprefix("Split-") not in messages:
            old.unlink()
    for split, message in messages.items():
        with written_whole(Path(folder) / f"Split-{split}" / name) as temporary:
            temporary.write_bytes(message.SerializeToString(deterministic=True))


def _record(registry: str, inputs: Sequence[Recorded], *, out: str, schema_out: str, anomalies_out: str) -> None:
    outputs = [("ExampleStatistics", out), ("Schema", schema_out), ("ExampleAnomalies", anomalies_out)]
    open_registry(registry).record(
        "feature_statistics", inputs=inputs, outputs=[Recorded(kind, uri) for kind, uri in outputs]
    )
