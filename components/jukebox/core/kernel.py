"""The join's inner loops: compiled where a compiler was at hand when Jukebox was installed, in NumPy elsewhere.

``loops`` is the module in use, ``NAME`` is "compiled" or "numpy", and ``WHY`` says in a sentence how it was chosen.
Setting the environment's JUKEBOX_KERNEL to "numpy" chooses NumPy.
"""

from __future__ import annotations

import os
from typing import Any

from jukebox.core import asof_numpy

loops: Any = asof_numpy
NAME, WHY = "numpy", "JUKEBOX_KERNEL=numpy asks for it"
if os.environ.get("JUKEBOX_KERNEL") != "numpy":
    try:
        from jukebox.core import _kernel
    except ImportError as exc:
        WHY = f"the compiled kernel was not built when Jukebox was installed ({exc})"
    else:
        loops, NAME, WHY = _kernel, "compiled", "the kernel was compiled when Jukebox was installed"


def is_compiled() -> bool:
    """Return whether the loops in use are the compiled ones."""
    return loops is not asof_numpy
