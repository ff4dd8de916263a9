"""Conversions from and to object stores, on servers that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jukebox.errors import CorruptData, StorageError
from jukebox.storage import place_of
from jukebox.tables import Manifest
from tests.components.test_convert import ROWS, TYPES, read, run, write
from tests.storage.conftest import bucket, gs, s3

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bucket", "gs", "s3"]


def names(folder: str) -> list[str]:
    """Return the names of all that lies below a folder."""
    place = place_of(folder)
    return [str(path.relative_to(place)) for path in place.files_below()]


def test_files_go_to_a_store_and_come_back(tmp_path: Path, bucket: str) -> None:
    """As one file and as a folder with its manifest; what was converted before is replaced whole."""
    source = write(tmp_path / "in.parquet", "parquet")
    run(source, f"{bucket}/one/rows.csv")
    assert names(f"{bucket}/one") == ["rows.csv"]
    run(source, f"{bucket}/many", to_format="avro", rows_per_file=1)
    made = run(f"{bucket}/one/rows.csv", f"{bucket}/many", to_format="tfrecord", rows_per_file=3, types=TYPES)
    assert sorted(names(f"{bucket}/many")) == ["manifest.json", "part-00000.tfrecord.gz", "part-00001.tfrecord.gz"]
    assert Manifest.read(f"{bucket}/many") == made
    run(f"{bucket}/many", tmp_path / "back", to_format="parquet", types=TYPES)
    assert (
        read(tmp_path / "back", "parquet")
        .select(sorted(ROWS.column_names))
        .equals(ROWS.select(sorted(ROWS.column_names)))
    )


def test_what_breaks_off_leaves_nothing_in_the_store(tmp_path: Path, bucket: str) -> None:
    """The files that were sent by then are taken away; a folder of something else is not touched."""
    for name in ("0", "1"):
        write(tmp_path / "in" / f"{name}.tfrecord.gz", "tfrecord")
    second = tmp_path / "in" / "1.tfrecord.gz"
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(CorruptData, match=r"1\.tfrecord\.gz"):
        run(tmp_path / "in", f"{bucket}/out", to_format="csv", rows_per_file=1, columns=list(TYPES), types=TYPES)
    assert names(f"{bucket}/out") == []
    run(tmp_path / "in" / "0.tfrecord.gz", f"{bucket}/out/other.csv", types=TYPES)
    with pytest.raises(StorageError, match="out holds other files already"):
        run(tmp_path / "in" / "0.tfrecord.gz", f"{bucket}/out", to_format="csv")
    assert names(f"{bucket}/out") == ["other.csv"]
