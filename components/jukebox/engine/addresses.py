"""Where the partitions of a data endpoint lie: its uri with ``{date}`` and ``{hour}`` filled in.

A date is written 2013-01-31, but 20130131 in the name of a table of BigQuery, whose shards (``plays_{date}``) and
partition decorators (``plays${date}{hour}``) know no hyphens.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.engine.dates import hours_of
from jukebox.errors import NoPartition
from jukebox.formats import BIGQUERY
from jukebox.storage import place_of
from jukebox.tables import file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from jukebox.storage import Place

DATE, HOUR = "{date}", "{hour}"
_PATTERNS = {DATE: r"(?P<date>\d{4}-\d\d-\d\d)", HOUR: r"(?P<hour>\d\d)"}


@dataclass(frozen=True)
class Slice:
    """What lies at one path, or at one address of BigQuery: all of an endpoint, a date of it, or an hour of a date."""

    path: Place | str
    day: date | None = None
    hour: int | None = None

    @property
    def name(self) -> str:
        """The partition as people write it, ``2013-01-31`` or ``2013-01-31T05``."""
        return f"{self.day}" if self.hour is None else f"{self.day}T{self.hour:02}"


@dataclass(frozen=True)
class Addresses:
    """The paths of the endpoint ``name``, whose ``uri`` lies below ``root`` and whose dates are those of ``zone``.

    A date of an endpoint with ``{hour}`` lies in one file or folder for each hour that clocks show on it: 24 of them,
    or 23 where one is skipped; an hour that is shown twice has one for both.
    """

    name: str
    uri: str
    root: str
    zone: str

    @property
    def dated(self) -> bool:
        """Whether there is one file or folder, or one an hour, for each date."""
        return DATE in self.uri

    def path(self, day: date | None = None, hour: int | None = None) -> Place | str:
        """Return where the data of ``day`` and ``hour`` lie, or all of it where the uri holds neither."""
        written = "%Y%m%d" if self._is_table and "?query=" not in self.uri else "%Y-%m-%d"
        texts = {DATE: "" if day is None else day.strftime(written), HOUR: "" if hour is None else f"{hour:02}"}
        uri = self.uri
        for part, text in texts.items():
            uri = uri.replace(part, text)
        return uri if self._is_table else self._at(uri)

    @property
    def _is_table(self) -> bool:
        return self.uri.startswith(BIGQUERY)

    def _at(self, uri: str) -> Place:
        is_absolute = "://" in uri or os.path.isabs(uri)  # noqa: PTH117 - it need not be a path of this machine
        return place_of(uri) if is_absolute else place_of(self.root, *uri.split("/"))

    def slices(self, day: date) -> tuple[Slice, ...]:
        """Return where the data of ``day`` lie, in the order of its hours."""
        if HOUR not in self.uri:
            return (Slice(self.path(day), day),)
        return tuple(Slice(self.path(day, hour), day, hour) for hour in hours_of(day, self.zone))

    def require(self, days: Sequence[date]) -> None:
        """Raise NoPartition unless there are data for every one of ``days``, and every hour of them.

        BigQuery is not asked: that a table is not there shows when it is read, before anything is written of it.
        """
        if self._is_table:
            return
        if not self.dated:
            if not place_of(self.path()).exists():
                raise NoPartition(f"endpoint '{self.name}' has no data at {self.path()}")
            return
        missing = [each for day in days for each in self.slices(day) if not place_of(each.path).exists()]
        if missing:
            there = self._there()
            span = f"{len(there)} there, from {there[0]} to {there[-1]}" if there else "none there at all"
            what = "dates" if HOUR not in self.uri else "hours"
            raise NoPartition(
                f"endpoint '{self.name}' has no partition for {missing[0].name}"
                + (f" and {len(missing) - 1} other {what}" if len(missing) > 1 else "")
                + f" under {self.root}; {span}"
            )

    def _there(self) -> list[str]:
        """Return the dates, or the hours of dates, that there are files or folders of."""
        steps = self.uri.split("/")
        first = next(number for number, step in enumerate(steps) if "{" in step)
        folder: Any = self._at("/".join(steps[:first]) + "/" * (first > 0))  # a folder and its files are of one kind
        parts = re.split(r"(\{date\}|\{hour\})", "/".join(steps[first:]))
        wild = "".join("*" if part in _PATTERNS else glob.escape(part) for part in parts)
        seen: set[str] = set()
        pattern = "".join(_first(part, seen) if part in _PATTERNS else re.escape(part) for part in parts)
        found = (re.fullmatch(pattern, str(path.relative_to(folder))) for path in folder.glob(wild))
        told = [match.groupdict() for match in found if match is not None]
        return sorted({"T".join(each[name] for name in ("date", "hour") if name in each) for each in told})


def _first(part: str, seen: set[str]) -> str:
    # What stands in a uri twice is the same in both places.
    pattern = f"(?P={part[1:-1]})" if part in seen else _PATTERNS[part]
    seen.add(part)
    return pattern


def source_fingerprint(path: Place | str) -> str:
    """Return the fingerprint of a file or folder, ``""`` of a table of BigQuery: nobody sees its bytes."""
    return "" if str(path).startswith(BIGQUERY) else file_fingerprint(path)
