"""Load features of a data endpoint into a feature table: dated Parquet partitions that training sets are made of."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from jukebox.engine.addresses import source_fingerprint
from jukebox.engine.catalog import features_of_endpoint
from jukebox.engine.dates import dates_between
from jukebox.engine.delivered import about_delivery, make_known
from jukebox.engine.feature_tables import write_partition
from jukebox.engine.sources import Delivery
from jukebox.features.spellings import canonical
from jukebox.stores import Recorded, open_registry, place
from jukebox.tables import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jukebox.tables import Manifest


def run(
    *,
    endpoint: str,
    source: str,
    registry: str,
    out: str,
    feature_set: str | None = None,
    features: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    storage_format: str | None = None,
    date: str | None = None,
    start: str | None = None,
    end: str | None = None,
    execution: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Leave a feature table at ``out`` that holds ``endpoint``'s features for a date, or for every date of a range.

    ``source`` is the folder below which the endpoint's ``uri`` lies; ``features`` is the source map, from feature
    name to source column or path (``artist.genres``), by default all registered features of the endpoint;
    ``feature_set`` pins their versions. ``keys``, a mapping with ``primitive_entity``, ``identifier`` and
    ``column_name`` or a list of these, says where a key is in another column, or written in another way, than the
    endpoint declares: ids are converted to the endpoint's identifier. ``storage_format`` is the format of the files
    where it is not the endpoint's.
    A partition that is already there is replaced whole. Rows of an endpoint without ``{date}`` go to the dates of
    their event times, a static one's to the last date. Returns the table's manifest; the table becomes the features'
    offline source.

    Raises NotRegistered, UnknownFeature, InvalidValue, NameClash, NoPartition, MissingColumn, InvalidType, CorruptData
    and StorageError.
    """
    out, source = place(out), place(source)
    days = dates_between(on=date, start=start, end=end)
    store = open_registry(registry, writes="offline_load")
    chosen = features_of_endpoint(store, endpoint, features, feature_set)
    delivery = Delivery(chosen[0].feature.endpoint, chosen, source, keys, canonical(storage_format, "format"))
    delivery.require(days)
    about = about_delivery(delivery)
    fingerprint = functools.cache(source_fingerprint)  # what is not dated is one file for all dates
    for done, part in enumerate(delivery.parts(days), 1):
        read = tuple(Source(str(path), fingerprint(path)) for path in part.paths)
        write_partition(out, part.day, part.batches, replace(about, inputs=read))
        if progress is not None:
            progress(done, len(days))
    table = make_known(store, out, about)
    store.record(
        "offline_load",
        reads=[feature.versioned for feature in chosen],
        inputs=[Recorded("jukebox.DataSet", source)],
        outputs=[Recorded("jukebox.FeatureTable", out)],
        execution=execution,
    )
    return table
