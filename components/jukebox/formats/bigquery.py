"""BigQuery: a table or a query read through the Storage Read API as Arrow, and a table written by a load of Parquet.

An address is ``bigquery://project.dataset.table``, or ``bigquery://project?query=SELECT …`` to read what a query gives.
Rows have no order but that of a query's ORDER BY.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pyarrow as pa

from jukebox.errors import InvalidValue, JukeboxError, MissingDependency, StorageError, reason
from jukebox.formats import BIGQUERY, DEFAULTS, Options, parquet
from jukebox.formats.bigquery_types import decoded, schema_of, stored, to_load
from jukebox.formats.columns import chosen, conformed, in_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SUFFIX = ""
# A project may be called example.com:name.
TABLE = re.compile(
    r"(?P<project>(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9])\.(?P<dataset>\w+)\.(?P<table>[\w $*-]+)\Z"
)
PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]\Z")


@dataclass(frozen=True)
class Source:
    """A table, or a query that a project pays for."""

    project: str
    dataset: str = ""
    table: str = ""
    query: str | None = None

    @classmethod
    def parse(cls, address: str) -> Source:
        """Return what an address names; raises InvalidValue."""
        rest = address.removeprefix(BIGQUERY)
        project, mark, query = rest.partition("?query=")
        if mark and PROJECT.match(project) and query.strip():
            return cls(project, query=unquote_plus(query))
        found = TABLE.match(rest)
        if not address.startswith(BIGQUERY) or found is None:
            raise InvalidValue(
                f"'{address}' names no table of BigQuery; one is bigquery://project.dataset.table, "
                "or bigquery://project?query=SELECT …"
            )
        return cls(**found.groupdict())

    @property
    def path(self) -> str:
        """The table's name for the Storage Read API."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"


def schema(path: str | os.PathLike[str], *, options: Options = DEFAULTS) -> pa.Schema:  # noqa: ARG001
    """Return the names and types of the columns."""
    _, session = _session(str(path), None)
    return schema_of(session.arrow_schema.serialized_schema, path)


def read(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,  # noqa: ARG001
    rows: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of a table or query; only the asked columns are sent.

    Raises InvalidValue for an address that is none, MissingColumn, StorageError where BigQuery refuses,
    MissingDependency where its clients are not installed.
    """
    client, session = _session(str(path), columns)
    found = decoded(session.arrow_schema.serialized_schema, _sent(client, session, path), columns, path)
    return in_range(found, rows)


def write(path: str | os.PathLike[str], batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
    """Return the number of rows that the table now holds: all of them in place of what it held, or it is as before.

    Raises InvalidType for a column that BigQuery cannot hold, InvalidValue for a value that it cannot, StorageError.
    """
    source = Source.parse(str(path))
    if source.query is not None:
        raise InvalidValue(f"{path} is a query, which cannot be written; name a table")
    chosen(None, schema.names, "the schema to write")
    loaded = pa.schema([stored(field) for field in schema])
    library = _library()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.parquet"
        rows = parquet.write(file, (to_load(each, loaded) for each in conformed(batches, schema)), schema=loaded)
        _asked(path, lambda: _load(library, source, file))
    return rows


def _load(library: Any, source: Source, file: Path) -> None:
    about = library.format_options.ParquetOptions()
    about.enable_list_inference = True
    config = library.LoadJobConfig(
        source_format=library.SourceFormat.PARQUET,
        write_disposition=library.WriteDisposition.WRITE_TRUNCATE,
        decimal_target_types=["NUMERIC", "BIGNUMERIC"],
        parquet_options=about,
    )
    place = f"{source.project}.{source.dataset}.{source.table}"
    with file.open("rb") as stream:
        library.Client(project=source.project).load_table_from_file(stream, place, job_config=config).result()


def _session(address: str, columns: Sequence[str] | None) -> tuple[Any, Any]:
    source = Source.parse(address)
    library = _library()
    try:
        from google.cloud import bigquery_storage
    except ImportError as exc:
        raise MissingDependency.of("google-cloud-bigquery-storage", "bigquery") from exc

    def opened() -> tuple[Any, Any]:
        table = source.path if source.query is None else _answered(library, source)
        # One stream, for the rows of several would come in any order.
        client = bigquery_storage.BigQueryReadClient()
        wanted = bigquery_storage.ReadSession(table=table, data_format=bigquery_storage.DataFormat.ARROW)
        if columns is not None:
            wanted.read_options.selected_fields = list(columns)
        parent = f"projects/{os.environ.get('GOOGLE_CLOUD_PROJECT') or source.project}"
        return client, client.create_read_session(parent=parent, read_session=wanted, max_stream_count=1)

    client, session = _asked(address, opened)
    return client, session


def _answered(library: Any, source: Source) -> str:
    """Return the name of the table that holds a query's answer."""
    job = library.Client(project=source.project).query(source.query)
    job.result()
    place = job.destination
    return Source(place.project, place.dataset_id, place.table_id).path


def _sent(client: Any, session: Any, where: object) -> Iterator[bytes]:
    for stream in session.streams:
        answers = iter(_asked(where, lambda: client.read_rows(stream.name)))  # noqa: B023  called at once
        while True:
            answer = _asked(where, lambda: next(answers, None))  # noqa: B023  called at once
            if answer is None:
                break
            yield answer.arrow_record_batch.serialized_record_batch


def _asked(where: object, question: Callable[[], Any]) -> Any:
    """Return the answer, or StorageError with what BigQuery, or finding an account for it, says."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        return question()
    except JukeboxError:
        raise
    except (GoogleAPIError, GoogleAuthError, OSError) as exc:
        raise StorageError(f"{where} was refused: {reason(exc)}") from exc


def _library() -> Any:
    try:
        from google.cloud import bigquery
    except ImportError as exc:
        raise MissingDependency.of("google-cloud-bigquery", "bigquery") from exc
    return bigquery
