"""From rows to vectors: what was passed, what was found, and what of it was known at the moment of the request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from jukebox.serving.moments import judged, nanoseconds, require_clock
from jukebox.serving.routes import Route
from jukebox.serving.served import Served, ServedFeature, ServedFeatures
from jukebox.serving.vectors import Column, FeatureVectors, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from jukebox.core.layouts import Row
    from jukebox.engine.requests import Entry
    from jukebox.serving.contextual import Given
    from jukebox.serving.lookups import Lookup


@dataclass(frozen=True)
class Request:
    """Whom features are read for: entities, with what is known in the request alone, as of ``at`` or of ``now``."""

    entities: Sequence[Mapping[str, Any]]
    context: Mapping[str, Any]
    at: datetime | None
    now: datetime
    id: str

    @property
    def moment(self) -> datetime:
        """The moment that they are read for."""
        return self.now if self.at is None else self.at


def checked(lookup: Lookup, request: Request) -> dict[str, list[Any]]:
    """Return the contextual values that were passed, by what they are called, for each entity.

    Raises MissingColumn and InvalidType for what was not passed or does not fit, and InvalidType for an ``at`` with a
    zone where the features' times have none.
    """
    if request.at is not None:
        for feature in lookup.features:
            if isinstance(feature, Route):
                require_clock(request.at, feature)
    entities, context = request.entities, request.context
    return {feature.name: [feature.value(entity, context) for entity in entities] for feature in lookup.context}


def answered(
    lookup: Lookup, request: Request, given: Mapping[str, Sequence[Any]], groups: Sequence[Sequence[Row | None]]
) -> FeatureVectors:
    """Return the vectors that rows, in the groups of the lookup, and what was given make."""
    at, count = nanoseconds(request.moment), len(request.entities)
    verdicts = [judged(groups[group], rules, at) for group, rules in lookup.rules]
    passed = Verdict(["fresh"] * count, [None] * count, zoned=True, all_fresh=True)
    held = [_columns(rows, width) for rows, width in zip(groups, lookup.widths, strict=True)]
    columns = []
    for name, feature, kind, place, group, verdict in lookup.slots:
        if verdict is None:
            columns.append(Column(name, feature, kind, given[name], passed))
        else:
            columns.append(Column(name, feature, kind, held[group][place], verdicts[verdict]))
    return FeatureVectors(columns, count, request.id)


def _columns(rows: Sequence[Row | None], width: int) -> list[Sequence[Any]]:
    nothing = (None,) * width
    return [*zip(*(nothing if row is None else row.fields for row in rows), strict=True)] or [()] * width


def served(lookup: Lookup, request: Request, model: str | None, vectors: FeatureVectors) -> Served:
    """Return what is told of a round; a moment without a zone is told as UTC's, of which it was read."""
    at = request.moment if request.moment.tzinfo is not None else request.moment.replace(tzinfo=timezone.utc)
    ways = dict.fromkeys(way for read in lookup.tables for way in read.ways)
    entities = [{name: entity[name] for way in ways for name in way.used(entity)} for entity in request.entities]
    return Served(request.id, at, entities, ServedFeatures(partial(_told, lookup, vectors.columns)), model)


def _told(lookup: Lookup, columns: Sequence[Column]) -> list[ServedFeature]:
    # Features of one table share a verdict, and to make its times is most of the work.
    times = {id(column.verdict): column.verdict for column in columns}
    told = {each: verdict.datetimes() for each, verdict in times.items()}
    every = zip(lookup.entries, lookup.features, columns, strict=True)
    return [_feature(entry, feature, column, told[id(column.verdict)]) for entry, feature, column in every]


def _feature(entry: Entry, feature: Route | Given, column: Column, times: Sequence[datetime | None]) -> ServedFeature:
    written = feature.way.identifiers if isinstance(feature, Route) else {}
    found = column.values(), times, column.verdict.statuses, column.type
    return ServedFeature(column.feature, *found, max_age=entry.max_age, keys=entry.keys, identifiers=written)
