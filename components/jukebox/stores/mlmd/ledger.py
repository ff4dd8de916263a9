"""A count of changes that a transaction keeps: entries of one type, numbered by name, so that each number is made once.

Whoever changes what an entry stands for makes the next entry in the same transaction: of two writers MLMD refuses the
second. Whoever keeps in memory what was read asks for the latest number, in a handful of look-ups by name, and knows
whether it still holds. No clock is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.stores.mlmd.kinds import artifact_type
from jukebox.stores.mlmd.library import pb

if TYPE_CHECKING:
    from jukebox.stores.mlmd.connection import Store


class Ledger:
    """The entries of one artifact type, from 1 on."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store, self._kind, self._known = store, kind, 0

    def latest(self) -> int:
        """Return the number of the latest entry, 0 where there is none."""
        low, step = self._known, 1
        while self._is_there(low + step):
            low, step = low + step, 2 * step
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_there(middle) else (low, middle)
        self._known = low
        return low

    def entry(self, number: int, *, pending: bool = False) -> pb.Artifact:
        """Return the artifact that is entry ``number``, to be put; MLMD refuses it where it is there already."""
        state = pb.Artifact.PENDING if pending else pb.Artifact.LIVE
        return pb.Artifact(type_id=artifact_type(self._store, self._kind), name=self._name(number), state=state)

    def _is_there(self, number: int) -> bool:
        return self._store.call("get_artifact_by_type_and_name", self._kind, self._name(number)) is not None

    def _name(self, number: int) -> str:
        return f"{self._kind}/{number}"
