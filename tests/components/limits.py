"""Folders that cannot be written, also by root, whom file modes do not stop."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``room`` bytes: the kernel fails the write, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def unwritable(root: Path) -> list[str]:
    """Return places that nobody may make a folder in: below a file, and in the kernel's own tree."""
    (root / "file").write_text("in the way")
    return [str(root / "file" / "out"), "/proc/jukebox/out"]
