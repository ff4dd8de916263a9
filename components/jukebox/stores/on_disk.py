"""A lineage of files: what is asked for by a relative path is found where that path leads to from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.core.lineage_held import Held
from jukebox.errors import NotRegistered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.lineage_nodes import Node


class OnDisk(Held):
    """The LineageSource protocol over what files tell."""

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI, or at the absolute path; raises NotRegistered."""
        absolute = uri if "://" in uri else str(Path(uri).absolute())
        try:
            return super().nodes_at(absolute)
        except NotRegistered:
            return super().nodes_at(uri)
