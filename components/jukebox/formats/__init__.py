"""One file a format, the same three functions in each: ``schema``, ``read`` and ``write``.

A path names one file, or a folder whose files are read in the order of their names.
What is read or written is a stream of Arrow record batches, so memory does not grow with the rows.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from jukebox.storage import Where

FORMATS = {
    "parquet": "jukebox.formats.parquet",
    "tfrecord": "jukebox.formats.tfrecord",
    "avro": "jukebox.formats.avro",
    "csv": "jukebox.formats.csv",
    "jsonl": "jukebox.formats.jsonl",
    "bigquery": "jukebox.formats.bigquery",
}
# TFX names its files data_tfrecord-00000-of-00002.gz.
ENDINGS = {
    ".parquet": "parquet",
    ".tfrecord": "tfrecord",
    ".gz": "tfrecord",
    ".avro": "avro",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
BIGQUERY = "bigquery://"


@dataclass(frozen=True)
class Options:
    """How files that do not describe themselves are read; Parquet, Avro and BigQuery do, and take no notice.

    ``types``: column to type; the types of the others are found by reading all of the values once before.
    ``null_values``, ``quoted_nulls``, ``header``, ``names`` (in place of a header), ``delimiter``: CSV.
    ``scalars``: TFRecord; an undeclared column in which no row has two values is a scalar and not a list.
    """

    types: Mapping[str, pa.DataType] | None = None
    null_values: tuple[str, ...] = ("",)
    quoted_nulls: bool = False
    header: bool = True
    names: tuple[str, ...] | None = None
    delimiter: str = ","
    scalars: bool = True

    def __post_init__(self) -> None:
        """Hold names only where there is no header to hold them."""
        if self.header and self.names is not None:
            raise InvalidValue("names are given for a CSV file with a header; pass header=False as well")


DEFAULTS = Options()


class Format(Protocol):
    """What every module of this package offers."""

    SUFFIX: str

    def schema(self, path: Where, *, options: Options = DEFAULTS) -> pa.Schema:
        """Return the names and types that ``read`` gives for all columns."""

    def read(
        self,
        path: Where,
        *,
        columns: Sequence[str] | None = None,
        options: Options = DEFAULTS,
        rows: tuple[int, int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield every row once, in order, with the asked columns in the asked order.

        ``rows`` are the first row and the one after the last, counted from 0 over all files; None is all of them.
        """

    def write(self, path: Where, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
        """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before."""


def format_named(name: str) -> Format:
    """Return the module of the format ``name``; it is imported at the first call."""
    if name not in FORMATS:
        raise InvalidValue(f"format '{name}' is not known; there are {', '.join(FORMATS)}")
    return cast("Format", importlib.import_module(FORMATS[name]))


def format_of(path: Where) -> Format:
    """Return the format that the ending of a file, or of a folder's first data file, tells.

    Raises InvalidValue for another ending, NoPartition where there is no file.
    """
    from jukebox.formats.hive import found_files

    if str(path).startswith(BIGQUERY):
        return format_named("bigquery")
    file = found_files(path)[0].path
    ending = ending_of(file.name)
    if ending is None:
        raise InvalidValue(f"{file} does not tell its format; the endings known are {', '.join(ENDINGS)}")
    return format_named(ENDINGS[ending])


def ending_of(name: str) -> str | None:
    """Return which of ENDINGS a file's name has; None where there is none, or where gzip holds another format.

    >>> ending_of("data_tfrecord-00000-of-00001.gz"), ending_of("plays.csv.gz")
    ('.gz', None)
    """
    found = next((ending for ending in ENDINGS if name.endswith(ending)), None)
    inner = ending_of(name.removesuffix(".gz")) if found == ".gz" else None
    return found if inner in (None, ".tfrecord") else None
