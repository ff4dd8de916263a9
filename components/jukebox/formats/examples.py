"""TFX ``Examples``: a folder ``Split-…`` for each split, holding files of TFRecord or Parquet, whoever wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats import DEFAULTS, Options, parquet, tfrecord
from jukebox.formats.files import source_files
from jukebox.formats.spans import newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from jukebox.storage import Place

SPLIT = "Split-"
# What the artifact's property payload_format may say; a SequenceExample is read as an Example with lists besides.
PAYLOADS = {
    "FORMAT_TF_EXAMPLE": tfrecord,
    "FORMAT_TF_SEQUENCE_EXAMPLE": tfrecord,
    "FORMAT_PARQUET": parquet,
}
FIRST = ("train", "eval")


@dataclass(frozen=True)
class Examples:
    """The splits at ``place``: ``train`` and ``eval`` first, the others by name; ``payload`` as TFX tells it, or None.

    ``span`` and ``version`` are those that the pattern of the path told.
    """

    place: Place
    splits: tuple[str, ...]
    payload: str | None = None
    span: int | None = None
    version: int | None = None

    def schema(self, split: str, *, options: Options = DEFAULTS) -> pa.Schema:
        """Return the names and types that ``read`` gives for all columns."""
        found: pa.Schema = self._format(split).schema(self._folder(split), options=options)
        return found

    def read(
        self,
        split: str,
        *,
        columns: Sequence[str] | None = None,
        rows: tuple[int, int] | None = None,
        options: Options = DEFAULTS,
    ) -> Iterator[pa.RecordBatch]:
        """Return a stream of the rows of the split, as the format of its files reads them."""
        found: Iterator[pa.RecordBatch] = self._format(split).read(
            self._folder(split), columns=columns, rows=rows, options=options
        )
        return found

    def lists(self, split: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the split with every key of its TFRecords as lists: what data validation takes."""
        read = self._format(split)
        yield from tfrecord.lists(self._folder(split)) if read is tfrecord else read.read(self._folder(split))

    def _folder(self, split: str) -> Place:
        if split not in self.splits:
            raise InvalidValue(f"split '{split}' is not in {self.place}; it has {', '.join(self.splits)}")
        return self.place / f"{SPLIT}{split}"

    def _format(self, split: str) -> Any:
        """Return the module that reads the split; InvalidType for another than the payload says, or for two."""
        folder = self._folder(split)
        found = {parquet if file.suffix == parquet.SUFFIX else tfrecord for file in source_files(folder)}
        told = PAYLOADS.get(self.payload or "")
        if len(found) > 1:
            raise InvalidType(f"{folder} holds Parquet and other files; a split is of one format")
        if told is not None and found != {told}:
            raise InvalidType(f"{folder} holds other files than {self.payload}, which is said of it")
        return found.pop()


def open_examples(
    uri: str, payload_format: str | None = None, *, span: int | None = None, version: int | None = None
) -> Examples:
    """Return the Examples at ``uri``; its fields {SPAN} and {VERSION} stand for the newest, or those given.

    Without a ``payload_format``, the artifact's property of this name, the endings of the files tell. Raises
    InvalidValue for a folder without splits, InvalidType for a payload that only its maker can read, NoPartition.
    """
    if payload_format is not None and payload_format not in PAYLOADS:
        raise InvalidType(f"payload format '{payload_format}' cannot be read; these can: {', '.join(PAYLOADS)}")
    found = newest(uri, span=span, version=version)
    splits = split_names(found.place)
    if not splits:
        raise InvalidValue(f"{found.place} holds no Examples: it has no folder {SPLIT}…")
    return Examples(found.place, splits, payload_format, found.span, found.version)


def split_names(place: Place) -> tuple[str, ...]:
    """Return the splits whose folders lie there, ``train`` and ``eval`` first; none where there are none."""
    if not place.is_dir():
        return ()
    names = [folder.name.removeprefix(SPLIT) for folder in place.glob(f"{SPLIT}*") if folder.is_dir()]
    return tuple(sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)))
