"""Load the newest row of every key into an online store, from which features are served by name."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jukebox.engine.catalog import features_of_table, grouped, registered
from jukebox.engine.dates import dates_between
from jukebox.engine.key_filters import KeyFilter
from jukebox.engine.online_tables import OnlineLoad, OnlineTable, estimated, load_table, of_dates
from jukebox.errors import InvalidValue, NotRegistered
from jukebox.features import FeatureName
from jukebox.stores import OnlineSource, Recorded, open_online, open_registry, place
from jukebox.stores.uris import option
from jukebox.tables import Manifest, combined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.engine.catalog import Partition
    from jukebox.engine.online_tables import Estimate
    from jukebox.stores import Loaded, RegisteredFeature, Registry


def run(
    *,
    store: str,
    registry: str,
    feature_table: str | None = None,
    feature_set: str | None = None,
    features: Sequence[str] | Mapping[str, str] | None = None,
    table: str | None = None,
    date: str | None = None,
    start: str | None = None,
    end: str | None = None,
    filter_keys: str | None = None,
    filter_columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    filter_format: str | None = None,
    replace: bool = False,
    beam_pipeline_args: Sequence[str] | None = None,
    out: str | None = None,
    execution: str | None = None,
    progress: Loaded | None = None,
) -> Manifest:
    """Make the online store at ``store`` serve features: the newest row of every key, never an older over a newer.

    ``features`` names them, or maps their names to the columns that they are registered from, by default all that
    ``feature_table`` holds; without a table the registry says where
    they lie. ``table`` names the table in the store, by default the endpoint with a digest of the feature versions.
    ``date``, or ``start`` and ``end``, keep to partitions of these dates. ``filter_keys`` is a file or folder whose
    keys are the only ones to load; ``filter_columns`` says which of its columns hold them (see
    ``jukebox.engine.key_filters``) and ``filter_format`` what it is. With ``replace`` the rows take the place of all
    that the table held, in one moment. With ``beam_pipeline_args`` workers of Beam read and write. ``progress`` is
    told how many rows are done, but on Beam. Returns the manifest, which is written to ``out`` where that is given;
    the table becomes the features' online source, unless there were no rows at all.

    Raises InvalidValue when neither features nor a table is named, and for a ``table`` whose column serves another
    feature, or another version of one, that the load would overwrite; UnknownFeature, NoPartition, CorruptData,
    MissingColumn for a filter without the key columns, StorageError, and on Beam JobFailed.
    """
    known = open_registry(registry, writes="online_load")
    asked: dict[str, Any] = {"features": features, "feature_table": feature_table, "table": table}
    asked |= {"days": _days(date, start, end), "filtered": _filter(filter_keys, filter_format, filter_columns)}
    tables = _tables(known, **asked, feature_set=feature_set)
    if table is not None:
        _require_own_columns(known, store, table, tables)
    if beam_pipeline_args:
        from jukebox.engine.beam_online import load_table_on_beam

        loads = [load_table_on_beam(store, each, beam_pipeline_args, table=table, replace=replace) for each in tables]
    else:
        with closing(open_online(store)) as online:
            loads = [load_table(online, each, table=table, replace=replace, progress=progress) for each in tables]
    now = datetime.now(timezone.utc)
    for load in loads:
        _make_known(known, store, load, now, out=out, execution=execution)
    manifest = _manifest(store, loads, now)
    return manifest if out is None else manifest.write(out)


def estimate(
    *,
    registry: str,
    feature_table: str | None = None,
    features: Sequence[str] | Mapping[str, str] | None = None,
    table: str | None = None,
    date: str | None = None,
    start: str | None = None,
    end: str | None = None,
    filter_keys: str | None = None,
    filter_columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    filter_format: str | None = None,
    store: str | None = None,
) -> list[Estimate]:
    """Return the rows and bytes that ``run`` would send of each table to ``store``; it is not asked, nor written to.

    Without a store they are those of packed cells. Raises InvalidValue for a store that is none, and what ``run``
    raises of features, dates and filter keys.
    """
    if store is not None:
        open_online(store).close()
    asked: dict[str, Any] = {"features": features, "feature_table": feature_table, "table": table}
    asked |= {"days": _days(date, start, end), "filtered": _filter(filter_keys, filter_format, filter_columns)}
    apart = store is not None and option(store, "cells") == "columns"
    return [estimated(each, table=table, apart=apart) for each in _tables(open_registry(registry), **asked)]


def unload(*, registry: str, features: Sequence[str], drop: bool = True) -> list[OnlineSource]:
    """Make features no longer served; return where they were.

    With ``drop`` the tables go from their stores too, unless they serve other features. A table that is gone already
    is no error. Raises UnknownFeature, NotRegistered for a feature that is not served, and StorageError.
    """
    known = open_registry(registry, writes="an online unload")
    names = [member.versioned for member in registered(known, features)]
    sources = {(source.store, source.table): source for source in map(known.online_source, names)}
    for where, source in sources.items() if drop else ():
        others = [name for name in source.features if name not in names]
        if not any(_served_at(known, name) == where for name in others):
            with closing(open_online(source.store)) as online:
                online.drop(source.table)
    # Last, so that the same again completes what broke off.
    known.remove_online_source(names)
    return list(sources.values())


def _served_at(known: Registry, versioned: str) -> tuple[str, str] | None:
    try:
        found = known.online_source(versioned)
    except NotRegistered:
        return None
    return found.store, found.table


def _filter(
    path: str | None, storage: str | None, columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None
) -> KeyFilter | None:
    if path is None and (storage is not None or columns is not None):
        raise InvalidValue("filter_format and filter_columns are about filter_keys, and there are none")
    return None if path is None else KeyFilter(path, storage, columns)


def _days(date: str | None, start: str | None, end: str | None) -> Any:
    asked = any(text is not None for text in (date, start, end))
    return dates_between(on=date, start=start, end=end) if asked else None


def _tables(
    known: Registry,
    *,
    features: Sequence[str] | Mapping[str, str] | None,
    feature_table: str | None,
    table: str | None,
    days: Any,
    filtered: KeyFilter | None,
    feature_set: str | None = None,
) -> list[OnlineTable]:
    names = _names(features, feature_table)
    members = registered(known, names, feature_set)
    if isinstance(features, dict):
        _check_columns(members, features)
    groups = grouped(known, members, None if feature_table is None else [feature_table])
    if table is not None and len(groups) > 1:
        raise InvalidValue(f"the features lie in {len(groups)} feature tables; the online table '{table}' can hold one")
    return [_of_dates(parts, members, days, filtered) for parts, members in groups]


def _of_dates(
    parts: Sequence[Partition], members: Sequence[RegisteredFeature], days: Any, filtered: KeyFilter | None
) -> OnlineTable:
    asked = of_dates(parts, days)
    others = None if days is None else tuple(part for part in parts if part not in asked)
    return OnlineTable(asked, tuple(members), filtered, others)


def _require_own_columns(known: Registry, store: str, table: str, tables: Sequence[OnlineTable]) -> None:
    """Raise InvalidValue where a column that a load writes serves another feature, or another version of it."""
    mine = {member.name.name: member.versioned for each in tables for member in each.members}
    for name, source in known.holdings().online:
        column = FeatureName.parse(name.partition("@")[0]).name
        if (_same(source.store, store) and source.table == table) and mine.get(column, name) != name:
            raise InvalidValue(
                f"online table '{table}' serves '{name}' from its column '{column}', which '{mine[column]}' would "
                f"overwrite; load it into another table, or unload '{name}' first"
            )


def _same(one: str, other: str) -> bool:
    # What follows the question mark says how a table is used, not which it is.
    return place(one).partition("?")[0] == place(other).partition("?")[0]


def _check_columns(members: Sequence[RegisteredFeature], given: Mapping[str, str]) -> None:
    for member, column in zip(members, given.values(), strict=True):
        if column != member.feature.column:
            raise InvalidValue(
                f"'{member.name}' is registered from column '{member.feature.column}', the load says '{column}'"
            )


def _names(features: Sequence[str] | Mapping[str, str] | None, feature_table: str | None) -> Sequence[str]:
    if features is None and feature_table is None:
        raise InvalidValue("an online load names features or a feature table, and here is neither")
    names = features_of_table(str(feature_table)) if features is None else features
    if not names:
        raise InvalidValue("an online load names at least one feature")
    return list(names)


def _make_known(
    known: Registry, store: str, load: OnlineLoad, now: datetime, *, out: str | None, execution: str | None
) -> None:
    if load.read > 0:
        known.set_online_source(OnlineSource(store, load.table, load.features, load.rows, load.fingerprint, now))
    known.record(
        "online_load",
        reads=load.features,
        inputs=[Recorded("jukebox.FeatureTable", root) for root in load.roots],
        outputs=[Recorded("jukebox.OnlineTable", out or f"{store}#{load.table}")],
        execution=execution,
    )


def _manifest(store: str, loads: Sequence[OnlineLoad], now: datetime) -> Manifest:
    left_out = ("roots", "partitions")
    tables = [{name: value for name, value in asdict(load).items() if name not in left_out} for load in loads]
    return Manifest(
        kind="online_table",
        rows=sum(load.rows for load in loads),
        fingerprint=combined(load.fingerprint for load in loads),
        inputs=tuple(source for load in loads for source in load.partitions),
        details={
            "store": store,
            "tables": [{**each, "features": list(each["features"])} for each in tables],
            "loaded_at": now.isoformat(timespec="milliseconds"),
        },
    )
