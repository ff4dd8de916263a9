"""What a schema cannot say of a features file: names meet, times and zones exist, columns do not clash.

Every check takes the file's plain value, faulty parts and all, and passes over what the schema has refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue
from jukebox.features.definitions import CREATED_TIME, EVENT_TIME
from jukebox.features.durations import parse_duration
from jukebox.features.names import FeatureName
from jukebox.features.spellings import offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jukebox.features.yaml_lines import Fault, Path, Tree

Fields = dict[str, Any]
Entries = list[tuple["Path", Fields]]
_TIMES = ("event_time", "created_time")


def consistency_faults(value: Any, tree: Tree) -> Iterator[Fault]:
    """Yield the faults of ``value`` that show when its parts are held against each other and the world."""
    endpoints, features = list(_items(value, "endpoints")), list(_items(value, "features"))
    yield from _twice([(path, _text(fields, "name")) for path, fields in endpoints], "name", tree)
    yield from _twice([(path, _name(fields)) for path, fields in features], "name", tree)
    for path, fields in endpoints:
        keys = [(key, _text(inner, "column")) for key, inner in _items(fields, "keys", path)]
        yield from _twice(keys, "column", tree)
        yield from _unreadable(path, fields, "time_zone", _check_zone)
        yield from _unreadable(path, fields, "slo", parse_duration)
        yield from _unreadable(path, fields, "delivery_time", parse_duration)
        yield from _senseless_delivery(path, fields)
        yield from _senseless_hours(path, fields)
        yield from _broken_promise(path, fields)
        yield from _misplaced(path, fields)
    known = {name: fields for _, fields in reversed(endpoints) if (name := _text(fields, "name")) is not None}
    for path, fields in features:
        yield from _unreadable(path, fields, "name", FeatureName.parse)
        yield from _unreadable(path, fields, "max_age", parse_duration)
        yield from _unknown_endpoint(path, fields, known)
        yield from _aged_static(path, fields, known)
        yield from _crossed_limits(path, fields)
    yield from _clashing_columns(features, known, tree)


def _items(value: Any, field: str, path: Path = ()) -> Iterator[tuple[Path, Fields]]:
    items = value.get(field) if isinstance(value, dict) else None
    for position, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield (*path, field, position), item


def _text(fields: Fields, field: str) -> str | None:
    text = fields.get(field)
    return text if isinstance(text, str) else None


def _name(fields: Fields) -> str | None:
    try:
        return str(FeatureName.parse(fields["name"])) if _text(fields, "name") is not None else None
    except InvalidValue:
        return None


def _twice(named: list[tuple[Path, str | None]], field: str, tree: Tree) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for path, name in named:
        here = (*path, field)
        if name is not None and first.setdefault(name, here) != here:
            yield here, f"'{name}' is given on line {tree.line(first[name])} already"


def _unreadable(path: Path, fields: Fields, field: str, read: Callable[[str], object]) -> Iterator[Fault]:
    text = _text(fields, field)
    try:
        if text is not None:
            read(text)
    except InvalidValue as exc:
        yield (*path, field), str(exc)


def _senseless_delivery(path: Path, fields: Fields) -> Iterator[Fault]:
    """Yield what a delivery_time cannot stand beside, and what it cannot do without."""
    if "delivery_time" not in fields:
        return
    here, uri = (*path, "delivery_time"), _text(fields, "uri")
    if fields.get("static") is True:
        yield here, "the endpoint is static: its rows are true at all times, whenever they come"
    if "created_time" in fields:
        yield here, "the endpoint has a created_time too; one of them says when a row became known"
    if uri is not None and "{date}" not in uri:
        yield here, f"the uri '{uri}' holds no {{date}}: only the partition of a date comes so long after its end"
    if "time_zone" not in fields:
        yield here, "the endpoint has no time_zone, which says when a date ends"
    taken = [_text(fields, "event_time"), *(_text(key, "column") for _, key in _items(fields, "keys"))]
    for written in sorted(_written_times(fields) & set(taken)):
        yield here, f"a load writes the times to a column '{written}', and the endpoint has one of that name"


def _senseless_hours(path: Path, fields: Fields) -> Iterator[Fault]:
    uri = _text(fields, "uri") or ""
    if "{hour}" in uri and "{date}" not in uri:
        yield (*path, "uri"), f"the uri '{uri}' holds {{hour}} and no {{date}} that it is an hour of"


def _misplaced(path: Path, fields: Fields) -> Iterator[Fault]:
    """Yield a table of BigQuery that is said to be files, and files that are said to be a table."""
    uri, kind = _text(fields, "uri"), _text(fields, "format")
    if uri is None or kind is None or uri.startswith("bigquery://") == (kind == "bigquery"):
        return
    wanted = "begins with bigquery://" if kind == "bigquery" else "does not begin with bigquery://"
    yield (*path, "uri"), f"the format is {kind}, whose uri {wanted}, unlike '{uri}'"


def _broken_promise(path: Path, fields: Fields) -> Iterator[Fault]:
    """Yield a delivery that comes after the time by which the endpoint says that it is there."""
    texts = [_text(fields, field) for field in ("delivery_time", "slo")]
    try:
        after, promised = (parse_duration(text) for text in texts if text is not None)
    except (InvalidValue, ValueError):  # one of them is not there, or is no duration
        return
    if after > promised:
        yield (*path, "slo"), f"a partition is promised after {texts[1]} and comes after {texts[0]}, its delivery_time"


def _written_times(fields: Fields) -> set[str]:
    if "delivery_time" not in fields:
        return set()
    return {CREATED_TIME} if "event_time" in fields else {CREATED_TIME, EVENT_TIME}


def _aged_static(path: Path, fields: Fields, known: dict[str, Fields]) -> Iterator[Fault]:
    name = _text(fields, "endpoint")
    if "max_age" in fields and name is not None and known.get(name, {}).get("static") is True:
        yield (*path, "max_age"), f"endpoint '{name}' is static: its rows have no age"


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        ZoneInfo(name)
    # Names that lead out of the database, or to a folder within it, fail in ways of their own.
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidValue(f"'{name}' is no time zone{offer(name, available_timezones())}") from exc


def _unknown_endpoint(path: Path, fields: Fields, known: dict[str, Fields]) -> Iterator[Fault]:
    name = _text(fields, "endpoint")
    if name is not None and name not in known:
        hint = offer(name, known) or f"; there are {', '.join(known) or 'none'}"
        yield (*path, "endpoint"), f"endpoint '{name}' is not in this file{hint}"


def _crossed_limits(path: Path, fields: Fields) -> Iterator[Fault]:
    quality = fields.get("quality")
    low, high = (quality.get("min"), quality.get("max")) if isinstance(quality, dict) else (None, None)
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield (*path, "quality", "min"), f"min {low} is greater than max {high}"


def _clashing_columns(features: Entries, known: dict[str, Fields], tree: Tree) -> Iterator[Fault]:
    """Yield the features whose column, the last part of the name, their feature table has already."""
    first: dict[tuple[str, str], tuple[Path, str]] = {}
    for path, fields in features:
        name, endpoint, here = _name(fields), _text(fields, "endpoint"), (*path, "name")
        if name is None or endpoint not in known:
            continue
        column = FeatureName.parse(name).name
        what = _taken(known[endpoint]).get(column)
        other, other_name = first.setdefault((endpoint, column), (here, name))
        if what is not None:
            yield here, f"'{column}' is {what} of endpoint '{endpoint}' already"
        elif other_name != name:
            yield here, f"'{column}' is the column of '{other_name}' on line {tree.line(other)} already"


def _taken(endpoint: Fields) -> dict[str, str]:
    keys = [_text(key, "column") for _, key in _items(endpoint, "keys")]
    written = {name: f"the {name}" for name in _written_times(endpoint)}
    times = written | {_text(endpoint, field): f"the {field}" for field in _TIMES}
    taken = {**times, **dict.fromkeys(keys, "a key")}
    return {column: what for column, what in taken.items() if column is not None}
