"""The nouns of the registry: keys, data endpoints and features, frozen and comparable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.features.durations import format_duration, parse_duration
from jukebox.features.names import FeatureName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

EVENT_TIME, CREATED_TIME = "event_time", "created_time"  # what a load calls the times that it writes itself


@dataclass(frozen=True)
class Key:
    """A key column of an endpoint: the primitive entity that it names, and how its id is written."""

    column: str
    primitive_entity: str
    identifier: str


@dataclass(frozen=True)
class Endpoint:
    """A named data set of dated partitions, with its keys and its rules of time.

    ``uri`` may hold ``{date}``; one that is not absolute lies below the source folder that a load is given.
    A ``static`` endpoint has no event time: its rows are true at all times. ``time_zone`` is the zone of
    times that carry none, and the zone whose midnights part the dates. With a ``delivery_time``, a duration, a
    date's rows became known that long after its end; without an event time too they are a snapshot, true at that end.
    """

    name: str
    uri: str
    format: str
    keys: tuple[Key, ...]
    event_time: str | None = None
    static: bool = False
    created_time: str | None = None
    time_zone: str | None = None
    delivery: str | None = None
    slo: str | None = None
    delivery_time: str | None = None
    owner: str | None = None
    description: str | None = None
    null_values: tuple[str, ...] = ("",)

    @property
    def entity_keys(self) -> tuple[str, ...]:
        """The names of the key columns, in order."""
        return tuple(key.column for key in self.keys)

    @property
    def table_event_time(self) -> str:
        """The column of the event time in a feature table; a load writes it where the source has none."""
        return EVENT_TIME if self.event_time is None else self.event_time

    @property
    def table_created_time(self) -> str | None:
        """The column of the created time in a feature table; a load writes it where there is a delivery time."""
        return self.created_time if self.delivery_time is None else CREATED_TIME

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Endpoint:
        """Return the endpoint that ``to_json`` wrote, or that a features.yaml declares."""
        keys = tuple(Key(**key) for key in value["keys"])
        nulls = tuple(value.get("null_values", ("",)))
        return cls(**{**value, "keys": keys, "null_values": nulls})

    def to_json(self) -> dict[str, Any]:
        """Return the endpoint as plain JSON values."""
        return asdict(self)


CONTEXT = Endpoint("(request)", uri="", format="", keys=(), static=True)
"""What contextual features come from: no data set, but the request, and in training the labels."""


@dataclass(frozen=True)
class Feature:
    """One feature as it is declared: where it comes from, and what people should know of it.

    ``column`` is the one in the source; of a contextual feature it is what requests and labels call it.
    """

    name: FeatureName
    endpoint: Endpoint
    column: str
    data_type: str
    description: str = ""
    owner: str | None = None
    max_age: timedelta | None = None
    tags: tuple[str, ...] = ()
    scope: str = "undefined"
    life_cycle: str = "undefined"
    # A mapping has no hash; two features that differ in it alone share theirs and are still unequal.
    quality: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def contextual(self) -> bool:
        """Whether it is known only in the request: whoever asks passes it, and labels bring it."""
        return self.endpoint == CONTEXT

    @property
    def definition(self) -> dict[str, Any]:
        """What makes a version: entity, keys, data type, source column and the rules of time."""
        endpoint = self.endpoint
        rules: dict[str, Any] = {"time_zone": endpoint.time_zone}
        # A rule that came later counts where it is declared: versions of before stay what they are.
        if endpoint.delivery_time is not None:
            rules["delivery_time"] = format_duration(parse_duration(endpoint.delivery_time))
        if self.contextual:
            rules["contextual"] = True
        return {
            "entity": self.name.entity,
            "keys": [asdict(key) for key in endpoint.keys],
            "data_type": self.data_type,
            "column": self.column,
            "event_time": endpoint.event_time,
            "static": endpoint.static,
            "created_time": endpoint.created_time,
            **rules,
        }

    @property
    def digest(self) -> str:
        """The SHA-256 of the definition, in hex: equal digests are one version."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Feature:
        """Return the feature that ``to_json`` wrote."""
        age = value.get("max_age")
        return cls(
            **{
                **value,
                "name": FeatureName.parse(value["name"]),
                "endpoint": Endpoint.from_json(value["endpoint"]),
                "max_age": None if age is None else parse_duration(age),
                "tags": tuple(value.get("tags", ())),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the feature as plain JSON values, its endpoint within."""
        return {
            "name": str(self.name),
            "endpoint": self.endpoint.to_json(),
            "column": self.column,
            "data_type": self.data_type,
            "description": self.description,
            "owner": self.owner,
            "max_age": None if self.max_age is None else format_duration(self.max_age),
            "tags": list(self.tags),
            "scope": self.scope,
            "life_cycle": self.life_cycle,
            "quality": dict(self.quality),
        }
