"""Describe data: TFDV statistics, the schema that they suggest, anomalies, and a page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.engine.datasets import open_data
from jukebox.engine.outputs import forget
from jukebox.engine.statistics import SCHEMA_FILE, examine, read_schema, schema_text
from jukebox.engine.statistics_page import Described, page
from jukebox.storage import place_of
from jukebox.stores import Recorded, open_registry
from jukebox.tables import MANIFEST, Manifest, Source, file_fingerprint, write_text, written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jukebox.engine.datasets import DataSet
    from jukebox.engine.statistics import Findings
    from jukebox.storage import Place

PAGE, STATISTICS, ANOMALIES = "statistics.html", "FeatureStats.pb", "SchemaDiff.pb"
_ARTIFACT_TYPES = {"feature_table": "jukebox.FeatureTable", "parquet": "jukebox.DataSet"}


def run(
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

    ``data`` is a training set, a feature table, TFX ``Examples``, or a file or folder of Parquet. The layouts
    are those of TFX: ``Split-<name>/FeatureStats.pb``, ``schema.pbtxt``, ``Split-<name>/SchemaDiff.pb``; data
    without splits has the one split ``all``. The schema written is the one that the first split with rows
    suggests; anomalies are judged by ``schema``, a file or folder, where it is given, else by that one.
    Nothing is written before everything is computed, and the manifest last. Returns the manifest.

    Raises StorageError, CorruptData, InvalidType, InvalidValue where there are no rows, MissingDependency.
    """
    source = open_data(data)
    findings = examine(source.splits, None if schema is None else read_schema(schema))
    given = [] if schema is None else [Source(schema, file_fingerprint(schema))]
    anomalies = findings.anomalies
    splits = [Described(name, found.datasets[0], anomalies[name]) for name, found in findings.statistics.items()]
    manifest = _manifest(source, findings, splits, given)
    forget([place_of(out) / MANIFEST, *_of_splits(out, STATISTICS), *_of_splits(anomalies_out, ANOMALIES)])
    _write_splits(out, STATISTICS, findings.statistics)
    _write_splits(anomalies_out, ANOMALIES, anomalies)
    write_text(place_of(schema_out) / SCHEMA_FILE, schema_text(findings.schema))
    write_text(place_of(out) / PAGE, page(data, splits, source.types, manifest.details["left_out"]))
    manifest = manifest.write(out)
    if registry is not None and execution is None:
        outputs = [("ExampleStatistics", out), ("Schema", schema_out), ("ExampleAnomalies", anomalies_out)]
        open_registry(registry).record(
            "feature_statistics",
            inputs=[
                Recorded(_ARTIFACT_TYPES.get(source.kind, "Examples"), data),
                *(Recorded("Schema", part.uri) for part in given),
            ],
            outputs=[Recorded(kind, uri) for kind, uri in outputs],
        )
    return manifest


def _manifest(source: DataSet, findings: Findings, splits: Sequence[Described], given: Sequence[Source]) -> Manifest:
    seen = {feature.path.step[0] for split in splits for feature in split.statistics.features}
    return Manifest(
        kind="feature_statistics",
        rows=sum(findings.rows.values()),
        schema=source.types,
        fingerprint=findings.fingerprint,
        inputs=(Source(source.uri, source.fingerprint), *given),
        details={
            "splits": findings.rows,
            "anomalies": {split.split: split.anomaly_count for split in splits},
            "left_out": [name for name in source.types if name not in seen],
            "page": PAGE,
        },
    )


def _of_splits(folder: str, name: str) -> Iterable[Place]:
    return place_of(folder).glob(f"Split-*/{name}")


def _write_splits(folder: str, name: str, messages: Mapping[str, Any]) -> None:
    for split, message in messages.items():
        with written_whole(place_of(folder) / f"Split-{split}" / name) as temporary:
            temporary.write_bytes(message.SerializeToString(deterministic=True))
