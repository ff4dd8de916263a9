"""Registry and lineage on ML Metadata, in the very store that TFX writes: a file, a database or a gRPC server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.stores.mlmd.lineage import MlmdLineage, lineage_of
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.mlmd.registry import MlmdRegistry

if TYPE_CHECKING:
    from jukebox.core.lineage_nodes import LineageSource

__all__ = ["MlmdLineage", "MlmdRegistry", "open_lineage", "open_registry"]


def open_registry(uri: str) -> MlmdRegistry:
    """Return the registry at ``uri``; a file or database that is not there is created, a file's folders too.

    Raises StorageError for what is no MLMD store, or one of another schema version: it is never migrated.
    """
    return MlmdRegistry(connect(uri, create=True))


def open_lineage(uri: str) -> LineageSource:
    """Return the lineage at ``uri``, read only; raises StorageError as ``open_registry``, and where no file is."""
    return lineage_of(connect(uri, create=False))
