"""Convert files of one storage format into files of another, lossless or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.engine.converting import ROWS_PER_FILE, Task, converted
from jukebox.features.spellings import canonical
from jukebox.stores import place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jukebox.tables import Manifest


def run(
    *,
    source: str,
    out: str,
    from_format: str | None = None,
    to_format: str | None = None,
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    rows_per_file: int = ROWS_PER_FILE,
    progress: Callable[[int, int | None], None] | None = None,
) -> Manifest:
    """Leave at ``out`` the rows of ``source``, in their order, in another storage format.

    ``source`` is a file, or a folder: its files are read by name, and each folder in it with data files becomes one of
    ``out``. ``out`` is one file where it ends as files of a format do (``plays.parquet``), else a folder of files with
    ``rows_per_file`` rows, by default 1,000,000, and a manifest. The formats are told by endings, or by name, also as
    ``STORAGE_FORMAT_TF_EXAMPLE``. ``columns`` are those to keep, by default all; ``types`` declares what a format does
    not tell, column to data type as in a features.yaml: text in records, for one, which is bytes else. ``progress`` is
    told the rows that are done, and how many there are where that is known.
    Returns the manifest. After any error ``out`` is as it was before.

    Raises InvalidValue, NoPartition, MissingColumn, NameClash, InvalidType, CorruptData and StorageError.
    """
    task = Task(
        source=place(source),
        out=place(out),
        from_format=canonical(from_format, "format"),
        to_format=canonical(to_format, "format"),
        columns=columns,
        types={} if types is None else types,
        rows_per_file=rows_per_file,
        progress=progress,
    )
    return converted(task)
