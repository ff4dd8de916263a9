"""A features file: a good one is just its features, a bad one just its faults, each with its line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from jukebox.errors import InvalidFile, StorageError
from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.features.file import load_features, parse_features
from jukebox.features.schema import schema_text
from jukebox.formats import FORMATS

HERE = Path(__file__).parent
GOOD = (HERE / "good.yaml").read_text()
SLIPS = yaml.safe_load((HERE / "slips.yaml").read_text())

WEATHER = Endpoint(
    name="flights.weather",
    uri="weather/{date}.parquet",
    format="parquet",
    keys=(Key("origin", "airport", "iata"),),
    event_time="time_hour",
    created_time="known_at",
    time_zone="UTC",
    delivery="daily",
    slo="10h",
    owner="nyc-weather",
    null_values=("", "NA"),
)
PLANES = Endpoint(name="flights.planes", uri="planes.csv", format="csv", keys=(), static=True)
TEMP = Feature(
    name=FeatureName("airport", "flights-weather", "temp"),
    endpoint=WEATHER,
    column="temp",
    data_type="float64",
    owner="nyc-weather",
    max_age=timedelta(hours=2),
    tags=("weather",),
    scope="team",
    life_cycle="production",
    quality={"min": -60, "max": 140, "max_null_fraction": 0.01},
)
SEATS = Feature(
    name=FeatureName("aircraft", "flights-planes", "seats"),
    endpoint=PLANES,
    column="seats",
    data_type="list<float32, 128>",
)

# Whole files of which nothing else can be said.
RUINS = {
    "empty": ("", ["line 1: the file is empty; it holds endpoints and features"]),
    "only a remark": ("# nothing\n", ["line 1: the file is empty; it holds endpoints and features"]),
    "not a mapping": ("- a\n", ["line 1: is a list; it must be a mapping"]),
    "empty lists": (
        "endpoints: []\nfeatures: []\n",
        ["line 1: endpoints: is empty", "line 2: features: is empty"],
    ),
    "syntax": (
        "endpoints:\n  - a: b: c\n",
        ["line 2: this is not YAML: mapping values are not allowed here"],
    ),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        ["line 2: this is not YAML: expected a single document in the stream, but found another document"],
    ),
    "control character": (
        "a: 1\nb: \x07\n",
        ["line 2: this is not YAML: character U+0007 is not allowed in YAML"],
    ),
    "a list as a field": (
        "endpoints: []\n? [a]\n: b\nfeatures: []\n",
        [
            "line 1: endpoints: is empty",
            "line 2: ?: the name of a field must be text, not a list or mapping",
            "line 4: features: is empty",
        ],
    ),
    "depth": ("[" * 10_000, ["line 1: this is not YAML: the document is nested too deep"]),
}

TEN_FAULTS = """\
endpoints:
  - name: a
    uri: a/{day}
    format: cvs
    keys: [{column: k, primitive_entity: user}]
    static: yes
    time_zone: Mars
features:
  - name: /user/x
    endpoint: b
    column: no
    data_type: flot64
    quality: {min: 2, max: 1}
"""


def faults_of(text: str) -> tuple[str, ...]:
    """Return the faults that reading ``text`` raises."""
    with pytest.raises(InvalidFile) as caught:
        parse_features(text)
    return caught.value.faults


def test_a_good_file_is_its_features() -> None:
    """Every field arrives where it belongs, what is left out has its default, and spellings are canonical."""
    assert parse_features(GOOD) == (TEMP, SEATS)


def test_features_pass_through_json() -> None:
    """What a registry stores of a feature reads back as the same feature."""
    assert [Feature.from_json(feature.to_json()) for feature in (TEMP, SEATS)] == [TEMP, SEATS]


@pytest.mark.parametrize("case", SLIPS, ids=[case["slip"] for case in SLIPS])
def test_a_slip_is_one_fault_with_its_line(case: dict[str, str]) -> None:
    """One slip in a good file is told once, on the line where it is; what hangs on it may be told besides."""
    assert GOOD.count(case["good"]) == 1
    told = faults_of(GOOD.replace(case["good"], case["bad"]))
    assert len([text for text in told if case["fault"] in text]) == 1, told


@pytest.mark.parametrize(("text", "faults"), RUINS.values(), ids=RUINS)
def test_a_ruin_says_what_it_is(text: str, faults: list[str]) -> None:
    """A file without a usable shape gives just these faults."""
    assert list(faults_of(text)) == faults


def test_ten_faults_are_ten_lines_in_order() -> None:
    """One error lists all faults of a file, sorted by line, below a line that counts them."""
    told = faults_of(TEN_FAULTS)
    assert [int(fault.split(":")[0].removeprefix("line ")) for fault in told] == [
        3,
        4,
        5,
        6,
        7,
        9,
        10,
        11,
        12,
        13,
    ]
    assert str(InvalidFile("f.yaml", told)).splitlines()[0] == "f.yaml has 10 faults:"


def test_one_wrong_feature_hides_no_other() -> None:
    """Features beside a broken one are still held against each other."""
    told = faults_of(GOOD.replace("    column: temp\n", "") + GOOD[GOOD.index("  - name: /aircraft") :])
    assert [fault.partition(":")[0] for fault in told] == ["line 20", "line 33"]


def test_constants_are_read_and_written_as_yaml_has_them() -> None:
    """The spellings of enumeration constants mean the same, and a leading slash may lack."""
    text = (
        GOOD.replace("airport, identifier: iata", "PRIMITIVE_ENTITY_AIRPORT, identifier: IDENTIFIER_IATA")
        .replace("format: parquet", "format: STORAGE_FORMAT_PARQUET")
        .replace("data_type: float64", "data_type: DATA_TYPE_FLOAT64")
        .replace("scope: team", "scope: SCOPE_TEAM")
        .replace("life_cycle: production", "life_cycle: LIFECYCLE_PRODUCTION")
        .replace("name: /", "name: ")
    )
    assert parse_features(text) == (TEMP, SEATS)


def test_tf_example_is_tfrecord() -> None:
    """The storage format of tf.Example records has a name of its own here."""
    features = parse_features(GOOD.replace("format: csv", "format: STORAGE_FORMAT_TF_EXAMPLE"))
    assert features[1].endpoint.format == "tfrecord"


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        ("STORAGE_FORMAT_AVRO", "avro"),
        ("STORAGE_FORMAT_BIGQUERY", "bigquery"),
        ("STORAGE_FORMAT_JSONL", "jsonl"),
        ("STORAGE_FORMAT_JSON", "jsonl"),
        ("STORAGE_FORMAT_TFRECORD", "tfrecord"),
        ("jsonl", "jsonl"),
    ],
)
def test_every_storage_format_has_its_constant(constant: str, name: str) -> None:
    """The format is no part of a definition: data may be stored anew in another without a new version."""
    uri = "bigquery://project.fleet.planes" if name == "bigquery" else "planes.csv"
    [_, features] = parse_features(GOOD.replace("format: csv", f"format: {constant}").replace("planes.csv", uri))
    assert features.endpoint.format == name
    assert features.digest == SEATS.digest


def test_every_storage_format_that_may_be_declared_is_read() -> None:
    """The schema and the package know the same names."""
    declared = json.loads(schema_text())["$defs"]["endpoint"]["properties"]["format"]["enum"]
    assert set(FORMATS) == set(declared)


def test_hourly_partitions_are_declared_in_the_uri() -> None:
    """The hour may stand anywhere beside its date."""
    [first, _] = parse_features(GOOD.replace("{date}.parquet", "{date}/{hour}/part.parquet"))
    assert first.endpoint.uri == "weather/{date}/{hour}/part.parquet"
    assert first.digest == TEMP.digest


def test_a_repeated_alias_is_no_fault() -> None:
    """An anchor may be used many times: each place has its own copy of the value."""
    text = GOOD.replace("tags: [weather]", "tags: &t [weather]") + "    tags: *t\n"
    assert [feature.tags for feature in parse_features(text)] == [("weather",), ("weather",)]


def test_the_error_names_the_file(tmp_path: Path) -> None:
    """A file that is read by path is called by it in the error."""
    path = tmp_path / "mine.yaml"
    path.write_text("[]")
    with pytest.raises(InvalidFile, match=r"mine\.yaml has 1 fault:\n  line 1: is a list"):
        load_features(str(path))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """A file that an editor has begun with a byte order mark reads like any other."""
    path = tmp_path / "features.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_features(str(path)) == (TEMP, SEATS)


def test_bytes_that_are_not_utf8_have_a_line(tmp_path: Path) -> None:
    """A file in another encoding is told by its first byte that is not UTF-8."""
    path = tmp_path / "features.yaml"
    path.write_bytes(b"endpoints:\n  - name: caf\xe9\n")
    with pytest.raises(InvalidFile, match="line 2: byte 0xe9 is not UTF-8"):
        load_features(str(path))


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_storage_error(tmp_path: Path, name: str) -> None:
    """A path without a readable file is an error of storage, not of the file's content."""
    with pytest.raises(StorageError, match="cannot be read"):
        load_features(str(tmp_path / name))


SNAPSHOT = GOOD.replace("    event_time: time_hour\n    created_time: known_at\n", "    delivery_time: 6h\n")


def test_versions_of_before_stay_what_they_are() -> None:
    """A definition that declares none of the newer rules has the digest that registries hold."""
    assert [feature.digest for feature in parse_features(GOOD)] == [
        "691db866dc00ac194a364d1301cecae70d85b9f05fadc69a6061adbd4179684b",
        "9daf60a346d8697f9fdaee9d6e4d11248751add82ba38c636a5b7346a65fb10e",
    ]


def test_a_delivery_time_is_a_rule_of_time_and_makes_a_version() -> None:
    """Another duration is another definition; another spelling of the same one is not."""
    texts = [SNAPSHOT, SNAPSHOT.replace("6h", "7h"), SNAPSHOT.replace("6h", "360m")]
    six, seven, minutes = (parse_features(text)[0] for text in texts)
    assert six.digest == minutes.digest
    assert len({six.digest, seven.digest, TEMP.digest}) == 3
    assert Feature.from_json(six.to_json()) == six
    assert (six.endpoint.table_event_time, six.endpoint.table_created_time) == ("event_time", "created_time")
    assert (WEATHER.table_event_time, WEATHER.table_created_time) == ("time_hour", "known_at")
    assert (PLANES.table_event_time, PLANES.table_created_time) == ("event_time", None)


@pytest.mark.parametrize("name", ["event_time", "created_time"])
def test_no_feature_has_the_name_of_a_time_that_a_load_writes(name: str) -> None:
    """The feature table of snapshots has both columns already."""
    told = faults_of(SNAPSHOT.replace("flights-weather/name/temp", f"flights-weather/name/{name}"))
    assert told == (f"line 19: features[0].name: '{name}' is the {name} of endpoint 'flights.weather' already",)


CONTEXTUAL = "  - {name: /request/app/device, contextual: true, data_type: string}\n"
COLUMN = "  - {name: /request/app/clicks, endpoint: log, column: clicks, data_type: int64}\n"


@pytest.mark.parametrize("endpoints", ["", "endpoints: []\n"])
def test_contextual_features_alone_need_no_endpoint(endpoints: str) -> None:
    """What only requests tell comes from no data set."""
    [device] = parse_features(f"{endpoints}features:\n{CONTEXTUAL}")
    assert (str(device.name), device.contextual) == ("/entity/request/component/app/name/device", True)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (f"features:\n{CONTEXTUAL}{COLUMN}", ["line 1: field 'endpoints' is missing", "there are none"]),
        (f"endpoints: []\nfeatures:\n{COLUMN}", ["line 1: endpoints: is empty", "there are none"]),
        (f"endpoints: 7\nfeatures:\n{CONTEXTUAL}", ["line 1: endpoints: is the number 7; it must be a list"]),
        ("features: []", ["line 1: field 'endpoints' is missing", "line 1: features: is empty"]),
    ],
)
def test_a_column_needs_an_endpoint(text: str, faults: list[str]) -> None:
    """Beside contextual features too, and an empty list of them is none."""
    with pytest.raises(InvalidFile) as caught:
        parse_features(text)
    assert len(caught.value.faults) == len(faults)
    for fault, said in zip(caught.value.faults, faults, strict=True):
        assert said in fault
