"""Train like you serve: the features that were logged join labels by request, and the join fills in what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.engine.labelled_logs import LabelledLog
from jukebox.engine.served_logs import open_log
from jukebox.engine.stitching import make_stitched_set, stitch_request
from jukebox.storage import place_of
from jukebox.stores import Recorded, open_registry, place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from jukebox.core.asof import Progress
    from jukebox.tables import Manifest


def run(
    *,
    log: str,
    labels: str,
    features: Mapping[str, Any] | Sequence[str],
    registry: str,
    out: str,
    request_id: str = "request_id",
    position: str | None = None,
    label_time: str | None = None,
    feature_tables: Collection[str] | None = None,
    feature_set: str | None = None,
    split: str = "time:0.8",
    proof: str = "sample",
    execution: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Leave at ``out`` a training set: every label once, in its order, with the features that were served beside it.

    ``labels`` are what ``point_in_time_join`` takes; ``request_id`` is their column of the request that each is about,
    and ``position`` that of the entity's place in it, from 0, where requests had several. Of rows of the log that are
    of one request and position the first that was served counts. ``features`` is the request that a training set
    takes. What was not logged of a label is joined point-in-time as of the moment it was served for, by the keys it
    was served for, from where the registry says; labels that were not logged are joined as of their own
    ``label_time``, by their own key columns. The moment is the column ``served_at``.
    Returns the manifest, which tells for each column how many cells were logged, backfilled and null.

    Raises InvalidValue for labels that were not logged and have no time and for requests of several entities without
    a ``position``, NoPartition for features that are neither logged nor loaded and where there is no log, InvalidType
    for one of another type in the log than offline; also MissingColumn, NameClash, UnknownFeature, CorruptData and
    StorageError.
    """
    out, log, labels = place(out), place(log), place(labels)
    known = open_registry(registry)
    source = LabelledLog(open_log(log), labels, request_id, position, label_time)
    about: dict[str, Any] = {
        "feature_tables": feature_tables,
        "feature_set": feature_set,
        "split": split,
        "proof": proof,
    }
    request = stitch_request(known, source, features, **about)
    manifest = make_stitched_set(known, source, request, out, progress=progress)
    members = [each.asked for each in request.columns] + list(request.context)
    roots = sorted({str(place_of(each.uri).parent.parent) for each in manifest.inputs[2:]})
    known.record(
        "log_training_set",
        reads=list(dict.fromkeys(member.versioned for member in members)),
        inputs=[
            Recorded("jukebox.DataSet", labels),
            Recorded("jukebox.ServedLog", log),
            *(Recorded("jukebox.FeatureTable", root) for root in roots),
        ],
        outputs=[Recorded("jukebox.TrainingSet", out)],
        execution=execution,
    )
    return manifest
