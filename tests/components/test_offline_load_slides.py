"""A load with the arguments of the slides: source map, keys in another identifier, storage format, nested paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import convert
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NoPartition
from jukebox.formats import parquet, tfrecord
from jukebox.tables import Manifest, partitions
from tests.components.place import DAYS, Place, at, write

if TYPE_CHECKING:
    from pathlib import Path

IDS = {
    "5sWHDYs0csV6RS48xBl0tH": "b39fe8081e1f4c54be38e8d6f9f12bb9",
    "4GNcXTGWmnZ3ySrqvol3o4": "9a1b1cfbc6f244569ae0356c77bbe9d8",
}
ENDPOINT = "jukebox.examples.apm.artist_entities"
DECLARED = f"""\
endpoints:
  - {{name: {ENDPOINT}, uri: "apm/{{date}}", format: parquet, delivery_time: 6h, time_zone: UTC,
     keys: [{{column: artist, primitive_entity: artist, identifier: gid_hex}}]}}
features:
  - {{name: entity/artist/component/jukebox-apm-sample/name/genres, endpoint: {ENDPOINT}, column: genres,
     data_type: list<string>}}
  - {{name: entity/artist/component/jukebox-apm-sample/name/popularity_normalized, endpoint: {ENDPOINT},
     column: popularity_normalized, data_type: float32}}
"""
NESTED = DECLARED.replace("column: genres", "column: about.tags.name").replace(
    "column: popularity_normalized", "column: about.popularity.normalized"
)
GENRES, POPULARITY = (
    f"entity/artist/component/jukebox-apm-sample/name/{n}" for n in ("genres", "popularity_normalized")
)
KEYS = {
    "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
    "identifier": "IDENTIFIER_BASE62",
    "column_name": "artist_gid",
}
EXPECTED = [["rock", "pop"], None], [0.5, 0.25]


@pytest.fixture
def apm(tmp_path: Path) -> Place:
    """Return a place whose records of artists have base62 ids."""
    place = Place(tmp_path)
    rows = pa.table(
        {
            "artist_gid": list(IDS),
            "genres": pa.array(EXPECTED[0], pa.list_(pa.string())),
            "popularity_normalized": pa.array(EXPECTED[1], pa.float32()),
        }
    )
    path = place.source / "apm" / DAYS[0] / "part-0.tfrecord.gz"
    tfrecord.write(path, rows.to_batches(), schema=rows.schema)
    return place


def load(place: Place, **about: Any) -> Manifest:
    """Load the first day as the slides do."""
    fixed = {"date": DAYS[0], "keys": KEYS, "storage_format": "STORAGE_FORMAT_TF_EXAMPLE"}
    return place.load(ENDPOINT, **{**fixed, **about})


def loaded(place: Place) -> dict[str, list[Any]]:
    """Return the columns of the first day's partition."""
    [part] = partitions(place.table).values()
    return pa.Table.from_batches(parquet.read(f"{part.uri}/{part.details['data']}")).to_pydict()


def test_records_with_base62_ids_are_loaded_under_the_ids_that_the_endpoint_declares(apm: Place) -> None:
    """The column has the key's own name, and the manifest says what was converted."""
    apm.register(DECLARED)
    table = load(apm, features={GENRES: "genres", POPULARITY: "popularity_normalized"})
    rows = loaded(apm)
    assert rows["artist"] == list(IDS.values())
    assert (rows["genres"], rows["popularity_normalized"]) == EXPECTED
    assert table.keys == ("artist",)
    assert table.details["converted"] == {"artist": ["artist_gid", "base62", "gid_hex"]}


def nested(place: Place) -> None:
    """Write the same as Parquet of records."""
    about = [
        {"tags": [{"name": "rock"}, {"name": "pop"}], "popularity": {"normalized": 0.5}},
        {"tags": None, "popularity": {"normalized": 0.25}},
    ]
    (place.source / "apm" / DAYS[0] / "part-0.tfrecord.gz").unlink()
    ids = pa.array([{"gid": each} for each in IDS])
    write(place.source / "apm" / DAYS[0] / "part-0.parquet", pa.table({"id": ids, "about": about}))


def test_a_nested_path_reaches_into_records_and_lists_of_them(apm: Place) -> None:
    """For features and keys alike; the map says the path that is registered."""
    apm.register(NESTED)
    nested(apm)
    source_map = {GENRES: "about.tags.name", POPULARITY: "about.popularity.normalized"}
    load(apm, features=source_map, keys=[{**KEYS, "column_name": "id.gid"}], storage_format=None)
    rows = loaded(apm)
    assert rows["artist"] == list(IDS.values())
    assert (rows["genres"], rows["popularity_normalized"]) == EXPECTED


@pytest.mark.parametrize("name", ["parquet", "avro", "jsonl"])
def test_records_of_every_format_that_has_them_are_reached_into(apm: Place, name: str) -> None:
    """The same feature table of the same records, whatever they are stored in."""
    apm.register(NESTED.replace("format: parquet", f"format: STORAGE_FORMAT_{name.upper()}"))
    nested(apm)
    source = apm.source / "apm" / DAYS[0]
    if name != "parquet":
        convert.run(source=f"{source}/part-0.parquet", out=str(apm.root / "other" / "apm" / DAYS[0]), to_format=name)
    root = apm.source if name == "parquet" else apm.root / "other"
    load(apm, source=str(root), keys={**KEYS, "column_name": "id.gid"}, storage_format=None)
    rows = loaded(apm)
    assert rows["artist"] == list(IDS.values())
    assert (rows["genres"], rows["popularity_normalized"]) == EXPECTED


def test_json_lines_without_the_key_are_refused_and_not_taken_for_nulls(apm: Place) -> None:
    """A feature may be missing in all lines of a day; what the rows are about may not."""
    apm.register(DECLARED.replace("format: parquet", "format: jsonl"))
    path = apm.source / "apm" / DAYS[0] / "part.jsonl"
    path.with_name("part-0.tfrecord.gz").unlink()
    path.write_text('{"artist": "x", "genres": ["a"]}\n')
    load(apm, keys=None, storage_format=None)
    assert loaded(apm)["popularity_normalized"] == [None]
    path.write_text('{"artists": "x", "genres": ["a"]}\n')
    with pytest.raises(MissingColumn, match=f"column 'artist' of endpoint '{ENDPOINT}' is not in .*; it has "):
        load(apm, keys=None, storage_format=None)


@pytest.mark.parametrize("name", ["parquet", "avro", "jsonl", "csv", "tfrecord"])
def test_an_endpoint_may_be_stored_in_any_format(apm: Place, name: str) -> None:
    """As features.yaml says, or as the load says that it is stored now."""
    one = DECLARED.replace("list<string>", "string")
    apm.register(one)
    rows = pa.table({"artist": list(IDS.values()), "genres": ["rock", None], "popularity_normalized": EXPECTED[1]})
    write(apm.root / "rows.parquet", rows)
    out = apm.root / "stored" / "apm" / DAYS[0]
    convert.run(source=str(apm.root / "rows.parquet"), out=str(out), to_format=name)
    for number, text in enumerate((one, one.replace("format: parquet", f"format: {name}"))):
        apm.register(text)
        told = f"STORAGE_FORMAT_{name.upper()}" if number == 0 else None
        load(apm, source=str(apm.root / "stored"), keys=None, storage_format=told)
        assert loaded(apm)["genres"] == ["rock", None]
        assert loaded(apm)["popularity_normalized"] == EXPECTED[1]


def test_the_hours_of_a_date_are_one_partition_of_all_their_files(apm: Place) -> None:
    """Known so long after each hour as the endpoint says; an hour that is not there leaves no partition."""
    apm.register(DECLARED.replace("apm/{date}", "hourly/{date}/{hour}"))
    rows = pa.table({"artist": list(IDS.values()), "genres": EXPECTED[0], "popularity_normalized": EXPECTED[1]})
    for hour in range(23):
        write(apm.source / "hourly" / DAYS[0] / f"{hour:02}" / "part.parquet", rows)
    with pytest.raises(NoPartition, match=r"no partition for 2024-01-01T23 under"):
        load(apm, keys=None, storage_format=None)
    assert not partitions(apm.table)
    write(apm.source / "hourly" / DAYS[0] / "23" / "part.parquet", rows)
    assert load(apm, keys=None, storage_format=None).rows == 48
    [part] = partitions(apm.table).values()
    assert [source.uri[-2:] for source in part.inputs] == [f"{hour:02}" for hour in range(24)]
    assert loaded(apm)["event_time"][-1] == at("02 00:00")
    assert loaded(apm)["created_time"][0] == at("01 07:00")


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("about.popularity.norm", MissingColumn, "'about.popularity.norm' is not there; record 'about.popularity' has"),
        ("about.popularity.normalized.x", InvalidType, "'about.popularity.normalized' is double, no record"),
        (
            "abut.popularity",
            MissingColumn,
            f"column 'abut.popularity' of endpoint '{ENDPOINT}' is not in .*; it has id, ab",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_and_leaves_no_table(
    apm: Place, path: str, error: type[Exception], said: str
) -> None:
    """The error says how far it led."""
    apm.register(NESTED.replace("about.popularity.normalized", path))
    nested(apm)
    with pytest.raises(error, match=said):
        load(apm, keys={**KEYS, "column_name": "id.gid"}, storage_format=None)
    assert not partitions(apm.table)


def test_ids_that_are_none_are_refused_with_file_and_row(apm: Place) -> None:
    """Nothing is loaded of a source that holds one."""
    apm.register(DECLARED)
    rows = pa.table({"artist_gid": [*IDS, "AC/DC"], "genres": [["x"]] * 3, "popularity_normalized": [1.0] * 3})
    path = apm.source / "apm" / DAYS[0] / "part-0.tfrecord.gz"
    tfrecord.write(path, rows.to_batches(), schema=rows.schema)
    with pytest.raises(InvalidValue, match=r"apm/2024-01-01 of endpoint .*'artist_gid': 1 of 3 .*: row 2 'AC/DC'"):
        load(apm)
    assert not partitions(apm.table)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"storage_format": "STORAGE_FORMAT_ORC"}, "format 'orc' is not known; there are parquet, "),
        ({"keys": {**KEYS, "primitive_entity": "PRIMITIVE_ENTITY_TRACK"}}, "no key of the primitive entity 'track'"),
        ({"keys": {**KEYS, "identifier": "IDENTIFIER_ISRC"}}, "is written as isrc and wanted as gid_hex; known are"),
        ({"features": {GENRES: "tags"}}, "is registered from column 'genres', the source map says 'tags'"),
    ],
)
def test_what_does_not_fit_the_registry_is_refused(apm: Place, about: dict[str, Any], said: str) -> None:
    """Before anything is written."""
    apm.register(DECLARED)
    with pytest.raises(InvalidValue, match=said):
        load(apm, **about)
    assert not partitions(apm.table)
