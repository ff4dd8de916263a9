"""Which rows of a training set go to which split: by time, or by a hash of chosen columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.mixing import mix
from jukebox.errors import InvalidType, InvalidValue, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAIN, EVAL = "train", "eval"


@dataclass(frozen=True)
class Split:
    """A rule that sends ``share`` of the rows to ``train`` and the rest to ``eval``.

    ``by="time"`` gives ``train`` the earliest rows: every row before the label time at that share of the rows,
    equal times never parted. ``by="hash"`` sends rows with equal ``columns``, all of them where none is named, to the
    same side, the same in every run. Its text is what ``parse`` reads.
    """

    by: str = "time"
    share: float = 0.8
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Split:
        """Return the rule that ``time:0.8``, ``hash:0.8`` or ``hash:0.8:user,item`` spells; raises InvalidValue.

        >>> Split.parse("hash:0.9:user")
        Split(by='hash', share=0.9, columns=('user',))
        """
        by, _, rest = text.partition(":")
        share, _, columns = rest.partition(":")
        try:
            fraction = float(share or 0.8)
        except ValueError:
            fraction = -1.0
        if by not in ("time", "hash") or not 0 < fraction < 1 or (by == "time" and columns):
            raise InvalidValue(
                f"'{text}' is no split; it is written time:0.8, hash:0.8 or hash:0.8:column,column "
                "with a train share between 0 and 1"
            )
        return cls(by, fraction, tuple(name for name in columns.split(",") if name))

    def over(self, columns: Sequence[str]) -> Split:
        """Return the rule with ``columns`` to hash, where it hashes and names none."""
        return replace(self, columns=tuple(columns)) if self.by == "hash" and not self.columns else self

    def __str__(self) -> str:
        return ":".join([self.by, str(self.share), *([",".join(self.columns)] if self.columns else [])])

    def require(self, schema: pa.Schema) -> None:
        """Raise unless the columns to hash are there (MissingColumn) and are no lists or records (InvalidType)."""
        for name in () if self.by == "time" else self.columns or schema.names:
            if name not in schema.names:
                there = ", ".join(schema.names)
                raise MissingColumn(f"column '{name}' of the split is not in the labels; they have {there}")
            kind = schema.field(name).type
            if pa.types.is_nested(kind):
                raise InvalidType(f"column '{name}' holds {kind}, which has no hash; name others: hash:0.8:column")

    def train_mask(self, table: pa.Table, time: str) -> np.ndarray:
        """Return for each row whether it belongs to ``train``; ``time`` names the label time.

        Raises what ``require`` raises.
        """
        if not table.num_rows:
            return np.zeros(0, dtype=bool)
        if self.by == "time":
            return _before_share(table[time], self.share)
        self.require(table.schema)
        hashes = _row_hashes([table[name] for name in self.columns or table.column_names])
        mask: np.ndarray = hashes < np.uint64(int(self.share * 2**64))
        return mask


def _before_share(times: pa.ChunkedArray, share: float) -> np.ndarray:
    threshold = pc.sort_indices(times)[min(int(len(times) * share), len(times) - 1)]
    mask: np.ndarray = pc.less(times, times[threshold.as_py()]).to_numpy()
    return mask


def _row_hashes(columns: Sequence[pa.ChunkedArray]) -> np.ndarray:
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        total = mix(total ^ _value_hashes(column))
    return total


def _value_hashes(column: pa.ChunkedArray) -> np.ndarray:
    values = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return np.zeros(len(values), dtype=np.uint64)
    if pa.types.is_temporal(values.type):
        # Python's times are spelled otherwise by every version of Arrow and its libraries.
        values = values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())  # noqa: PLR2004 - bits
    encoded = values.dictionary_encode()
    table = [hashlib.blake2b(repr(value).encode(), digest_size=8).digest() for value in encoded.dictionary.to_pylist()]
    hashes: np.ndarray = np.frombuffer(b"".join([*table, bytes(8)]), dtype="<u8").astype(np.uint64)
    rows: np.ndarray = hashes[encoded.indices.fill_null(len(table)).to_numpy(zero_copy_only=False).astype(np.int64)]
    return rows
