"""The join's inner loops: compiled where a compiler was at hand when Jukebox was installed, in NumPy elsewhere.

``loops`` is the module in use, ``NAME`` is "compiled" or "numpy", and ``WHY`` says in a sentence how it was chosen.
Setting the environment's JUKEBOX_KERNEL to "numpy" chooses NumPy, here and wherever else something is compiled.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from jukebox.core import asof_numpy


def choose(compiled: str, in_numpy: Any) -> tuple[Any, str, str]:
    """Return the module named ``compiled``, or ``in_numpy`` in its place; its name, and a sentence on the choice."""
    if os.environ.get("JUKEBOX_KERNEL") == "numpy":
        return in_numpy, "numpy", "JUKEBOX_KERNEL=numpy asks for it"
    try:
        return importlib.import_module(compiled), "compiled", "it was compiled when Jukebox was installed"
    except ImportError as exc:
        return in_numpy, "numpy", f"the compiled one was not built when Jukebox was installed ({exc})"


loops, NAME, WHY = choose("jukebox.core._kernel", asof_numpy)


def is_compiled() -> bool:
    """Return whether the loops in use are the compiled ones."""
    return loops is not asof_numpy
