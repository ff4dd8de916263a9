"""What a Bigtable URI says: project, instance, table and options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jukebox.errors import InvalidValue
from jukebox.features import parse_duration

_FORM = "bigtable://project/instance/table?app_profile=…&cells=columns&versions=2&max_age=90d&splits=16"
_MOST_SPLITS = 256  # one a salt
_WITH_TABLE = 3  # names
# As CreateTableRequest of Google's bigtable_table_admin.proto has it.
_TABLE = re.compile(r"[_a-zA-Z0-9][-_.a-zA-Z0-9]{0,49}")
# Wider than either: a project may be of a domain, example.com:project.
_PROJECT_OR_INSTANCE = re.compile(r"[a-zA-Z0-9][-.:a-zA-Z0-9]*")
_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True)
class Place:
    """A table of a Bigtable instance, and how it is made and written.

    ``versions`` is how many cells of a column garbage collection leaves, ``max_age`` how old one may become, which is
    unlimited unless asked for; ``splits`` how many tablets a new table begins with; ``columns`` whether every feature
    has a cell of its own.
    """

    project: str
    instance: str
    table: str = "jukebox"
    app_profile: str = ""
    columns: bool = False
    versions: int = 1
    max_age: timedelta | None = None
    splits: int = 16

    @property
    def parent(self) -> str:
        """The instance as Bigtable's API names it."""
        return f"projects/{self.project}/instances/{self.instance}"

    @property
    def path(self) -> str:
        """The table as Bigtable's API names it."""
        return f"{self.parent}/tables/{self.table}"

    def __str__(self) -> str:
        return f"bigtable://{self.project}/{self.instance}/{self.table}"


def parsed(uri: str) -> Place:
    """Return the place that a URI names; raises InvalidValue."""
    try:
        found = urlsplit(uri)
    except ValueError as exc:
        raise InvalidValue(f"'{uri}' is no Bigtable table: {exc}; it is written {_FORM}") from exc
    names = [found.netloc, *found.path.split("/")[1:]]
    named = len(names) in (2, _WITH_TABLE) and all(map(_PROJECT_OR_INSTANCE.fullmatch, names[:2]))
    if found.scheme != "bigtable" or not named or found.fragment:
        raise InvalidValue(f"'{uri}' is no Bigtable table; it is written {_FORM}")
    options = dict(parse_qsl(found.query, keep_blank_values=True))
    found_options: dict[str, Any] = {n: _option(uri, n, text) for n, text in options.items() if n != "cells"}
    cells = options.get("cells", "packed")
    if cells not in ("packed", "columns"):
        raise InvalidValue(f"'{uri}' has cells={cells}; cells are packed or columns")
    table = names[2] if len(names) == _WITH_TABLE else Place.table
    if _TABLE.fullmatch(table) is None:
        raise InvalidValue(f"'{table}' is no name of a Bigtable table; it has at most 50 letters, digits, -, _ and .")
    return Place(names[0], names[1], table, **found_options, columns=cells == "columns")


def _option(uri: str, name: str, text: str) -> Any:
    if name == "app_profile" and text:
        return text
    if name == "max_age":
        return _age(uri, text)
    if name in ("versions", "splits") and text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_SPLITS:
        return int(text)
    raise InvalidValue(f"'{uri}' has {name}={text}, which is no option; it is written {_FORM}")


def _age(uri: str, text: str) -> timedelta:
    age = parse_duration(text)
    if age < _SHORTEST:
        raise InvalidValue(f"'{uri}' has max_age={text}; rows are kept for at least a second")
    return age
