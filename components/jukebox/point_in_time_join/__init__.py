"""Join features to labels by name, each as it was known at the label's time, into a training set with its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.engine.plans import planned
from jukebox.engine.training_sets import make_training_set
from jukebox.stores import Recorded, open_registry, place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from jukebox.core.asof import Progress
    from jukebox.tables import Manifest


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
    keys: Mapping[str, Any] | None = None,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
    beam_pipeline_args: Sequence[str] | None = None,
    execution: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Leave at ``out`` a training set: every label once, in its order, with the asked features beside it.

    ``labels`` is a file or folder of Parquet, CSV or TFRecords (their label time in microseconds); ``features`` is
    the request, from feature name to output column, to ``{"column": …, "max_age": …, "last_non_null": …, "keys": …}``
    or to a list of these, one for each role that the feature has. The registry says where the features lie;
    ``feature_tables`` keeps to some tables and ``feature_set`` to the versions that a registration left. ``split`` is
    ``time:0.8``, ``hash:0.8`` or ``hash:0.8:column,column``, by default of all label columns; ``keys`` maps label
    columns to key columns of another name, or to ``{"column": …, "identifier": …}`` where their ids are written in
    another way than the features' (they are converted, and the labels stay as they are), and the ``keys`` of a role go
    before it; ``proof`` is ``sample`` (10,000
    labels are searched for values not yet known) or ``full``; with ``beam_pipeline_args`` the join runs on Beam, and
    leaves the same; ``progress`` is told how far the join is, but on Beam.
    Returns the manifest with the proof. The rules are those of ``jukebox.core.asof``, and so are the errors; also
    UnknownFeature, NoPartition, CorruptData, InvalidValue, NameClash and StorageError, and on Beam JobFailed.
    """
    out, store = place(out), open_registry(registry)
    plan = planned(
        store,
        labels=labels,
        label_time=label_time,
        features=features,
        feature_tables=feature_tables,
        feature_set=feature_set,
        split=split,
        keys=keys,
        allow_exact=allow_exact,
        as_known=as_known,
        proof=proof,
    )
    manifest = make_training_set(plan, out, beam_pipeline_args=beam_pipeline_args, progress=progress)
    tables = (Recorded("jukebox.FeatureTable", table) for table in plan.feature_tables)
    store.record(
        "point_in_time_join",
        reads=list(dict.fromkeys(member.versioned for member in (*plan.members, *plan.context))),
        inputs=[Recorded("jukebox.DataSet", plan.labels), *tables],
        outputs=[Recorded("jukebox.TrainingSet", out)],
        execution=execution,
    )
    return manifest
