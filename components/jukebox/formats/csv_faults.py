"""Finding the line of a CSV file that is at fault; a row may take several lines."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
from typing import TYPE_CHECKING, Any

from jukebox.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from jukebox.formats import Options
    from jukebox.storage import Place

READ_BYTES = 1 << 24


def check_fields(path: Place, options: Options) -> None:
    """Raise CorruptData for the first row that has not as many fields as there are columns."""
    fields = None if options.names is None else len(options.names)
    with contextlib.suppress(csv.Error):
        for line, row in _rows(path, options):
            fields = len(row) if fields is None else fields
            if row and len(row) != fields:
                few = "few" if len(row) < fields else "many"
                raise CorruptData(
                    f"{path} is not whole CSV: line {line} has too {few} fields, {len(row)} of {fields}: {_shown(row)}"
                )


def check_quotes(path: Place, options: Options) -> None:
    """Raise CorruptData where the file ends within quotes, as one does that was cut off there."""
    with _opened(path) as stream:
        quotes = sum(chunk.count(b'"') for chunk in iter(lambda: stream.read(READ_BYTES), b""))
    if quotes % 2 == 0:
        return
    try:
        for _ in _rows(path, options, strict=True):
            pass
    except csv.Error as exc:
        if "unexpected end of data" in str(exc):
            raise CorruptData(f"{path} is not whole CSV: it ends within a field in quotes") from exc


def _rows(path: Place, options: Options, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line that it begins on."""
    with _opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader(text, delimiter=options.delimiter, strict=strict)
        line = 1
        for row in reader:
            yield line, row
            line = reader.line_num + 1


def _opened(path: Place) -> AbstractContextManager[Any]:
    return gzip.open(path.open("rb")) if path.suffix == ".gz" else path.open("rb")


def _shown(row: list[str]) -> str:
    text = ",".join(row)
    return text if len(text) <= 80 else text[:80] + "…"  # noqa: PLR2004  characters that fit on a line
