"""Prove that training and serving agree: replay what was served, read back what is, and stop where they differ."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jukebox.engine.consistency import checked_thresholds
from jukebox.engine.online_checks import loaded_tables, read_back, served_tables
from jukebox.engine.outputs import forget
from jukebox.engine.served_checks import check_log
from jukebox.engine.served_logs import open_log
from jukebox.errors import InvalidType, InvalidValue, SkewFound
from jukebox.storage import place_of
from jukebox.stores import Recorded, open_registry, place
from jukebox.tables import MANIFEST, Manifest, Source, combined, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from jukebox.core.asof import Progress
    from jukebox.engine.consistency import Consistency
    from jukebox.stores import Registry

REPORT = "report.json"
_SHOWN = 3


def run(
    *,
    registry: str,
    out: str,
    log: str | None = None,
    online_table: str | None = None,
    features: Sequence[str] | None = None,
    feature_tables: Collection[str] | None = None,
    rows: int = 0,
    seed: int = 0,
    tolerance: float = 0.0,
    thresholds: Mapping[str, float] | None = None,
    execution: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Leave at ``out`` the statistics of served features beside offline ones; raise where they differ too much.

    Every vector of ``log`` is joined again as of the time it was served for, and compared cell by cell. Of
    ``online_table``, what an online load left, or without both of the tables that serve ``features`` now, the rows
    are read back and compared with the newest ones offline. ``features`` keeps to some of a log's, ``feature_tables``
    to some tables; ``rows`` looks at so many vectors and keys, which ``seed`` scatters, and 0 at all of them. Numbers
    no farther apart than ``tolerance``, a share of the greater one, count as equal. ``thresholds`` map kinds of
    difference (``mismatch``, ``missing``, ``extra``, ``early``, ``ahead``: none are allowed; ``stale``: all are) to
    the greatest share of a feature's cells.
    ``report.json`` is written in any case, the manifest only where no threshold is exceeded. Returns the manifest.

    Raises SkewFound, which names the features; InvalidValue where nothing is named or compared, and for what makes no
    sense, InvalidType, UnknownFeature, NotRegistered, NoPartition, MissingColumn, SourceChanged, StorageError and
    CorruptData.
    """
    limits, out, known = checked_thresholds(thresholds), place(out), open_registry(registry)
    _require(rows, tolerance)
    looked: dict[str, Any] = {"rows": None if rows == 0 else rows, "seed": seed, "tolerance": tolerance}
    found: dict[str, list[Consistency]] = {}
    if log is not None:
        about: dict[str, Any] = {"features": features, "feature_tables": feature_tables, "progress": progress}
        found["replay"] = [check_log(known, open_log(place(log)), **about, **looked)]
    if online_table is not None or log is None:
        found["read_back"] = [read_back(each, **looked) for each in _tables(known, online_table, features)]
    forget([place_of(out) / MANIFEST])
    report = {name: [{**asdict(each), "cells": each.cells} for each in checks] for name, checks in found.items()}
    text = json.dumps({"thresholds": limits, **report}, indent=1, default=_text)
    write_text(place_of(out) / REPORT, f"{text}\n")
    _stop(found, limits)
    manifest = _manifest(found, limits, seed).write(out)
    given = (("jukebox.ServedLog", log), ("jukebox.OnlineTable", online_table))
    known.record(
        "consistency_check",
        reads=sorted({told["feature"].partition("?")[0] for told in manifest.details["features"]}),
        inputs=[Recorded(kind, place(uri)) for kind, uri in given if uri is not None],
        outputs=[Recorded("jukebox.Consistency", out)],
        execution=execution,
    )
    return manifest


def _stop(found: Mapping[str, Sequence[Consistency]], limits: Mapping[str, float]) -> None:
    """Raise SkewFound where too much differs, InvalidValue where nothing was compared."""
    checks = [each for some in found.values() for each in some]
    breaches = [told for each in checks for told in each.breaches(limits)]
    if breaches:
        # The first cells of a few are enough to begin with; the report has those of all.
        told = [f"{share}{first if place < _SHOWN else ''}" for place, (share, first) in enumerate(breaches)]
        raise SkewFound("; ".join(told))
    if not any(each.cells for each in checks):
        raise InvalidValue(f"no cell of {', '.join(each.uri for each in checks) or 'an empty load'} could be compared")


def _require(rows: int, tolerance: float) -> None:
    if rows < 0:
        raise InvalidValue(f"rows is {rows}; a check looks at one or more, and with 0 at all")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise InvalidType(f"the tolerance is {tolerance!r}; it is a number, a share of the greater of two values")
    if not 0 <= tolerance < 1:
        raise InvalidValue(f"the tolerance is {tolerance}; it is a share of the greater of two values, below 1")


def _tables(known: Registry, online_table: str | None, features: Sequence[str] | None) -> Any:
    if online_table is not None:
        return loaded_tables(known, Manifest.read(place(online_table)))
    if not features:
        raise InvalidValue("a check of consistency names a log, an online table or features, and here is none of them")
    return served_tables(known, features)


def _text(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return repr(value) if isoformat is None else str(isoformat())


def _manifest(found: Mapping[str, Sequence[Consistency]], limits: Mapping[str, float], seed: int) -> Manifest:
    checks = [each for some in found.values() for each in some]
    told = [
        {"feature": each.feature, "check": name, "cells": each.cells, **each.differing, "close": each.close}
        for name, some in found.items()
        for check in some
        for each in check.features
    ]
    return Manifest(
        kind="consistency",
        rows=sum(each.rows for each in checks),
        fingerprint=combined([*(each.fingerprint for each in checks), json.dumps(told, sort_keys=True)]),
        inputs=tuple(Source(each.uri, each.fingerprint) for each in checks),
        details={
            "cells": sum(each.cells for each in checks),
            "features": told,
            "unchecked": {name: why for each in checks for name, why in each.unchecked.items()},
            "thresholds": dict(limits),
            "seed": seed,
            "report": REPORT,
        },
    )
