"""What a check of consistency says: by feature, how many cells differ from the offline tables, in which way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.engine.served_logs import KEY
from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

MISMATCH, ABSENT, EXTRA, EARLY, AHEAD, BEHIND = "mismatch", "missing", "extra", "early", "ahead", "stale"
# Of each kind, the greatest share of a feature's cells. How far the online store lags is a matter of its loads.
DEFAULT_THRESHOLDS = {MISMATCH: 0.0, ABSENT: 0.0, EXTRA: 0.0, EARLY: 0.0, AHEAD: 0.0, BEHIND: 1.0}
EXAMPLES = 5


def by_nulls(served: Any, offline: Any) -> str:
    """Return the kind of a difference that only the two values tell."""
    return ABSENT if served is None else EXTRA if offline is None else MISMATCH


@dataclass(frozen=True)
class Difference:
    """A cell that differs: which, in which way, what was served, what the offline tables say, and both event times."""

    kind: str
    where: Mapping[str, Any]
    served: Any
    offline: Any
    served_event_time: str | None = None
    offline_event_time: str | None = None


@dataclass(frozen=True)
class FeatureConsistency:
    """What became of the cells of one feature.

    Of ``cells`` that were compared, some differ, by kind: ``mismatch``, another value; ``missing``, nothing served
    where there is a value; ``extra``, the other way round; ``early``, a row that was not known yet; ``ahead``, a
    row of a later event than any that the offline tables have; ``stale``, a row that was known but is not the newest:
    it was loaded late. ``close`` cells differ within the tolerance, and count as
    equal. The errors are those of mismatching and close numbers, the relative one in shares of the greater number.
    """

    feature: str
    cells: int
    differing: Mapping[str, int]
    close: int = 0
    greatest_error: float | None = None
    greatest_relative_error: float | None = None
    examples: tuple[Difference, ...] = ()

    @property
    def wrong(self) -> int:
        """How many cells differ, in whichever way."""
        return sum(self.differing.values())


@dataclass(frozen=True)
class Consistency:
    """What was compared: ``rows`` of ``of_rows`` of a log or of a table, at ``uri``, and the features one by one.

    ``unchecked`` says of features why they could not be. ``left_out`` counts keys that a load did not want, and
    ``newer`` those that the store has newer rows of than the partitions that were compared.
    """

    uri: str
    fingerprint: str
    rows: int
    of_rows: int
    features: tuple[FeatureConsistency, ...]
    unchecked: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0
    newer: int = 0

    @property
    def cells(self) -> int:
        """How many cells were compared."""
        return sum(each.cells for each in self.features)

    def breaches(self, thresholds: Mapping[str, float]) -> list[tuple[str, str]]:
        """Return for each feature and kind of which more differs than is allowed how much it is, and the first cell."""
        return [
            _told(each, kind, count, thresholds[kind])
            for each in self.features
            for kind, count in each.differing.items()
            if count > thresholds[kind] * each.cells
        ]


def _told(each: FeatureConsistency, kind: str, count: int, most: float) -> tuple[str, str]:
    share = f"{count} of {each.cells} cells ({count / each.cells:.2%}) of '{each.feature}' are {kind}"
    first = next((one for one in each.examples if one.kind == kind), None)
    limit = "" if most == 0 else f", more than {most:.2%}"
    if first is None:
        return f"{share}{limit}", ""
    where = ", ".join(f"{_plain(name)} {value}" for name, value in first.where.items() if value is not None)
    served, offline = first.served_event_time, first.offline_event_time
    told = [f" of {time}" if time is not None and served != offline else "" for time in (served, offline)]
    return (
        f"{share}{limit}",
        f": at {where} it was {first.served!r}{told[0]}, and offline it is {first.offline!r}{told[1]}",
    )


def _plain(name: str) -> str:
    """Return what people call a key that a log has as ``key:user:integer``."""
    return name.removeprefix(KEY).rpartition(":")[0] if name.startswith(KEY) else name


def checked_thresholds(given: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the greatest shares by kind of difference, the default ones where none is given.

    Raises InvalidValue for a kind that there is not and for what is no share, InvalidType for what is no number.
    """
    for kind, most in (given or {}).items():
        if kind not in DEFAULT_THRESHOLDS:
            raise InvalidValue(f"there is no threshold '{kind}'; there are {', '.join(DEFAULT_THRESHOLDS)}")
        if isinstance(most, bool) or not isinstance(most, int | float):
            raise InvalidType(f"the threshold '{kind}' is {most!r}; it is a number, the greatest share of a feature")
        if not 0 <= most <= 1:
            raise InvalidValue(f"the threshold '{kind}' is {most}; it is a share of a feature's cells, from 0 to 1")
    return {**DEFAULT_THRESHOLDS, **(given or {})}
