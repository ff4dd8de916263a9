"""The engines of the join, each as a function from tables to a table and its proofs, and requests for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jukebox.core.asof import Features, join_proven
from jukebox.engine import beam_files, beam_join, joining
from jukebox.formats.parquet import ParquetPieces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jukebox.core.asof import Proof
    from jukebox.core.asof_proof import ColumnProof

DAY = 86_400_000_000
START = 1_704_067_200_000_000  # 2024-01-01


class Engine(Protocol):
    """A join that may use a folder; it is given the labels' rows in shards of half of them, if it cuts them at all."""

    def __call__(
        self, labels: pa.Table, features: Sequence[Features], folder: Path, **rules: Any
    ) -> tuple[pa.Table, list[Proof]]:
        """Return the joined table and the proofs."""


def embedded(
    labels: pa.Table,
    features: Sequence[Features],
    folder: Path,  # noqa: ARG001
    **rules: Any,
) -> tuple[pa.Table, list[Proof]]:
    """Join tables in memory, in one."""
    return join_proven(labels, features, **rules)


def files(labels: pa.Table, features: Sequence[Features], folder: Path, **rules: Any) -> tuple[pa.Table, list[Proof]]:
    """Join files in this process, shard by shard."""
    spine, out = written(labels, folder / "labels.parquet"), folder / "out.parquet"
    proofs = joining.join_files(spine, in_files(features, folder), str(out), label_rows=half(labels), **rules)
    return pq.read_table(out), proofs


def beam(labels: pa.Table, features: Sequence[Features], folder: Path, **rules: Any) -> tuple[pa.Table, list[Proof]]:
    """Join files on Beam, shard by shard."""
    spine, out = written(labels, folder / "labels.parquet"), folder / "out.parquet"
    rules = {"label_rows": half(labels), **rules}
    proofs = beam_join.join_files(spine, in_files(features, folder), str(out), **rules)
    return pq.read_table(out), proofs


ENGINES: dict[str, Engine] = {"embedded": embedded, "files": files, "beam": beam}


def half(labels: pa.Table) -> int:
    """Return half of the number of rows, and at least one."""
    return max(1, -(-labels.num_rows // 2))


def in_files(features: Sequence[Features], folder: Path) -> list[Features]:
    """Return the request with each table that is one in a Parquet file; what is to be refused stays as it is."""
    return [
        replace(asked, table=ParquetPieces([_path(asked.table, folder / f"table-{number}.parquet")]))
        if isinstance(asked.table, pa.Table) and len({*asked.table.column_names}) == asked.table.num_columns
        else asked
        for number, asked in enumerate(features)
    ]


def _path(table: pa.Table, path: Path) -> Path:
    written(table, path)
    return path


def written(table: pa.Table, path: Path, rows: int | None = None) -> str:
    """Write a table as Parquet in row groups of ``rows``, by default of half of them; return where it is."""
    pq.write_table(table, path, row_group_size=half(table) if rows is None else rows, version="2.6")
    return str(path)


def as_parquet_tells(schema: pa.Schema) -> pa.Schema:
    """Return a schema as it comes back from Parquet, which has no seconds."""
    kinds = [
        pa.timestamp("ms", field.type.tz) if str(field.type).startswith("timestamp[s") else field.type
        for field in schema
    ]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


def drawn(seed: int, labels: int = 200, rows: int = 600) -> tuple[pa.Table, list[Features]]:
    """Return labels in no order and two tables: one with late rows, ties, nulls and many types, one by two keys."""
    rng = np.random.default_rng(seed)
    users, items = pa.array(["é", "", "a|b", "b", None]), pa.array([-1, 2**62, 7])
    spine = pa.table(
        {
            "user": users.take(pa.array(rng.integers(0, 5, labels))),
            "item": items.take(pa.array(rng.integers(0, 3, labels))),
            "at": pa.array(START + rng.integers(0, 9, labels) * DAY, pa.timestamp("us", "UTC")),
            "n": pa.array(range(labels)),
        }
    )
    event = START + rng.integers(0, 9 * 24, rows) * (DAY // 24)
    late = rng.integers(0, 3, rows) * DAY // 2
    numbers, missing = rng.integers(0, 1000, rows), rng.random(rows) < 0.2
    table = pa.table(
        {
            "user": users.take(pa.array(rng.integers(0, 5, rows))),
            "item": items.take(pa.array(rng.integers(0, 3, rows))),
            "event": pa.array(event, pa.timestamp("us", "UTC")),
            "known": pa.array(event + late, pa.timestamp("us", "UTC")),
            "plays": pa.array(numbers, pa.int64(), mask=missing),
            "share": pa.array(rng.standard_normal(rows).astype("float32")),
            "mood": pa.array([f"mood {number % 7}" for number in numbers], mask=missing),
            "vector": pa.array([[float(number), 0.5] for number in numbers], pa.list_(pa.float32())),
        }
    )
    by_user = Features(
        table,
        keys={"user": "user"},
        event_time="event",
        created_time="known",
        values={name: name for name in ("plays", "share", "mood", "vector")} | {"kept": "plays"},
        last_non_null=("kept",),
    )
    by_both = Features(
        table.select(["user", "item", "event", "plays"]),
        keys={"user": "user", "item": "item"},
        event_time="event",
        values={"recent plays": "plays"},
        max_age=timedelta(1),
    )
    return spine, [by_user, by_both]


def on(path: str, asked: Features) -> Features:
    """Return the request with its table at ``path``, on whatever file system that is."""
    kinds = {field.name: field.type for field in asked.table.schema}
    return replace(asked, table=beam_files.pieces_at([path], kinds))


def without_medians(proofs: Sequence[Proof]) -> list[tuple[ColumnProof, ...]]:
    """Return what proofs count; shards know a median to within a sixty-fourth."""
    return [tuple(replace(column, median_age_us=None) for column in proof.columns) for proof in proofs]


def medians(proofs: Sequence[Proof]) -> list[Any]:
    """Return the median ages, each to be met to within a sixty-fourth."""
    return [pytest.approx(column.median_age_us, rel=1 / 64) for proof in proofs for column in proof.columns]
