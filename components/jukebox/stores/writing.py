"""A registry's holdings as YAML, in one spelling: equal holdings have equal texts, small changes small differences."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

from jukebox.errors import InvalidValue
from jukebox.features import Endpoint, Feature, FeatureName

if TYPE_CHECKING:
    from jukebox.stores.nouns import Chronicle, Holdings, OfflineSource, OnlineSource, RegisteredFeature

FORMAT = 1
HEAD = "# A Jukebox registry: `jukebox import` takes it over, and --registry file://PATH reads it.\n"
_WIDTH = 120
_NO_ENDPOINT = Endpoint("", "", "", ())
_NO_FEATURE = Feature(FeatureName("x", "x", "x"), _NO_ENDPOINT, "", "")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a field a line and lists of scalars in brackets, each value where it stands: no alias of another."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:  # noqa: ARG002
        return super().represent_mapping(tag, mapping, flow_style=False)

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:  # noqa: ARG002
        plain = not any(isinstance(each, dict | list) for each in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


def to_yaml(holdings: Holdings) -> str:
    """Return the text of ``holdings``; raises InvalidValue for quality rules that YAML has no spelling for."""
    ids = _ids(holdings)
    value = {
        "jukebox_registry": FORMAT,
        "endpoints": [_endpoint(endpoint, name) for endpoint, name in ids.items()],
        "features": [_chronicle(chronicle, ids) for chronicle in holdings.features],
        "offline_sources": [_offline(source) for source in holdings.offline],
        "online_sources": _online(holdings),
    }
    try:
        text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH)
    except (yaml.YAMLError, UnicodeError) as exc:
        raise InvalidValue(f"the registry holds what YAML has no spelling for: {exc}") from exc
    return f"{HEAD}{text}"


def _ids(holdings: Holdings) -> dict[Endpoint, str]:
    """Return every endpoint there was, with an id: its name, and from the second declaration of a name on a number."""
    ids: dict[Endpoint, str] = {}
    taken: set[str] = set()
    for chronicle in holdings.features:
        for registered in (chronicle.newest, *(former.registered for former in chronicle.former)):
            endpoint = registered.feature.endpoint
            if endpoint not in ids:
                ids[endpoint] = _free(endpoint.name, taken)
                taken.add(ids[endpoint])
    return dict(sorted(ids.items(), key=lambda item: item[1]))


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}#{number}"
    return found


def _endpoint(endpoint: Endpoint, name: str) -> dict[str, Any]:
    return {"id": name, **_said(endpoint.to_json(), _NO_ENDPOINT.to_json(), {"name", "uri", "format", "keys"})}


def _chronicle(chronicle: Chronicle, ids: dict[Endpoint, str]) -> dict[str, Any]:
    value = {"name": str(chronicle.newest.name), **_registered(chronicle.newest, ids)}
    former = [
        {"replaced_at": each.replaced_at.isoformat(), **_registered(each.registered, ids)} for each in chronicle.former
    ]
    return {**value, "former": former} if former else value


def _registered(registered: RegisteredFeature, ids: dict[Endpoint, str]) -> dict[str, Any]:
    said = _said(registered.feature.to_json(), _NO_FEATURE.to_json(), {"endpoint", "column", "data_type"})
    said = {field: _sorted(value) for field, value in said.items() if field != "name"}
    numbers = {"version": registered.version, "revision": registered.revision}
    return {**numbers, **said, "endpoint": ids[registered.feature.endpoint]}


def _said(fields: dict[str, Any], unsaid: dict[str, Any], always: set[str]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items() if name in always or value != unsaid[name]}


def _plain(value: Any) -> Any:
    """Return ``value`` with lists for tuples; raises InvalidValue for what is no finite number."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        raise InvalidValue(f"the registry holds the number {value}, which YAML's readers do not agree on")
    return value


def _sorted(value: Any) -> Any:
    # Equal quality rules may have been declared in another order, and ML Metadata keeps none.
    if isinstance(value, dict):
        return {name: _sorted(inner) for name, inner in sorted(value.items())}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def _offline(source: OfflineSource) -> dict[str, Any]:
    times = {"dates": [day.isoformat() for day in source.dates], "delivered_at": source.delivered_at.isoformat()}
    return {**asdict(source), "features": list(source.features), **times}


def _online(holdings: Holdings) -> list[dict[str, Any]]:
    serves: dict[OnlineSource, list[str]] = {}
    for versioned, source in holdings.online:
        serves.setdefault(source, []).append(versioned)
    return [
        {
            **asdict(source),
            "features": list(source.features),
            "loaded_at": source.loaded_at.isoformat(),
            "serves": names,
        }
        for source, names in serves.items()
    ]
