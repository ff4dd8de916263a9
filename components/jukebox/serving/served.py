"""What a reader tells of a round of reads: whoever keeps a log of it, or counts it, is called with one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    import pyarrow as pa


@dataclass(frozen=True)
class ServedFeature:
    """What was answered of one feature, entity by entity: ``feature`` is its versioned name, ``/entity/…/temp@1``.

    ``event_times`` are datetimes, or None where the feature is static or missing; ``statuses`` are those of vectors.
    ``type`` is that of the values, None where they tell it themselves. ``max_age`` and ``keys``, from entity's name to
    key column, are those of the request, where it has any: the role in which the feature was asked for.
    ``identifiers`` say by name how ids were given that the feature's table has written in another way.
    """

    feature: str
    values: Sequence[Any]
    event_times: Sequence[datetime | None]
    statuses: Sequence[str]
    type: pa.DataType | None = None
    max_age: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, hash=False)
    identifiers: Mapping[str, str] = field(default_factory=dict, hash=False)


class ServedFeatures(Sequence[ServedFeature]):
    """The features of a round, put together by ``made`` when somebody looks: a reader has no time for it."""

    def __init__(self, made: Callable[[], Sequence[ServedFeature]]) -> None:
        self._made = made

    @cached_property
    def _held(self) -> Sequence[ServedFeature]:
        return self._made()

    def __len__(self) -> int:
        """Return how many features were answered."""
        return len(self._held)

    def __iter__(self) -> Iterator[ServedFeature]:
        """Yield the features in the order asked."""
        return iter(self._held)

    @overload
    def __getitem__(self, place: int) -> ServedFeature: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ServedFeature]: ...
    def __getitem__(self, place: int | slice) -> ServedFeature | Sequence[ServedFeature]:
        """Return a feature, or some of them, in the order asked."""
        return self._held[place]


@dataclass(frozen=True)
class Served:
    """One round: features as of ``served_at``, a zoned time, for entities given as key names to values.

    ``entities`` holds, under the names that the caller gave them, what the features were read by and nothing else, for
    their keys say which vectors are logged.
    """

    request_id: str | None
    served_at: datetime
    entities: Sequence[Mapping[str, Any]]
    features: Sequence[ServedFeature]
    model: str | None = None
