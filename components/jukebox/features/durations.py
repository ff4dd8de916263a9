"""Durations as people write them: ``90s``, ``30m``, ``2h``, ``7d``, ``1d12h``."""

from __future__ import annotations

import re
from datetime import timedelta

from jukebox.errors import InvalidType, InvalidValue

_UNITS = {
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
}
_SPELLING = re.compile(r"([0-9]+(d|h|ms|us|m|s))+")


def parse_duration(text: str) -> timedelta:
    """Return the duration that ``text`` spells.

    Raises InvalidType when it is no text and InvalidValue when it spells no duration.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if not isinstance(text, str):
        raise InvalidType(f"a duration is written as text such as '2h', not as {type(text).__name__} {text!r}")
    if _SPELLING.fullmatch(text) is None:
        raise InvalidValue(f"'{text}' is no duration; it is written as 90s, 30m, 2h, 7d or 1d12h")
    parts = re.findall(r"([0-9]+)(ms|us|d|h|m|s)", text)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta(0))
    # Thousands of digits are too many for an integer's reading, hundreds for a float, ten for a timedelta.
    except (OverflowError, ValueError) as exc:
        raise InvalidValue(f"'{text}' is too long a duration; the longest is {timedelta.max.days}d") from exc


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that ``parse_duration`` reads back as ``duration``.

    Raises InvalidValue for a negative duration, which has no spelling.

    >>> format_duration(timedelta(hours=36))
    '1d12h'
    """
    if duration < timedelta(0):
        raise InvalidValue(f"a duration is not negative, as {duration!r} is")
    seconds, milliseconds = duration.seconds, duration.microseconds // 1000
    counts = {
        "d": duration.days,
        "h": seconds // 3600,
        "m": seconds // 60 % 60,
        "s": seconds % 60,
        "ms": milliseconds,
        "us": duration.microseconds % 1000,
    }
    return "".join(f"{count}{unit}" for unit, count in counts.items() if count) or "0s"
