"""tf.Example and the frames of TFRecord: compiled where a compiler was at hand when Jukebox was installed.

``coder`` is the module in use, ``NAME`` and ``WHY`` say which it is and how it was chosen, as for the join's kernel.
"""

from __future__ import annotations

from jukebox.core.kernel import choose

coder, NAME, WHY = choose("jukebox.formats._codec", "jukebox.formats.codec_numpy")
