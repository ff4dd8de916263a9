"""``jukebox convert``, and the arguments of ``jukebox load-offline`` that the slides show."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.cli import drawing, options
from jukebox.errors import InvalidValue
from jukebox.formats import parquet, tfrecord
from tests.components.place import DAYS, write

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

IDS = {
    "5sWHDYs0csV6RS48xBl0tH": "b39fe8081e1f4c54be38e8d6f9f12bb9",
    "4GNcXTGWmnZ3ySrqvol3o4": "9a1b1cfbc6f244569ae0356c77bbe9d8",
}
FEATURES = """\
endpoints:
  - {name: apm.artists, uri: "apm/{date}", format: parquet, delivery_time: 6h, time_zone: UTC,
     keys: [{column: artist, primitive_entity: artist, identifier: gid_hex}]}
features:
  - {name: /artist/apm/plays, endpoint: apm.artists, column: about.plays, data_type: int64}
"""


def test_a_conversion_says_what_it_made_and_how_fast(jukebox: Terminal) -> None:
    """Rows, files, size, seconds and rows a second; and another one of it says the same of its rows."""
    told = r"24 rows of {} in {}: {}, \d+\.\d MB, \d+\.\d s, [\d,]+ rows a second\n"
    assert re.fullmatch(told.format("csv", "out.csv", "1 file"), jukebox.done("convert", "source/weather", "out.csv"))
    back = ("convert", "out.csv", "back", "--to", "STORAGE_FORMAT_PARQUET", "--rows-per-file", "10")
    assert re.fullmatch(told.format("parquet", "back", "3 files"), jukebox.done(*back))
    assert jukebox.done("show", "back", "--rows", "1", "--columns", "origin,temp").endswith("JFK        0\n")


def test_columns_and_types_are_chosen(jukebox: Terminal) -> None:
    """What looks like a number stays text where it is declared."""
    (jukebox.root / "in.txt").write_text("zip,name,more\n01234,a,1\n1,b,2\n")
    types = ("--types", '{"zip": "string"}', "--columns", "name,zip", "--from", "csv")
    jukebox.done("convert", "in.txt", "out.parquet", *types)
    rows = pa.Table.from_batches(parquet.read(jukebox.root / "out.parquet"))
    assert rows.to_pydict() == {"name": ["a", "b"], "zip": ["01234", "1"]}


def test_what_cannot_be_converted_is_one_line(jukebox: Terminal) -> None:
    """No place, no format, no whole file."""
    assert "nowhere does not exist" in jukebox.refused("convert", "nowhere", "out.csv")
    assert "out does not tell a format; name one, or end it" in jukebox.refused("convert", "source/planes.csv", "out")
    (jukebox.root / "bad.parquet").write_bytes(b"PAR1 and no more")
    assert "bad.parquet is not whole Parquet" in jukebox.refused("convert", "bad.parquet", "out.csv")
    assert not (jukebox.root / "out.csv").exists()
    assert "--types is no JSON" in jukebox.refused("convert", "source/planes.csv", "out.avro", "--types", "zip")


def test_progress_tells_rows_and_speed_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all rows, where a format counts them; what ends soon says nothing."""
    with drawing.rows("converting a") as tell:
        tell(1_000, 2_000)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(drawing, "EVERY", 0.0)
    with drawing.rows("converting a") as tell:
        tell(1_000, 2_000)
        tell(2_000, None)
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"converting a: 1,000 of 2,000 rows, [\d,]+ a second", first)
    assert re.fullmatch(r"converting a: 2,000 rows, [\d,]+ a second", second)


def test_a_load_takes_what_the_slides_show(jukebox: Terminal) -> None:
    """Source map, keys, storage format; without a folder named, the table is named after the endpoint."""
    (jukebox.root / "apm.yaml").write_text(FEATURES.replace("about.plays", "plays"))
    jukebox.done("register", "apm.yaml")
    rows = pa.table({"artist_gid": list(IDS), "plays": [7, 9]})
    tfrecord.write(jukebox.root / "source" / "apm" / DAYS[0] / "part.gz", rows.to_batches(), schema=rows.schema)
    keys = {
        "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
        "identifier": "IDENTIFIER_BASE62",
        "column_name": "artist_gid",
    }
    load = (
        *("load-offline", "--features", '{"entity/artist/component/apm/name/plays":"plays"}'),
        *("--data-endpoint", "apm.artists", "--uri-prefix", "source", "--date", DAYS[0]),
    )
    slides = ("--keys", json.dumps(keys), "--storage-format", "STORAGE_FORMAT_TF_EXAMPLE", "--project", "p")
    assert jukebox.done(*load, *slides) == "feature table: 2 rows, date 2024-01-01, in tables/apm.artists\n"
    shown = jukebox.done("show", "tables/apm.artists", "--columns", "artist,plays")
    assert shown.splitlines()[-2:] == [f"{each}      {plays}" for each, plays in zip(IDS.values(), (7, 9), strict=True)]
    assert "no key of the primitive entity 'track'" in jukebox.refused(
        *load, "--keys", json.dumps([{**keys, "primitive_entity": "track"}])
    )


def test_a_nested_path_is_a_source_column(jukebox: Terminal) -> None:
    """In the map as in features.yaml."""
    (jukebox.root / "apm.yaml").write_text(FEATURES)
    jukebox.done("register", "apm.yaml")
    rows = pa.table({"artist": list(IDS.values()), "about": [{"plays": 7}, None]})
    write(jukebox.root / "source" / "apm" / DAYS[0] / "part.parquet", rows)
    load = ("load-offline", "--data-endpoint", "apm.artists", "--uri-prefix", "source", "--date", DAYS[0])
    jukebox.done(*load, "--features", '{"artist/apm/plays": "about.plays"}', "--out", "table")
    assert jukebox.done("show", "table", "--columns", "plays").splitlines()[-2:] == ["    7", "    -"]


def test_json_of_one_object_or_several_is_read() -> None:
    """Anything else is refused by the option's name."""
    assert options.json_objects("--keys", None) is None
    assert options.json_objects("--keys", '{"a": "b"}') == {"a": "b"}
    assert options.json_objects("--keys", '[{"a": "b"}]') == [{"a": "b"}]
    for text in ('"a"', "[1]", "7"):
        with pytest.raises(InvalidValue, match=r"--keys is .*; it must be a JSON object, or a list of objects"):
            options.json_objects("--keys", text)
    with pytest.raises(InvalidValue, match="--keys is the JSON null; leave it out"):
        options.json_objects("--keys", "null")
