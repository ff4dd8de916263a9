"""The dates of a load: one day or a range, both ends included."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from jukebox.errors import InvalidValue


def dates_between(*, on: str | None, start: str | None, end: str | None) -> tuple[date, ...]:
    """Return the day ``on``, or every day from ``start`` to ``end``; all are ISO dates.

    Raises InvalidValue when neither or both ways are used, a text is no date, or the range runs backwards.
    """
    if on is not None and start is None and end is None:
        return (_day(on),)
    if start is not None and end is not None and on is None:
        first, last = _day(start), _day(end)
        if last < first:
            raise InvalidValue(f"the range of dates runs backwards, from {first} to {last}")
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
    given = [name for name, text in (("date", on), ("from", start), ("to", end)) if text is not None]
    raise InvalidValue(f"give either a date or a range from … to …, not {' and '.join(given) or 'neither'}")


def end_of(day: date, zone: str, after: timedelta = timedelta(0), hour: int | None = None) -> datetime:
    """Return the midnight that ends ``day`` in ``zone``, or the end of an hour of it, and so much ``after`` it, in UTC.

    Where clocks show that moment twice it is the first of them, and where they skip it the moment of the change: so an
    hour that is shown twice ends with its second time. Raises InvalidValue for an instant after the year 9999.
    """
    try:
        end = timedelta(days=1) if hour is None else timedelta(hours=hour + 1)
        moment = datetime.combine(day, time.min) + end
        return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc) + after
    except OverflowError as exc:
        raise InvalidValue(f"the end of {day}, and {after} after it, is beyond the year 9999") from exc


def hours_of(day: date, zone: str) -> tuple[int, ...]:
    """Return the hours, from 0 to 23, that clocks in ``zone`` show on ``day``, each once.

    >>> len(hours_of(date(2024, 3, 10), "America/New_York")), 2 in hours_of(date(2024, 3, 10), "America/New_York")
    (23, False)
    """
    midnight = datetime.combine(day, time.min, ZoneInfo(zone))
    return tuple(h for h in range(24) if any(_is_shown(midnight.replace(hour=h, minute=m)) for m in (0, 15, 30, 45)))


def _is_shown(moment: datetime) -> bool:
    there = moment.astimezone(timezone.utc).astimezone(moment.tzinfo)
    return there.replace(tzinfo=None) == moment.replace(tzinfo=None)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except (ValueError, TypeError) as exc:
        raise InvalidValue(f"'{text}' is no date; it is written 2013-01-31") from exc
