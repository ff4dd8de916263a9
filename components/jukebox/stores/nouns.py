"""What a registry holds: features in their versions and revisions, where they lie, and what runs read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from jukebox.features import Feature, FeatureName


@dataclass(frozen=True)
class RegisteredFeature:
    """A feature as the registry holds it: its version, counted from 1, and its revision.

    ``revision`` counts every change of the feature, of definition or of metadata; ``change`` says what the
    registration did: ``new``, ``new version``, ``edited`` or ``unchanged``.
    """

    feature: Feature
    version: int
    revision: int
    change: str = "unchanged"

    @property
    def name(self) -> FeatureName:
        """The feature's name."""
        return self.feature.name

    @property
    def versioned(self) -> str:
        """The name with its version, ``/entity/…/name/temp@1``."""
        return f"{self.feature.name}@{self.version}"


@dataclass(frozen=True)
class FormerRevision:
    """What a feature was until ``replaced_at``, in UTC."""

    registered: RegisteredFeature
    replaced_at: datetime


@dataclass(frozen=True)
class Chronicle:
    """A feature with all that it was: what it is now, and its former revisions, oldest first."""

    newest: RegisteredFeature
    former: tuple[FormerRevision, ...] = ()

    @property
    def versions(self) -> tuple[RegisteredFeature, ...]:
        """The versions, oldest first, each as it was last."""
        every = (*(revision.registered for revision in self.former), self.newest)
        return tuple({registered.version: registered for registered in every}.values())


@dataclass(frozen=True)
class OfflineSource:
    """A feature table that holds features for some dates; ``features`` are versioned names (``…@1``)."""

    uri: str
    endpoint: str
    features: tuple[str, ...]
    dates: tuple[date, ...]
    fingerprint: str
    delivered_at: datetime


@dataclass(frozen=True)
class OnlineSource:
    """A table of an online store that serves features; ``features`` are versioned names (``…@1``)."""

    store: str
    table: str
    features: tuple[str, ...]
    rows: int
    fingerprint: str
    loaded_at: datetime


@dataclass(frozen=True)
class Holdings:
    """All that a registry holds: features by name, offline sources in the order of their registration.

    ``online`` tells by versioned name where a feature is served.
    """

    features: tuple[Chronicle, ...] = ()
    offline: tuple[OfflineSource, ...] = ()
    online: tuple[tuple[str, OnlineSource], ...] = ()


@dataclass(frozen=True)
class Recorded:
    """An artifact that a run read or wrote, as lineage records it."""

    type: str
    uri: str
    name: str = ""
    properties: tuple[tuple[str, str], ...] = ()
