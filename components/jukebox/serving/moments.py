"""The moment that a vector is read for, and what was known then: the rules of time of the point-in-time join."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from jukebox.core.ages import is_too_old
from jukebox.errors import InvalidType
from jukebox.serving.vectors import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.layouts import Row
    from jukebox.serving.routes import Route, Rules
    from jukebox.serving.vectors import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(at: datetime) -> int:
    """Return the time in nanoseconds since 1970, on its own clock where it has no zone."""
    return ((at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)) - _EPOCH) // _MICROSECOND * 1_000


def require_clock(at: datetime, route: Route) -> None:
    """Raise InvalidType for a time with a zone where the feature's have none, and the other way round."""
    if route.rules.timed and (at.tzinfo is not None) != route.rules.zoned:
        ours, theirs = ("a zone", "none") if at.tzinfo is not None else ("no zone", "one")
        raise InvalidType(
            f"'at' has {ours} and the event times of '{route.registered.name}' have {theirs}; "
            "an endpoint declares its time_zone"
        )


def judged(rows: Sequence[Row | None], rules: Rules, at: int) -> Verdict:
    """Return what may be used of ``rows`` as of ``at``: what training would have had for labels of that time."""
    statuses: list[Status] = []
    times: list[int | None] = []
    for row in rows:
        status = _status(row, rules, at)
        statuses.append(status)
        told = row is not None and rules.timed and status in ("fresh", "stale")
        times.append(row.event_time if told else None)  # type: ignore[union-attr]
    return Verdict(statuses, times, rules.zoned, all(status == "fresh" for status in statuses))


def _status(row: Row | None, rules: Rules, at: int) -> Status:
    if row is None:
        return "unknown_entity"
    if (rules.timed and not _known(row.event_time, at)) or (rules.created and not _known(row.created_time, at)):
        return "missing"
    if rules.timed and row.event_time is not None and is_too_old(at - row.event_time, rules.max_age):
        return "stale"
    return "fresh"


def _known(time: int | None, at: int) -> bool:
    return time is not None and time <= at
