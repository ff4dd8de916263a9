"""Spans and versions of data, as TFX names them in paths: ``day-{SPAN}/v{VERSION}``, or a date for a span.

``{SPAN:3}`` has three digits; ``{YYYY}``, ``{MM}`` and ``{DD}`` stand together for a span, the days since 1970-01-01.
https://www.tensorflow.org/tfx/guide/examplegen#span_version_and_split
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue, NoPartition
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.storage import Place

_FIELD = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
_DATE = {"YYYY": 4, "MM": 2, "DD": 2}
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Found:
    """A folder or file, and the numbers that its path tells; ``told`` holds them by the name of their field."""

    place: Place
    told: tuple[tuple[str, int], ...] = ()

    @property
    def span(self) -> int | None:
        """The span, None where the path tells none."""
        told = dict(self.told)
        if "YYYY" in told:
            return date(told["YYYY"], told["MM"], told["DD"]).toordinal() - _EPOCH
        return told.get("SPAN")

    @property
    def version(self) -> int | None:
        """The version, None where the path tells none."""
        return dict(self.told).get("VERSION")


def is_pattern(path: str) -> bool:
    """Return whether a path asks for a span, a version or a date."""
    return _FIELD.search(path) is not None


def newest(pattern: str, *, span: int | None = None, version: int | None = None) -> Found:
    """Return what lies there of the greatest span, or of ``span``; and of its greatest version, or of ``version``.

    A path without fields is what lies there itself. Raises InvalidValue for a pattern that TFX would not take,
    NoPartition where nothing fits.
    """
    _check(pattern)
    first = _FIELD.search(pattern)
    if first is None:
        return Found(place_of(pattern))
    start = pattern.rfind("/", 0, first.start()) + 1
    found = [Found(place_of(pattern[:start] or "."))]
    for step in pattern[start:].strip("/").split("/"):
        found = [each for held in found for each in _below(held, step)]
    fitting = [each for each in found if span in (None, each.span) and version in (None, each.version)]
    if not fitting:
        asked = [f"{name} {value}" for name, value in (("span", span), ("version", version)) if value is not None]
        raise NoPartition(f"nothing lies at {pattern}" + (f" of {' and '.join(asked)}" if found and asked else ""))
    return max(fitting, key=lambda each: (each.span, -1 if each.version is None else each.version))


def _check(pattern: str) -> None:
    fields = [match[1] for match in _FIELD.finditer(pattern)]
    dated = [name for name in fields if name in _DATE]
    if len(set(fields)) < len(fields):
        raise InvalidValue(f"{pattern} holds a field twice")
    if dated and (len(dated) < len(_DATE) or "SPAN" in fields):
        raise InvalidValue(f"{pattern} holds {', '.join(fields)}; a span is SPAN, or YYYY, MM and DD")
    if fields == ["VERSION"]:
        raise InvalidValue(f"{pattern} holds a version of no span; VERSION stands beside SPAN or a date")


def _below(found: Found, step: str) -> Iterator[Found]:
    """Yield what fits a step of the pattern, in a folder that was found."""
    if not is_pattern(step):
        place = found.place / step
        if place.exists():
            yield replace(found, place=place)
        return
    if not found.place.is_dir():
        return
    names, fits = _fitting(step)
    for place in found.place.iterdir():
        match = fits.fullmatch(place.name)
        if match is not None:
            told = tuple((name, int(match[name])) for name in names)
            made = Found(place, found.told + told)
            if _is_date(made):
                yield made


def _is_date(found: Found) -> bool:
    told = dict(found.told)
    try:
        return "DD" not in told or "MM" not in told or "YYYY" not in told or found.span is not None
    except ValueError:
        return False


def _fitting(step: str) -> tuple[list[str], re.Pattern[str]]:
    names, text, at = [], "", 0
    for match in _FIELD.finditer(step):
        width = match[2] or _DATE.get(match[1])
        digits = r"\d+" if width is None else rf"\d{{{width}}}"
        text += re.escape(step[at : match.start()]) + f"(?P<{match[1]}>{digits})"
        names.append(match[1])
        at = match.end()
    return names, re.compile(text + re.escape(step[at:]))
