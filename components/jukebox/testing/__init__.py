"""What every online store must do, as tests that a plug-in's author runs: subclass the suite and say how to open one.

::

    class TestMyStore(OnlineStoreSuite):
        def store(self, tmp_path):
            return MyStore(tmp_path)

It takes pytest and Hypothesis.
"""

from __future__ import annotations

from jukebox.testing.newest import NewestSuite
from jukebox.testing.rows import RowsSuite
from jukebox.testing.stores import MOMENT, moments
from jukebox.testing.tables import TablesSuite

__all__ = ["MOMENT", "OnlineStoreSuite", "moments"]


class OnlineStoreSuite(RowsSuite, NewestSuite, TablesSuite):
    """The behaviour of an OnlineStore; ``store`` returns an empty one, or one in which no test has written.

    ``counts`` says whether the store looks at what it holds before it writes, so that it can count what changed.
    """
