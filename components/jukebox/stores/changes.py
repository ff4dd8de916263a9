"""What registering a feature makes of the one there is, and which changes are refused: pure rules, of every registry.

A life cycle goes forward: from experimental to production, deprecated or retired, from production to deprecated, from
deprecated to retired. A declaration that says nothing of it leaves it as it is.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from jukebox.errors import ChangeRefused, InvalidValue, NameClash, UnknownFeature
from jukebox.features import FeatureName
from jukebox.stores.nouns import RegisteredFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from jukebox.features import Feature

    Deployed: TypeAlias = Callable[[str], Sequence[str]]  # from a feature's name to the deployed models that use it

UNSAID = "undefined"
_NUL = "\\u0000"  # as JSON writes it
LEAVING = frozenset({"deprecated", "retired"})
_NEXT = {
    UNSAID: ("experimental", "production", "deprecated", "retired"),
    "experimental": ("production", "deprecated", "retired"),
    "production": ("deprecated",),
    "deprecated": ("retired",),
    "retired": (),
}
LIFE_CYCLES, SCOPES = tuple(_NEXT), ("team", "broad", UNSAID)


class Change(NamedTuple):
    """A feature before, None where there was none, and after its registration."""

    before: RegisteredFeature | None
    after: RegisteredFeature


class Difference(NamedTuple):
    """A field of a feature, or of its endpoint (``endpoint.uri``), with its values before and after."""

    field: str
    before: Any
    after: Any


def once(features: Iterable[Feature]) -> list[Feature]:
    """Return the features, whose names differ.

    Raises NameClash for a name given twice, InvalidValue for an unknown life cycle or scope, and for a NUL in a text.
    """
    wanted = list(features)
    counts = Counter(str(feature.name) for feature in wanted)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise NameClash(f"{', '.join(twice)} is given twice; a registration names a feature once")
    for feature in wanted:
        require_known("life cycle", feature.life_cycle, LIFE_CYCLES)
        require_known("scope", feature.scope, SCOPES)
        _require_storable(feature)
    return wanted


def require_known(what: str, value: str, known: Sequence[str]) -> None:
    """Raise InvalidValue unless ``value`` is one of the ``known``."""
    if value not in known:
        raise InvalidValue(f"'{value}' is no {what}; there are {', '.join(known)}")


def _require_storable(feature: Feature) -> None:
    held = feature.to_json()
    if _NUL not in _text(held):
        return
    for field, value in {**held, **{f"endpoint.{name}": inner for name, inner in held["endpoint"].items()}}.items():
        if field != "endpoint" and "\0" in "".join(_texts(value)):
            raise InvalidValue(
                f"'{feature.name}' has a NUL character in its {field}, where ML Metadata would cut it off"
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def planned(wanted: Iterable[Feature], newest: Mapping[str, RegisteredFeature]) -> list[Change]:
    """Return what registering features makes of the ``newest`` versions there are, by canonical name."""
    pairs = ((newest.get(str(feature.name)), feature) for feature in wanted)
    return [Change(before, next_of(before, feature)) for before, feature in pairs]


def next_of(before: RegisteredFeature | None, feature: Feature) -> RegisteredFeature:
    """Return what registering ``feature`` makes of the newest version there is."""
    if before is None:
        return RegisteredFeature(feature, 1, 1, "new")
    if feature.life_cycle == UNSAID:
        feature = replace(feature, life_cycle=before.feature.life_cycle)
    if feature == before.feature:
        return replace(before, change="unchanged")
    if feature.digest != before.feature.digest:
        return RegisteredFeature(feature, before.version + 1, before.revision + 1, "new version")
    if _text(feature.to_json()) != _text(before.feature.to_json()):
        return RegisteredFeature(feature, before.version, before.revision + 1, "edited")
    return replace(before, change="unchanged")


def differences(change: Change) -> tuple[Difference, ...]:
    """Return the fields in which a feature and its endpoint change; none for a new one or an unchanged one."""
    if change.before is None or change.after.change == "unchanged":
        return ()
    before, after = _flat(change.before.feature), _flat(change.after.feature)
    return tuple(
        Difference(name, before.get(name), value) for name, value in after.items() if value != before.get(name)
    )


def forced_names(force: Iterable[str], wanted: Iterable[Feature]) -> frozenset[str]:
    """Return the canonical names that are forced; raises UnknownFeature for one that is not among ``wanted``."""
    given = {str(feature.name) for feature in wanted}
    forced = frozenset(str(FeatureName.parse(name)) for name in force)
    for name in sorted(forced - given):
        raise UnknownFeature(f"'{name}' is forced and not among the features that are given")
    return forced


def refusals(changes: Iterable[Change], deployed: Deployed, forced: Collection[str] = ()) -> dict[str, str]:
    """Return, by canonical name, why changes are refused.

    Refused are a step of the life cycle that goes not forward, and another type or other keys of a feature in
    production, unless its name is ``forced``; and to deprecate or retire what a deployed model uses, in any case.
    """
    told = {str(c.after.name): _refusal(c, deployed, forced=str(c.after.name) in forced) for c in changes}
    return {name: why for name, why in told.items() if why is not None}


def require_allowed(changes: Iterable[Change], deployed: Deployed, forced: Collection[str] = ()) -> None:
    """Raise ChangeRefused with every change that is refused, if any is."""
    refused = refusals(changes, deployed, forced)
    if refused:
        raise ChangeRefused(list(refused.values()))


def _refusal(change: Change, deployed: Deployed, *, forced: bool) -> str | None:
    if change.before is None or change.after.change == "unchanged":
        return None
    name, old, new = change.after.name, change.before.feature, change.after.feature
    leaves = new.life_cycle in LEAVING and old.life_cycle != new.life_cycle
    models = deployed(str(name)) if leaves else ()
    if models:
        return f"'{name}' cannot be {new.life_cycle}: deployed models use it: {', '.join(models)}"
    following = _NEXT.get(old.life_cycle, ())
    if not forced and new.life_cycle not in (old.life_cycle, *following):
        steps = " or ".join(following) or "nothing else"
        return f"'{name}' is {_state(old)} and may become {steps}, not {_state(new)}, unless it is forced by name"
    if not forced and old.life_cycle == "production":
        return _breaking(change)
    return None


def _breaking(change: Change) -> str | None:
    breaking = [d for d in differences(change) if d.field in {"data_type", "endpoint.keys"}]
    if not breaking:
        return None
    told = (f"{d.field.removeprefix('endpoint.')} from {_shown(d.before)} to {_shown(d.after)}" for d in breaking)
    what = " and its ".join(told)
    return f"'{change.after.name}' is in production and would change its {what}, unless it is forced by name"


def _state(feature: Feature) -> str:
    return {"production": "in production", UNSAID: "without a life cycle"}.get(feature.life_cycle, feature.life_cycle)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{key['column']} ({key['primitive_entity']}, {key['identifier']})" for key in value) or "none"
    return str(value)


def _flat(feature: Feature) -> dict[str, Any]:
    value = feature.to_json()
    endpoint = {f"endpoint.{name}": _listed(inner) for name, inner in value.pop("endpoint").items()}
    return {**value, **endpoint}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
