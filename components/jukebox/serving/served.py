"""What a reader tells of a round of reads: whoever keeps a log of it, or counts it, is called with one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from jukebox.serving.vectors import FeatureVector


@dataclass(frozen=True)
class ServedFeature:
    """What was answered of one feature, entity by entity: ``feature`` is its versioned name, ``/entity/…/temp@1``.

    ``event_times`` are datetimes, or None where the feature is static or missing; ``statuses`` are fresh, stale or
    missing. ``type`` is that of the values, None where they tell it themselves.
    """

    feature: str
    values: Sequence[Any]
    event_times: Sequence[datetime | None]
    statuses: Sequence[str]
    type: pa.DataType | None = None


@dataclass(frozen=True)
class Served:
    """One round: features as of ``served_at``, a zoned time, for entities given as key names to values.

    ``entities`` holds what the features were read by and nothing else, for their keys say which vectors are logged.
    """

    request_id: str | None
    served_at: datetime
    entities: Sequence[Mapping[str, Any]]
    features: Sequence[ServedFeature]
    model: str | None = None

    @classmethod
    def of(
        cls,
        entities: Sequence[Mapping[str, Any]],
        vectors: Sequence[FeatureVector],
        *,
        served_at: datetime,
        request_id: str | None = None,
        model: str | None = None,
    ) -> Served:
        """Return the round in which a reader gave ``vectors``, one an entity; a feature asked twice counts once."""
        rows = list(zip(*(vector.features for vector in vectors), strict=True))
        named = {column[0].feature: column for column in rows}
        features = [
            ServedFeature(name, *(tuple(getattr(each, part) for each in column) for part in _PARTS))
            for name, column in named.items()
        ]
        return cls(request_id, served_at, tuple(entities), features, model)


_PARTS = ("value", "event_time", "status")
