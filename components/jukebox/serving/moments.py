"""The moment that a vector is read for, and what was known then: the rules of time of the point-in-time join."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from jukebox.core.ages import is_too_old
from jukebox.errors import InvalidType
from jukebox.serving.vectors import FeatureValue

if TYPE_CHECKING:
    from jukebox.core.layouts import Row
    from jukebox.serving.routes import Route

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(at: datetime) -> int:
    """Return the time in nanoseconds since 1970, on its own clock where it has no zone."""
    return ((at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)) - _EPOCH) // _MICROSECOND * 1_000


def moment(at: datetime | None, now: datetime, route: Route) -> int:
    """Return the moment as the feature's times count: ``at``, or ``now``, which for naive times is naive UTC.

    Raises InvalidType for a time with a zone where the feature's have none, and the other way round.
    """
    if at is None or route.registered.feature.endpoint.static:
        return nanoseconds(now if at is None else at)
    if (at.tzinfo is not None) != route.zoned:
        ours, theirs = ("a zone", "none") if at.tzinfo is not None else ("no zone", "one")
        raise InvalidType(
            f"'at' has {ours} and the event times of '{route.registered.name}' have {theirs}; "
            "an endpoint declares its time_zone"
        )
    return nanoseconds(at)


def judged(name: str, route: Route, row: Row | None, at: int) -> FeatureValue:
    """Return the feature's value in ``row`` as of ``at``: what training would have had for a label of that time."""
    feature, versioned = route.registered.feature, route.registered.versioned
    timed = not feature.endpoint.static
    if (
        row is None
        or (timed and not _known(row.event_time, at))
        or (feature.endpoint.table_created_time is not None and not _known(row.created_time, at))
    ):
        return FeatureValue(name, None, None, "missing", versioned)
    value: Any = row.values[route.column]
    if not timed or row.event_time is None:
        return FeatureValue(name, value, None, "fresh", versioned)
    event_time = _EPOCH + timedelta(microseconds=row.event_time // 1_000)
    event_time = event_time if route.zoned else event_time.replace(tzinfo=None)
    if is_too_old(at - row.event_time, feature.max_age):
        return FeatureValue(name, None, event_time, "stale", versioned, value)
    return FeatureValue(name, value, event_time, "fresh", versioned)


def _known(time: int | None, at: int) -> bool:
    return time is not None and time <= at
