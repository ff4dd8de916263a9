"""The join's inner loops: compiled where a compiler was at hand when Jukebox was installed, in NumPy elsewhere.

``loops`` is the module in use, ``NAME`` is "compiled" or "numpy", and ``WHY`` says in a sentence how it was chosen.
Setting the environment's JUKEBOX_KERNEL to "numpy" chooses NumPy. Asking for the compiled one imports neither NumPy
nor Arrow.
"""

from __future__ import annotations

import os
from typing import Any

loops: Any = None
if os.environ.get("JUKEBOX_KERNEL") == "numpy":
    NAME, WHY = "numpy", "JUKEBOX_KERNEL=numpy asks for it"
else:
    try:
        from jukebox.core import _kernel as loops
    except ImportError as exc:
        NAME, WHY = "numpy", f"the compiled kernel was not built when Jukebox was installed ({exc})"
    else:
        NAME, WHY = "compiled", "the kernel was compiled when Jukebox was installed"
if loops is None:
    from jukebox.core import asof_numpy as loops


def is_compiled() -> bool:
    """Return whether the loops in use are the compiled ones, which know texts."""
    return hasattr(loops, "find_texts")


def processors() -> int:
    """Return how many processors this process may use: as many threads the join takes where nobody says otherwise."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
