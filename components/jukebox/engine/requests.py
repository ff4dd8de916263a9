"""A consumer's request: which features, as which output columns, with which limit of age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.features import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from jukebox.stores import RegisteredFeature

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """One feature of a request: the registered version, its output column and the limit of age that holds for it."""

    registered: RegisteredFeature
    column: str
    max_age: timedelta | None


def normalized(request: Request | Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the request with one form for each feature: ``{name: {"column": …, "max_age": …}}``.

    A list of names asks for each under the last part of its name. Raises InvalidValue where nothing is asked or
    a feature's entry has a field that is not known, InvalidType for an entry of another type, and NameClash where
    one output column would hold two features.
    """
    if isinstance(request, str):
        raise InvalidType(f"the request is the text '{request}'; it is a list of names, or a mapping from them")
    items = request.items() if isinstance(request, Mapping) else ((name, None) for name in request)
    asked = {name: _entry(name, value) for name, value in items}
    if not asked:
        raise InvalidValue("the request asks for no feature")
    columns: dict[str, str] = {}
    for name, entry in asked.items():
        if entry["column"] in columns:
            raise NameClash(f"'{name}' and '{columns[entry['column']]}' would both be the column '{entry['column']}'")
        columns[entry["column"]] = name
    return asked


def _entry(name: str, value: object) -> dict[str, Any]:
    if not isinstance(name, str):
        raise InvalidType(f"the request asks for {name!r}; it asks for features by name")
    if value is None or isinstance(value, str):
        value = {"column": value}
    if not isinstance(value, Mapping):
        raise InvalidType(f"the request for '{name}' is {value!r}; it is an output column or a mapping")
    unknown = set(value) - {"column", "max_age"}
    if unknown:
        raise InvalidValue(f"the request for '{name}' has '{min(unknown)}'; it may have column and max_age")
    column = value.get("column")
    if column is None:
        column = name.partition("@")[0].rsplit("/", 1)[-1]
    if not isinstance(column, str) or not column:
        raise InvalidType(f"the request for '{name}' has the column {column!r}; it is a text of one or more letters")
    return {"column": column, "max_age": value.get("max_age")}


def asked(request: Mapping[str, Mapping[str, Any]], features: Sequence[RegisteredFeature]) -> list[Asked]:
    """Return the normalized ``request`` with its ``features``, in order.

    A request may shorten the registered limit of age; raises InvalidValue where it would lengthen it, and where
    a static feature has one: its rows are true at all times.
    """
    pairs = zip(request.items(), features, strict=True)
    return [Asked(f, entry["column"], _limit(name, entry["max_age"], f)) for (name, entry), f in pairs]


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
