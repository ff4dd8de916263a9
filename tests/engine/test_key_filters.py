"""A data set of the only keys to load: its ids are those of the table, whichever way they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine.key_filters import KeyFilter
from jukebox.errors import InvalidValue
from jukebox.features import Endpoint, Key
from jukebox.formats import csv, parquet, tfrecord

ARTISTS = Endpoint("artists", "artists", "parquet", (Key("artist", "artist", "gid_hex"),), "at", time_zone="UTC")
TOLD = [{"primitive_entity": "PRIMITIVE_ENTITY_ARTIST", "identifier": "IDENTIFIER_BASE62", "column_name": "gid"}]
BASE62, HEX = "5sWHDYs0csV6RS48xBl0tH", "b39fe8081e1f4c54be38e8d6f9f12bb9"
KINDS = pa.schema({"artist": pa.string()})


@pytest.mark.parametrize("form", [parquet, csv, tfrecord])
def test_ids_are_converted_to_the_tables(tmp_path: Path, form: Any) -> None:
    """In every format; a null stays one, and matches nothing."""
    path = tmp_path / f"keys{form.SUFFIX}"
    rows = pa.table({"gid": [BASE62, None], "user": [1, 2]})
    form.write(path, rows.to_batches(), schema=rows.schema)
    assert KeyFilter(str(path), columns=TOLD).read(ARTISTS, KINDS)["artist"].to_pylist() == [HEX, None]


def test_what_is_no_id_is_told_with_its_row(tmp_path: Path) -> None:
    """Rows are counted over all of the data set's pieces."""
    rows = pa.table({"gid": [BASE62] * 70_000 + ["no id"]})
    parquet.write(tmp_path / "keys.parquet", rows.to_batches(), schema=rows.schema)
    with pytest.raises(InvalidValue, match=r"'gid'.*70,?000.*no id"):
        KeyFilter(str(tmp_path / "keys.parquet"), columns=TOLD).read(ARTISTS, KINDS)
