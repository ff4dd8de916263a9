"""The join's inner loops: compiled where a compiler was at hand when Jukebox was installed, in NumPy elsewhere.

``loops`` is the module in use, ``NAME`` is "compiled" or "numpy", and ``WHY`` says in a sentence how it was chosen.
Setting the environment's JUKEBOX_KERNEL to "numpy" chooses NumPy, here and wherever else something is compiled. Asking
for the compiled one imports neither NumPy nor Arrow.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


def choose(compiled: str, in_numpy: str) -> tuple[Any, str, str]:
    """Return the module named ``compiled``, or ``in_numpy`` in its place; its name, and a sentence on the choice."""
    if os.environ.get("JUKEBOX_KERNEL") == "numpy":
        return importlib.import_module(in_numpy), "numpy", "JUKEBOX_KERNEL=numpy asks for it"
    try:
        return importlib.import_module(compiled), "compiled", "it was compiled when Jukebox was installed"
    except ImportError as exc:
        why = f"the compiled one was not built when Jukebox was installed ({exc})"
    return importlib.import_module(in_numpy), "numpy", why


loops, NAME, WHY = choose("jukebox.core._kernel", "jukebox.core.asof_numpy")


def is_compiled() -> bool:
    """Return whether the loops in use are the compiled ones, which know texts."""
    return hasattr(loops, "find_texts")


def processors() -> int:
    """Return how many processors this process may use: as many threads the join takes where nobody says otherwise."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
