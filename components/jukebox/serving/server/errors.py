"""Which error is which HTTP status."""

from __future__ import annotations

from jukebox.errors import (
    InvalidType,
    InvalidValue,
    JukeboxError,
    MissingColumn,
    NameClash,
    NotRegistered,
    SourceChanged,
    StorageError,
    TimedOut,
    UnknownFeature,
)

_STATUSES: tuple[tuple[type[JukeboxError], int], ...] = (
    (TimedOut, 504),
    (StorageError, 503),
    (SourceChanged, 503),
    (UnknownFeature, 404),
    (NotRegistered, 404),
    (InvalidValue, 400),
    (InvalidType, 400),
    (MissingColumn, 400),
    (NameClash, 400),
)


def status_of(error: JukeboxError) -> int:
    """Return the status: 400 and 404 for the caller's fault, 503 and 504 for the store's, 500 for the data's."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
