"""A consumer's request: which features, as which output columns, with which limit of age, in which role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.engine.label_keys import Written, parted
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.features import format_duration, parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from jukebox.features import FeatureName
    from jukebox.stores import RegisteredFeature

Request = Mapping[str, Any]
_FIELDS = ("column", "max_age", "last_non_null", "keys")


@dataclass(frozen=True)
class Entry:
    """One output column of a request, as it was written: its feature's name, and what is asked of it.

    ``keys`` maps label columns to key columns for this column alone: the role in which the feature is asked for,
    such as the airport of destination. ``written`` says how the ids of those are written of which it is said.
    """

    name: str
    column: str
    max_age: str | None = None
    last_non_null: bool = False
    keys: Mapping[str, str] = field(default_factory=dict, hash=False)
    written: Mapping[str, Written] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Asked:
    """One output column of a training set: the version of the feature it holds, and the rules for it alone."""

    name: FeatureName
    version: int
    data_type: str
    column: str
    max_age: timedelta | None = None
    last_non_null: bool = False

    @property
    def versioned(self) -> str:
        """The name with its version, ``/entity/…/name/temp@1``."""
        return f"{self.name}@{self.version}"

    @property
    def source_column(self) -> str:
        """The column of the feature table that holds it."""
        return self.name.name


def normalized(request: Request | Sequence[str]) -> list[Entry]:
    """Return the request column by column, in its order.

    A name is given an output column, a mapping with ``column``, ``max_age``, ``last_non_null`` and ``keys``, or a list
    of these where the feature is asked for in several roles; without a column it is the last part of the name, as
    for a list of names. Raises InvalidValue where nothing is asked or a field is not known, InvalidType for a
    value of another type, and NameClash where one output column would hold two features.
    """
    if isinstance(request, str):
        raise InvalidType(f"the request is the text '{request}'; it is a list of names, or a mapping from them")
    items = request.items() if isinstance(request, Mapping) else ((name, None) for name in request)
    entries = [_entry(name, value) for name, values in items for value in _listed(name, values)]
    if not entries:
        raise InvalidValue("the request asks for no feature")
    columns: dict[str, str] = {}
    for entry in entries:
        if entry.column in columns:
            raise NameClash(f"'{entry.name}' and '{columns[entry.column]}' would both be the column '{entry.column}'")
        columns[entry.column] = entry.name
    return entries


def _listed(name: object, values: object) -> Sequence[object]:
    if not isinstance(name, str):
        raise InvalidType(f"the request asks for {name!r}; it asks for features by name")
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        return [values]
    if not values:
        raise InvalidValue(f"the request for '{name}' is an empty list; it has one entry for each role")
    return values


def _entry(name: str, value: object) -> Entry:
    if value is None or isinstance(value, str):
        value = {"column": value}
    if not isinstance(value, Mapping):
        raise InvalidType(
            f"the request for '{name}' is {value!r}; it is an output column, a mapping, or a list of them"
        )
    unknown = [each for each in value if each not in _FIELDS]
    if unknown:
        raise InvalidValue(f"the request for '{name}' has '{unknown[0]}'; it may have {', '.join(_FIELDS)}")
    column = value.get("column")
    if column is None:
        column = name.partition("@")[0].rsplit("/", 1)[-1]
    if not isinstance(column, str) or not column:
        raise InvalidType(f"the request for '{name}' has the column {column!r}; it is a text of one or more letters")
    told = value.get("keys")
    keys, written = parted({} if told is None else told, f"the request for '{name}'")
    limit, steady = _age(name, value.get("max_age")), _truth(name, value.get("last_non_null"))
    return Entry(name, column, limit, steady, keys, written)


def _age(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InvalidType(f"the request for '{name}' has the max_age {value!r}; it is a text such as 2h")


def _truth(name: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is True
    raise InvalidType(f"the request for '{name}' has last_non_null {value!r}; it is true or false")


def asked(entries: Sequence[Entry], features: Sequence[RegisteredFeature]) -> list[Asked]:
    """Return the ``entries`` with their registered ``features``, in order.

    A request may shorten the registered limit of age; raises InvalidValue where it would lengthen it, and where
    a static feature has one: its rows are true at all times.
    """
    return [_asked(entry, of) for entry, of in zip(entries, features, strict=True)]


def _asked(entry: Entry, of: RegisteredFeature) -> Asked:
    limit = _limit(entry.name, entry.max_age, of)
    return Asked(of.name, of.version, of.feature.data_type, entry.column, limit, entry.last_non_null)


def _limit(name: str, text: str | None, feature: RegisteredFeature) -> timedelta | None:
    registered = feature.feature.max_age
    if feature.feature.endpoint.static and (text is not None or registered is not None):
        whose = "its registration" if text is None else "the request"
        raise InvalidValue(f"'{feature.name}' is static, true at all times; take the max_age out of {whose}")
    if text is None:
        return registered
    limit = parse_duration(text)
    if registered is not None and limit > registered:
        raise InvalidValue(
            f"the request gives '{name}' the max_age {text}, longer than its registered {format_duration(registered)}"
        )
    return limit
