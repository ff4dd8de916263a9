"""What a reader answers: feature values with their times and states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jukebox.errors import MissingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Status = Literal["fresh", "stale", "missing"]


@dataclass(frozen=True)
class FeatureValue:
    """The value of one feature as of a moment, and ``feature``, the version that it is of.

    It is ``fresh``; ``stale``, past its max age; or ``missing``: no row of the entity was known. As in training,
    ``value`` is None unless it is fresh, and may be None then too: the newest row held null. ``too_old`` keeps what a
    stale row held. ``event_time`` is the row's; None where the feature is static or missing.
    """

    name: str
    value: Any
    event_time: datetime | None
    status: Status
    feature: str = ""
    too_old: Any = None


@dataclass(frozen=True)
class FeatureVector:
    """The features that were asked for, in the order asked."""

    features: tuple[FeatureValue, ...]

    def __getitem__(self, name: str) -> FeatureValue:
        """Return the feature that was asked for as ``name``; raises MissingColumn where none was."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise MissingColumn(f"'{name}' was not asked for; there is {', '.join(f.name for f in self.features)}")

    def __iter__(self) -> Iterator[FeatureValue]:
        """Yield the features in the order asked."""
        return iter(self.features)

    def __len__(self) -> int:
        """Return how many features were asked for."""
        return len(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by the names that were asked for."""
        return {feature.name: feature.value for feature in self.features}
