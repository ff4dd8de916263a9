"""Reading by ids that a table has written in another way: as the labels of a model had them, and as the join does."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox import consistency_check, log_training_set, online_load, record_model
from jukebox.core.identifiers import convert_values
from jukebox.errors import InvalidType, InvalidValue, JukeboxError, SkewFound
from jukebox.formats import parquet
from jukebox.serving import FeatureReader
from jukebox.serving.feature_log import FeatureLog
from tests.components.place import DAYS, UTC, Place, at, copied, write

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ["5sWHDYs0csV6RS48xBl0tH", "4GNcXTGWmnZ3ySrqvol3o4"]
LONG = ["b39fe8081e1f4c54be38e8d6f9f12bb9", "9a1b1cfbc6f244569ae0356c77bbe9d8"]
ENDPOINT = "  - {{name: {0}, uri: {0}.parquet, format: parquet, event_time: at, keys: [{1}]}}"
KEY = "{{column: {}, primitive_entity: artist, identifier: {}}}"
DECLARED = f"""\
endpoints:
{ENDPOINT.format("names", KEY.format("artist", "gid_hex"))}
{ENDPOINT.format("plays", KEY.format("artist", "base62"))}
{ENDPOINT.format("pairs", KEY.format("artist", "base62") + ", " + KEY.format("other", "gid_hex"))}
features:
  - {{name: /artist/catalog/name, endpoint: names, column: name, data_type: string}}
  - {{name: /artist/logs/plays, endpoint: plays, column: plays, data_type: int64}}
  - {{name: /pair/logs/likeness, endpoint: pairs, column: likeness, data_type: float64}}
"""
PREFIX = "/entity/artist/component"
NAME, PLAYS = f"{PREFIX}/catalog/name/name", f"{PREFIX}/logs/name/plays"
LIKENESS = "/entity/pair/component/logs/name/likeness"
LATER = at("03 00:00")


@dataclass(frozen=True)
class Music:
    """A place where the names of artists go by one identifier and their plays by the other, and an online store."""

    place: Place
    store: str

    def model(self, ids: list[str | None], keys: Any, features: Any = (NAME, PLAYS), **columns: Any) -> list[Any]:
        """Join features to labels of ids, record a model trained on them, and return the training set's rows."""
        rows = pa.table({"artist": pa.array(ids, pa.string()), **columns, "at": pa.array([LATER] * len(ids), UTC)})
        self.place.join(rows, features, keys=keys)
        record_model.run(model="model://m", training_set=str(self.place.out), registry=self.place.registry)
        found: list[Any] = self.place.joined().to_pylist()
        return found

    def reader(self, **about: Any) -> FeatureReader:
        """Return a reader for the model."""
        return FeatureReader.for_model("model://m", self.place.registry, **about)

    def plain(self) -> FeatureReader:
        """Return a reader for no model."""
        return FeatureReader(self.place.registry)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where everything is loaded offline, and nothing online."""
    place = Place(tmp_path_factory.mktemp("music"))
    times = pa.array([at("01 00:00")] * 2, UTC)
    write(place.source / "names.parquet", pa.table({"artist": LONG, "at": times, "name": ["Abba", "Bowie"]}))
    write(place.source / "plays.parquet", pa.table({"artist": SHORT, "at": times, "plays": [7, 9]}))
    pairs = {"artist": SHORT, "other": LONG[::-1], "at": times, "likeness": [0.25, 0.75]}
    write(place.source / "pairs.parquet", pa.table(pairs))
    place.register(DECLARED)
    for name in ("names", "plays", "pairs"):
        place.load(name, date=DAYS[0], out=str(place.root / name))
    return place


@pytest.fixture(params=["sqlite", "bigtable"])
def music(loaded: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Music:
    """All of it, online too."""
    store = f"sqlite://{tmp_path}/online.db"
    store = request.getfixturevalue("bigtable") if request.param == "bigtable" else store
    place = copied(loaded, tmp_path)
    online_load.run(store=store, registry=place.registry, features=[NAME, PLAYS, LIKENESS])
    return Music(place, store)


def told(identifier: str, column: str = "artist") -> dict[str, Any]:
    """Return a key that says how its ids are written."""
    return {"column": column, "identifier": identifier}


@pytest.mark.parametrize(("ids", "identifier"), [([*SHORT, None], "base62"), ([*LONG, None], "gid_hex")])
def test_a_model_is_read_by_ids_as_its_labels_had_them(music: Music, ids: list[str | None], identifier: str) -> None:
    """Of either identifier, whichever of the tables has the other one: the training set's very values."""
    trained = music.model(ids, {"artist": told(identifier)})
    with music.reader() as reader:
        read = reader.read_many([{"artist": each} for each in ids], at=LATER)
        assert read.to_dicts() == [{"name": row["name"], "plays": row["plays"]} for row in trained]
        assert [row["name"] for row in trained] == ["Abba", "Bowie", None]
        assert [vector["plays"].status for vector in read] == ["fresh", "fresh", "unknown_entity"]


def test_one_part_of_a_key_is_converted_in_a_role(music: Music) -> None:
    """Where two key columns of one thing are written in two ways, each name is what it was said to be."""
    keys = {"artist": told("gid_hex"), "friend": told("base62", "other")}
    trained = music.model(LONG, keys, [LIKENESS], friend=SHORT[::-1])
    read = music.reader().read_many([{"artist": a, "friend": b} for a, b in zip(LONG, SHORT[::-1], strict=True)])
    assert [row["likeness"] for row in trained] == [0.25, 0.75] == [row["likeness"] for row in read.to_dicts()]


def test_a_request_may_say_how_ids_are_written(music: Music) -> None:
    """By the words that a training set takes; what is said of a name holds for every feature that is read by it."""
    asked = {NAME: {"column": "n", "keys": {"artist": told("IDENTIFIER_BASE62")}}, PLAYS: "p"}
    assert music.plain().read({"artist": SHORT[1]}, asked).to_dict() == {"n": "Bowie", "p": 9}
    asked[PLAYS] = {"column": "p", "keys": {"artist": told("gid_hex")}}
    with pytest.raises(InvalidValue, match="column 'artist' is said to hold base62 and gid_hex"):
        music.plain().read({"artist": SHORT[1]}, asked)


def test_one_name_for_ids_of_two_ways_is_refused(music: Music) -> None:
    """As in a join: what would match nothing in one of the tables is an error that says how to mend it."""
    with pytest.raises(InvalidValue, match="'artist' meets keys that are written as base62 and as gid_hex; say which"):
        music.plain().read({"artist": SHORT[1]}, [NAME, PLAYS])
    assert music.plain().read({"artist": LONG[1]}, [NAME])[NAME].value == "Bowie"


@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (SHORT[0][1:], InvalidValue, "column 'artist': 1 of 2 values are no base62 .22 digits .*: row 1 'sWHD"),
        (LONG[0], InvalidValue, "1 of 2 values are no base62"),
        ("!" * 22, InvalidValue, "1 of 2 values are no base62"),
        ("Z" * 22, InvalidValue, r"less than 2\*\*128"),
        ("", InvalidValue, "row 1 ''"),
        ("\ud800" * 22, InvalidValue, "half a surrogate pair"),
        (7, InvalidType, "ids in base62 are text, not 7"),
        (b"x", InvalidType, "ids in base62 are text, not b'x'"),
    ],
)
def test_what_is_no_id_is_one_sentence(music: Music, bad: Any, error: type[JukeboxError], said: str) -> None:
    """Never a value that is silently missing."""
    music.model(SHORT, {"artist": told("base62")})
    with pytest.raises(error, match=said), music.reader() as reader:
        reader.read_many([{"artist": SHORT[0]}, {"artist": bad}])


def test_the_log_holds_ids_as_they_were_given_and_its_replay_converts_them(music: Music, tmp_path: Path) -> None:
    """Beside requests by the table's own identifier, under the same name; and an injected skew is found."""
    music.model(SHORT, {"artist": told("base62")})
    folder = tmp_path / "served"
    with FeatureLog(str(folder)) as log, music.reader(told=log) as model:
        model.read_many([{"artist": each} for each in [*SHORT, "0" * 22]], at=LATER, request_id="m")
    with FeatureLog(str(folder)) as log, FeatureReader(music.place.registry, told=log) as plain:
        plain.read({"artist": LONG[1]}, [NAME], at=LATER, request_id="p")
    assert log.counts.failed == 0
    about = {"log": str(folder), "registry": music.place.registry}
    made = consistency_check.run(**about, out=str(tmp_path / "check"))
    cells = {each["feature"].rpartition("/")[2]: each["cells"] for each in made.details["features"]}
    assert cells == {"name@1": 1, "name@1?identifier.artist=base62": 3, "plays@1": 3}
    assert not any(each[kind] for each in made.details["features"] for kind in ("mismatch", "missing", "extra"))
    for file in folder.rglob("*.parquet"):
        rows = pa.Table.from_batches(parquet.read(file))
        column = f"{NAME}@1?identifier.artist=base62"
        if column in rows.column_names:
            assert rows["key:artist:text"].to_pylist() == [*SHORT, "0" * 22]
            skewed = pa.array(["Abba", "Blur", None])
            write(file, rows.set_column(rows.schema.get_field_index(column), column, skewed))
    with pytest.raises(SkewFound, match=f"1 of 3 cells .* are mismatch: at .*{SHORT[1]} it was 'Blur', .* 'Bowie'"):
        consistency_check.run(**about, out=str(tmp_path / "check"))


def test_a_log_of_converted_ids_makes_a_training_set(music: Music, tmp_path: Path) -> None:
    """What was logged comes from the log, the rest is joined by converted ids, and a model of it is read by them."""
    music.model(SHORT, {"artist": told("base62")})
    log_folder = str(tmp_path / "served")
    asked = {PLAYS: {"keys": {"artist": told("base62")}}}
    with FeatureLog(log_folder) as log, FeatureReader(music.place.registry, told=log) as reader:
        reader.read({"artist": SHORT[0]}, asked, at=LATER, request_id="a")
    with FeatureLog(log_folder) as log, music.reader(told=log) as model:
        model.read({"artist": SHORT[1]}, at=LATER, request_id="b")
    write(tmp_path / "outcomes.parquet", pa.table({"request_id": ["b", "a"], "skip": [True, False]}))
    about = {"log": log_folder, "labels": str(tmp_path / "outcomes.parquet"), "registry": music.place.registry}
    out = str(tmp_path / "stitched")
    with pytest.raises(InvalidValue, match=r"log has ids of 'artist' written as base62, and .*name@1' .* as gid_hex"):
        log_training_set.run(**about, features=[NAME, PLAYS], out=out)
    keys = {"artist": told("base62")}
    made = log_training_set.run(**about, features={NAME: {"column": "who", "keys": keys}, PLAYS: None}, out=out)
    rows = pa.Table.from_batches(parquet.read(f"{out}/training_set.parquet"))
    assert (rows["who"].to_pylist(), rows["plays"].to_pylist()) == (["Bowie", "Abba"], [9, 7])
    counts = {each["column"]: (each["logged"], each["backfilled"]) for each in made.details["features"]}
    assert counts == {"who": (1, 1), "plays": (2, 0)}
    record_model.run(model="model://stitched", training_set=out, registry=music.place.registry)
    again = FeatureReader.for_model("model://stitched", music.place.registry)
    assert again.read({"artist": SHORT[0]}).to_dict() == {"who": "Abba", "plays": 7}


def test_the_server_takes_ids_as_the_model_was_trained(music: Music) -> None:
    """It says how they are written, and a bad one is the caller's fault."""
    pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")
    from fastapi.testclient import TestClient

    from jukebox.serving.server import Model, make_app

    music.model(SHORT, {"artist": told("base62")})
    app = make_app(music.plain(), [Model("m", music.reader())])
    with TestClient(app, raise_server_exceptions=False) as client:
        described = client.get("/v1/models/m:features").json()["features"]
        assert [each["identifiers"] for each in described] == [{"artist": "base62"}, {}]
        answer = client.post("/v1/models/m:features", json={"entities": [{"artist": SHORT[1]}]}).json()
        assert answer["vectors"][0]["name"]["value"] == "Bowie"
        for bad, word in ((LONG[1], "no base62"), (7, "are text"), ("\ud800", "surrogate"), (["x"], "are text")):
            body = json.dumps({"entities": [{"artist": bad}]})
            refused = client.post("/v1/models/m:features", content=body)
            assert (refused.status_code, word in refused.json()["error"]) == (400, True)


IDS = st.integers(0, 5).map(lambda n: f"{n:032x}")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.dictionaries(IDS, st.integers(), min_size=1, max_size=4), asked=st.lists(IDS, min_size=1, max_size=5))
@pytest.mark.parametrize("table", ["base62", "gid_hex"])
@pytest.mark.parametrize("labels", ["base62", "gid_hex"])
def test_join_and_reader_agree_on_every_id(
    tmp_path: Path, table: str, labels: str, held: dict[str, int], asked: list[str]
) -> None:
    """Whatever the table holds, whatever is asked for, however both are written: the same value or none."""
    root = tmp_path / "drawn"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    place = Place(root)
    keys = convert_values([*held], "gid_hex", table)
    rows = {
        "artist": keys,
        "at": pa.array([at("01 00:00")] * len(keys), UTC),
        "plays": [n % 100 for n in held.values()],
    }
    write(place.source / "plays.parquet", pa.table(rows))
    feature = "  - {name: /artist/logs/plays, endpoint: plays, column: plays, data_type: int64}"
    place.register(f"endpoints:\n{ENDPOINT.format('plays', KEY.format('artist', table))}\nfeatures:\n{feature}\n")
    place.load("plays", date=DAYS[0])
    online_load.run(store=f"sqlite://{root}/o.db", registry=place.registry, features=[PLAYS])
    ids = convert_values(asked, "gid_hex", labels)
    trained = Music(place, "").model(ids, {"artist": told(labels)}, [PLAYS])
    read = Music(place, "").reader().read_many([{"artist": each} for each in ids], at=LATER)
    assert [row["plays"] for row in trained] == [row["plays"] for row in read.to_dicts()]
    assert [row["artist"] for row in trained] == ids
