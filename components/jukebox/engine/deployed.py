"""What serves now, and which of its features should not: deprecated, retired, outdated or stale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from jukebox.core.lineage import features_above
from jukebox.core.lineage_questions import deployments, versioned
from jukebox.errors import UnknownFeature
from jukebox.features.names import split_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.core.lineage_nodes import LineageSource, Node
    from jukebox.stores import Registry

_ENDING = ("deprecated", "retired")


@dataclass(frozen=True)
class Doubt:
    """Why a feature should not serve, such as ``deprecated`` or ``stale``; ``why`` says it in words."""

    feature: str
    what: str
    why: str


@dataclass(frozen=True)
class Deployed:
    """A model at an endpoint, its features by versioned name, and what is doubtful about them."""

    endpoint: str
    model: Node
    features: tuple[str, ...]
    doubts: tuple[Doubt, ...]


def deployed(registry: Registry, source: LineageSource, *, now: datetime | None = None) -> tuple[Deployed, ...]:
    """Return the models that serve, each with the doubtful of its features.

    A feature is doubtful that is ``deprecated`` or ``retired``, ``outdated`` where a newer version is there,
    ``unknown`` where the registry does not hold it, and ``stale`` where its newest day ended longer ago than its
    max age; a static feature and one without a max age is never stale.
    """
    moment = datetime.now(timezone.utc) if now is None else now
    known: dict[str, tuple[Doubt, ...]] = {}
    found = []
    for deployment, models in deployments(source):
        for model in models:
            names = tuple(versioned(node) for node in features_above(source, [model]))
            known |= {name: tuple(_doubts(registry, name, moment)) for name in names if name not in known}
            endpoint = dict(deployment.properties).get("endpoint", deployment.name)
            found.append(Deployed(endpoint, model, names, tuple(doubt for name in names for doubt in known[name])))
    return tuple(found)


def _doubts(registry: Registry, feature: str, now: datetime) -> Iterator[Doubt]:
    name, version = split_version(feature)
    try:
        newest = registry.feature(str(name))
    except UnknownFeature as exc:
        yield Doubt(feature, "unknown", str(exc))
        return
    if newest.feature.life_cycle in _ENDING:
        yield Doubt(feature, newest.feature.life_cycle, f"'{name}' is {newest.feature.life_cycle}")
    if version is not None and version < newest.version:
        yield Doubt(feature, "outdated", f"version {version} serves, and the newest is {newest.version}")
    age = _age(registry, feature, now)
    limit = newest.feature.max_age
    if limit is not None and age is not None and age > limit and not newest.feature.endpoint.static:
        yield Doubt(feature, "stale", f"its newest day ended {_told(age)} ago, and it may be {_told(limit)} old")


def _age(registry: Registry, feature: str, now: datetime) -> timedelta | None:
    days = [day for source in registry.offline_sources(feature) for day in source.dates]
    if not days:
        return None
    return now - datetime.combine(max(days) + timedelta(days=1), time.min, timezone.utc)


def _told(age: timedelta) -> str:
    return f"{age.days} days" if age >= timedelta(days=2) else f"{age.total_seconds() / 3600:.0f} hours"
