"""Rows on their way from one file to others: where they came from, and how many of them are taken at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.errors import InvalidType, InvalidValue, JukeboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from jukebox.storage import Place


@dataclass
class Rows:
    """The rows of a source, once, with what an error says of those on their way."""

    path: Place | str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    of: int | None
    start: int = 0
    end: int = 0
    reading: bool = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            self.reading = True
            batch = next(self.batches, None)
            self.reading = False
            if batch is None:
                return
            self.start, self.end = self.end, self.end + batch.num_rows
            yield batch

    def located(self, exc: JukeboxError) -> JukeboxError:
        """Return an error of writing with the file, and the rows, that it was about; one of reading has them."""
        if self.reading or not isinstance(exc, (InvalidValue, InvalidType)):
            return exc
        rows = f", in rows {self.start} to {self.end - 1}" if self.end > 0 else ""
        return type(exc)(f"{self.path}{rows}: {exc}")


class Rest:
    """A stream of batches that is taken a number of rows at a time."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches, self._held = iter(batches), None

    def more(self) -> bool:
        """Return whether there is a row left."""
        while self._held is None or self._held.num_rows == 0:
            self._held = next(self._batches, None)
            if self._held is None:
                return False
        return True

    def take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next ``rows`` rows, or as many as there are."""
        while rows > 0 and self.more():
            held: pa.RecordBatch = self._held
            yield held.slice(0, rows)
            self._held = held.slice(rows) if held.num_rows > rows else None
            rows -= min(rows, held.num_rows)
