"""Registry and lineage on ML Metadata, in the very store that TFX writes: ``mlmd+sqlite://<path>``."""

from __future__ import annotations

from jukebox.stores.mlmd.connection import connect, path_of
from jukebox.stores.mlmd.lineage import MlmdLineage
from jukebox.stores.mlmd.registry import MlmdRegistry

__all__ = ["MlmdLineage", "MlmdRegistry", "open_lineage", "open_registry"]


def open_registry(uri: str) -> MlmdRegistry:
    """Return the registry at ``uri``; a file that is not there is created, its folders too.

    Raises StorageError for a file that is no MLMD store, or one of another schema version: it is never migrated.
    """
    return MlmdRegistry(connect(path_of(uri), create=True))


def open_lineage(uri: str) -> MlmdLineage:
    """Return the lineage at ``uri``, read only; raises StorageError as ``open_registry``, and where no file is."""
    return MlmdLineage(connect(path_of(uri), create=False))
