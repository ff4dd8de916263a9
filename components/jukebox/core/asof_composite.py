"""Keys of several columns, compared as typed columns: the codes of one column meet those of the next, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_keys import Codes, Keys, WholeKeys, whole_keys
from jukebox.core.asof_numpy import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from jukebox.core.asof_times import Integers, Mask


@dataclass(frozen=True)
class CompositeKeys:
    """Keys of several columns: the pairs of codes that the labels hold, column after column."""

    columns: tuple[Keys, ...]
    pairs: tuple[WholeKeys, ...]

    def codes(self, columns: Sequence[pa.ChunkedArray], rows: int) -> Codes:
        """Return the code of each row; all rows have code 0 where the key has no column."""
        if not self.columns:
            return np.zeros(rows, np.int32)
        codes = self.columns[0].codes(columns[0])
        for keys, column, pairs in zip(self.columns[1:], columns[1:], self.pairs, strict=True):
            codes = pairs.find(*_paired(codes, keys.codes(column), len(keys)))
        return codes

    def __len__(self) -> int:
        """Return how many codes there are."""
        if not self.columns:
            return 1
        return len(self.pairs[-1]) if self.pairs else len(self.columns[0])


def composite(columns: Sequence[tuple[Keys, Codes]], rows: int) -> tuple[CompositeKeys, Codes]:
    """Return the keys of several label columns and the code of each label, from each column's own."""
    if not columns:
        return CompositeKeys((), ()), np.zeros(rows, np.int32)
    pairs, codes = [], columns[0][1]
    for keys, right in columns[1:]:
        both, codes = whole_keys(*_paired(codes, right, len(keys)))
        pairs.append(both)
    return CompositeKeys(tuple(keys for keys, _ in columns), tuple(pairs)), codes


def _paired(left: Codes, right: Codes, width: int) -> tuple[Integers, Mask]:
    return left.astype(np.int64) * width + right, (left != NONE) & (right != NONE)
