"""Registry and lineage on ML Metadata, in the very store that TFX writes: a file, a database or a gRPC server."""

from __future__ import annotations

from jukebox.stores.mlmd.lineage import MlmdLineage
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.mlmd.registry import MlmdRegistry

__all__ = ["MlmdLineage", "MlmdRegistry", "open_lineage", "open_registry"]


def open_registry(uri: str) -> MlmdRegistry:
    """Return the registry at ``uri``; a file or database that is not there is created, a file's folders too.

    Raises StorageError for what is no MLMD store, or one of another schema version: it is never migrated.
    """
    return MlmdRegistry(connect(uri, create=True))


def open_lineage(uri: str) -> MlmdLineage:
    """Return the lineage at ``uri``, read only; raises StorageError as ``open_registry``, and where no file is."""
    return MlmdLineage(connect(uri, create=False))
