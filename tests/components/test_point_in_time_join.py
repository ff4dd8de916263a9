"""What a join leaves behind: every label once and in order, the features known at its time, and the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from jukebox.formats import parquet, tfrecord
from jukebox.tables import Manifest
from tests.components.place import DAYS, DECLARED, DELAY, LATE, SEATS, TEMP, UTC, WIND, at, labels, manifest, write

if TYPE_CHECKING:
    from tests.components.place import Place

ALL = [TEMP, WIND, SEATS, DELAY, LATE]
SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"), ("JFK", "02 06:59"), ("JFK", "02 07:30"), ("SFO", "03 12:00"))


def proof(made: Manifest, column: str) -> dict[str, object]:
    """Return what the manifest says of one output column."""
    [found] = [feature for feature in made.details["features"] if feature["column"] == column]
    return found


def loaded_all(place: Place) -> None:
    """Load every endpoint into a table of its own."""
    for endpoint in ("weather", "planes", "arrivals", "routes"):
        place.load(endpoint, out=str(place.root / "tables" / endpoint))


def test_every_label_is_there_once_and_in_order_duplicates_too(here: Place) -> None:
    """The labels' columns come first and are as they were; the answers stand beside them."""
    here.load()
    made = here.join(SPINE)
    assert here.joined().column_names == ["n", "origin", "at", "temp"]
    assert here.joined().select(SPINE.column_names).equals(SPINE)
    assert here.joined()["temp"].to_pylist() == [16.0, None, None, 16.0, None]
    assert (made.rows, made.kind, made.event_time) == (5, "training_set", "at")
    assert made == Manifest.read(here.out, "training_set")


def test_the_numbers_of_the_proof_are_those_counted_by_hand(here: Place) -> None:
    """The observation of 6:00 is known at 7:00: at 6:59 the one of 0:00 is, and that is too old for two hours.

    Ages are 1:30 twice for temp, and for wind also 6:59; half past midnight the observation of 0:00 is not known.
    """
    here.load()
    made = here.join(SPINE, [TEMP, WIND])
    hour = 3_600_000_000
    assert proof(made, "temp") == {
        "name": TEMP, "version": 1, "data_type": "float64", "max_age": "2h", "last_non_null": False, "table": 0,
        "column": "temp", "labels": 5, "answered": 2, "null_values": 0, "unanswered_no_history": 2,
        "unanswered_too_old": 1, "greatest_age_us": 3 * hour // 2, "median_age_us": 3 * hour // 2,
        "age_histogram": [[3 * hour, 2]], "examined": 5, "newer_unknown": 2,
    }  # fmt: skip
    wind = proof(made, "wind")
    assert (wind["max_age"], wind["answered"], wind["unanswered_too_old"]) == (None, 3, 0)
    assert (wind["greatest_age_us"], wind["median_age_us"]) == (6 * hour + 59 * hour // 60, 3 * hour // 2)


def test_the_counts_of_the_proof_add_up_to_the_labels(here: Place) -> None:
    """Answered, without history and too old are all labels, feature by feature; a static answer has no age."""
    loaded_all(here)
    tails = ["N1", "N2", None, "N1", "N9"]
    about = SPINE.append_column("tail", pa.array(tails)).append_column("dest", pa.array(["SFO"] * 5))
    for feature in here.join(about, ALL, proof="full").details["features"]:
        parts = ("answered", "unanswered_no_history", "unanswered_too_old")
        assert sum(feature[part] for part in parts) == feature["labels"] == 5
    seats = proof(Manifest.read(here.out), "seats")
    assert (seats["answered"], seats["null_values"], seats["greatest_age_us"], seats["median_age_us"]) == (
        3,
        1,
        None,
        None,
    )
    assert here.joined()["seats"].to_pylist() == [100, None, None, 100, None]
    assert here.joined()["delay"].to_pylist() == [5, None, None, 5, None]
    assert here.joined()["late"].to_pylist() == [1.25, None, 1.25, 1.25, None]


def test_a_static_answer_holds_at_all_times_and_of_any_kind(here: Place) -> None:
    """Before 1970, for naive labels, dates and seconds: the row is true, also where only earlier rows count."""
    here.load("planes")
    for times in (["1965-03-01"], ["2024-01-01"]):
        for kind in (pa.timestamp("ns"), UTC, pa.timestamp("s"), pa.date32(), pa.date64()):
            table = pa.table({"tail": ["N1"], "at": pa.array(np.array(times, "datetime64[D]")).cast(kind)})
            here.join(table, [SEATS], allow_exact=False)
            assert here.joined()["seats"].to_pylist() == [100]
    here.join(pa.table({"tail": ["N1"], "at": [0]}), [SEATS])
    assert here.joined()["seats"].to_pylist() == [100]


def test_as_known_and_allow_exact_are_turned_off_by_name(here: Place) -> None:
    """Without them the observation of 6:00 is the answer at 6:59, and the one of 0:00 at 6:00."""
    here.load()
    spine = labels(("JFK", "02 06:59"), ("JFK", "02 06:00"))
    here.join(spine, [WIND, TEMP], as_known=False)
    assert here.joined()["temp"].to_pylist() == [16.0, 16.0]
    made = here.join(spine, [TEMP], as_known=False, allow_exact=False)
    assert here.joined()["temp"].to_pylist() == [16.0, None]
    assert made.details["rules"] == {
        "label_time": "at", "allow_exact": False, "as_known": False, "proof": "sample",
    }  # fmt: skip


def test_a_feature_is_named_in_short_or_whole_and_with_a_version_or_without(here: Place) -> None:
    """All of them are one feature, and each may be asked for under another column and a shorter age."""
    here.load()
    request = {
        "/airport/weather/temp": "a", TEMP: "b", f"{TEMP}@1": "c", "airport/weather/temp@1": None,
        "airport/weather/temp": {"column": "d", "max_age": "1h"},
    }  # fmt: skip
    made = here.join(labels(("JFK", "02 07:30"), ("JFK", "02 07:00")), request)
    assert (
        here.joined().select(["a", "b", "c", "temp"]).to_pylist() == [dict.fromkeys(("a", "b", "c", "temp"), 16.0)] * 2
    )
    assert here.joined()["d"].to_pylist() == [None, 16.0]
    assert [feature["max_age"] for feature in made.details["features"]] == ["2h", "2h", "2h", "2h", "1h"]


def test_a_feature_set_pins_the_version_that_its_run_registered(here: Place) -> None:
    """A newer version is there; the pinned one is joined, and a version that is written out wins over the pin."""
    pinned = here.root / "pinned"
    (here.root / "feature_set").rename(pinned)
    here.load(out=str(here.root / "old"))
    here.register(DECLARED.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    here.load(out=str(here.root / "new"))
    kinds = {}
    for asked, feature_set in ((TEMP, str(pinned)), (TEMP, None), (f"{TEMP}@1", None), (f"{TEMP}@2", str(pinned))):
        made = here.join(SPINE, [asked], feature_set=feature_set)
        kinds[asked, feature_set is None] = (proof(made, "temp")["version"], made.schema["temp"])
    assert kinds[TEMP, False] == kinds[f"{TEMP}@1", True] == (1, "double")
    assert kinds[TEMP, True] == kinds[f"{TEMP}@2", False] == (2, "float")


def test_the_manifest_names_the_labels_and_the_partitions_that_were_read(here: Place) -> None:
    """With fingerprints: the labels' stays the same for the same labels, and the partitions' are those of the table."""
    table = here.load()
    made = here.join(SPINE)
    assert [source.fingerprint for source in made.inputs[1:]] == [source.fingerprint for source in table.inputs]
    assert [source.uri.split("/")[-2] for source in made.inputs[1:]] == [f"date={day}" for day in DAYS]
    again = here.join(SPINE.slice(0, 2))
    assert again.inputs[0].fingerprint != made.inputs[0].fingerprint
    assert here.join(SPINE).inputs == made.inputs


def test_the_tables_given_are_the_only_ones_used(here: Place) -> None:
    """Of two loads of a date the newer counts; a pipeline's own table counts before it."""
    here.load(out=str(here.root / "old"))
    here.weather(DAYS[1], [("JFK", at("02 06:00"), at("02 07:00"), -1.0, 0.0)])
    here.load(out=str(here.root / "new"))
    here.join(SPINE.slice(0, 1))
    assert here.joined()["temp"].to_pylist() == [-1.0]
    here.join(SPINE.slice(0, 1), feature_tables=[str(here.root / "old")])
    assert here.joined()["temp"].to_pylist() == [16.0]


def test_dates_in_two_tables_are_joined_together(here: Place) -> None:
    """A backfill elsewhere adds its dates."""
    here.load(date=DAYS[0], out=str(here.root / "one"))
    here.load(date=DAYS[1], out=str(here.root / "two"))
    here.join(labels(("JFK", "01 07:30"), ("JFK", "02 07:30")))
    assert here.joined()["temp"].to_pylist() == [6.0, 16.0]


def test_labels_may_be_text_a_folder_or_records(here: Place) -> None:
    """Times with a Z are instants in CSV, a folder is read by the names of its files, records hold microseconds."""
    here.load()
    (here.root / "labels.csv").write_text("origin,at\nJFK,2024-01-02T07:30:00Z\nJFK,2024-01-02T08:30:00+00:00\n")
    here.join(here.root / "labels.csv")
    assert here.joined()["temp"].to_pylist() == [16.0, None]
    for name, rows in (("b", SPINE.slice(0, 1)), ("a", SPINE.slice(2))):
        write(here.root / "many" / f"{name}.parquet", rows)
    here.join(here.root / "many")
    assert here.joined()["n"].to_pylist() == [2, 3, 4, 0]
    tfrecord.write(here.root / "labels.tfrecord.gz", SPINE.to_batches(), schema=SPINE.schema)
    here.join(here.root / "labels.tfrecord.gz")
    assert here.joined()["temp"].to_pylist() == [16.0, None, None, 16.0, None]


def test_a_key_of_the_labels_may_have_another_name(here: Place) -> None:
    """The label column 'dest' is the key 'origin' here, though the labels have an origin of their own."""
    here.load()
    here.join(SPINE.append_column("dest", pa.array(["LGA"] * 5)), keys={"dest": "origin"})
    assert here.joined()["temp"].to_pylist() == [16.0, None, None, 16.0, None]
    here.join(SPINE.rename_columns(["n", "airport", "at"]), keys={"airport": "origin"})
    assert here.joined()["temp"].to_pylist() == [16.0, None, None, 16.0, None]


def test_no_labels_and_no_rows_are_joined_too(here: Place) -> None:
    """Of no labels comes a training set without rows; of no features' rows come nulls of the declared type."""
    here.load()
    assert here.join(SPINE.slice(0, 0)).rows == 0
    here.weather(DAYS[0], [])
    here.load(date=DAYS[0], out=str(here.root / "empty"))
    here.join(SPINE, feature_tables=[str(here.root / "empty")])
    assert here.joined()["temp"].to_pylist() == [None] * 5
    assert here.joined().schema.field("temp").type == pa.float64()


def hours(count: int) -> pa.Table:
    """Return a label for every minute of some hours."""
    return labels(*[("JFK", f"02 {n // 60:02}:{n % 60:02}") for n in range(count)])


@pytest.mark.parametrize("split", ["time:0.75", "hash:0.75", "hash:0.5:n", "hash:0.8:at,origin"])
def test_every_label_is_in_just_one_split(here: Place, split: str) -> None:
    """The two splits hold the rows of the Parquet file between them, and the manifest counts them."""
    here.load()
    made = here.join(hours(600), [TEMP, WIND], split=split)
    parts = {name: records(here, name) for name in ("train", "eval")}
    assert {name: part.num_rows for name, part in parts.items()} == made.details["splits"]
    found = pa.concat_tables(parts.values()).sort_by("n").select(here.joined().column_names)
    assert found["n"].to_pylist() == list(range(600))
    assert found["wind"].to_pylist() == here.joined()["wind"].to_pylist()
    share = made.details["splits"]["train"] / 600
    assert share == pytest.approx(float(split.split(":")[1]), abs=0.06)


def records(place: Place, split: str) -> pa.Table:
    """Return the rows of a split's TFRecords."""
    folder = place.out / f"Split-{split}"
    return pa.Table.from_batches(tfrecord.read(folder), tfrecord.schema(folder))


def test_a_split_by_time_has_the_past_in_train_and_the_future_in_eval(here: Place) -> None:
    """Labels of one moment stay together."""
    here.load()
    here.join(pa.concat_tables([hours(100)] * 2), split="time:0.5")
    train, later = records(here, "train")["at"].to_numpy(), records(here, "eval")["at"].to_numpy()
    assert train.max() < later.min()
    assert len(train) == len(later) == 100


def test_a_split_by_hash_does_not_hang_on_the_features(here: Place) -> None:
    """Another request, another value or another order of labels sends no label to the other side."""
    here.load()
    here.join(hours(300), [TEMP], split="hash:0.7")
    first = set(records(here, "train")["n"].to_pylist())
    here.join(hours(300).take(pa.array(range(299, -1, -1))), [TEMP, WIND], split="hash:0.7")
    assert set(records(here, "train")["n"].to_pylist()) == first


def test_a_second_join_at_one_place_leaves_nothing_of_the_first(here: Place) -> None:
    """Fewer rows make fewer shards; no record of the first join is read with the second's."""
    here.load()
    many = pa.table({"n": range(140_000), "origin": ["JFK"] * 140_000, "at": pa.array([at("02 07:30")] * 140_000, UTC)})
    here.join(many, split="hash:0.9:n")
    assert len(list((here.out / "Split-train").iterdir())) == 2
    here.join(SPINE, split="hash:0.5:n")
    assert sum(records(here, split).num_rows for split in ("train", "eval")) == 5


def test_tensorflow_reads_the_examples_as_the_rows_of_the_parquet_file(here: Place) -> None:
    """Values are those of tf.train.Example: times in microseconds, text in UTF-8, a null is no key at all."""
    import tensorflow as tf

    loaded_all(here)
    about = SPINE.append_column("tail", pa.array(["N1", "N2", None, "N1", "N9"]))
    here.join(about.append_column("dest", pa.array(["SFO"] * 5)), ALL, split="hash:0.5:n")
    rows = {}
    for path in sorted(str(path) for path in here.out.glob("Split-*/*.gz")):
        for record in tf.data.TFRecordDataset(path, compression_type="GZIP"):
            values = tf.train.Example.FromString(record.numpy()).features.feature
            row = {name: getattr(value, value.WhichOneof("kind")).value[0] for name, value in values.items()}
            rows[row["n"]] = row
    assert [rows[n] for n in range(5)] == [example(row) for row in here.joined().to_pylist()]


def example(row: dict[str, object]) -> dict[str, object]:
    """Return a row as an example holds it."""
    row = {name: value for name, value in row.items() if value is not None}
    micros = int(row["at"].timestamp() * 1_000_000)
    return row | {"at": micros} | {name: text.encode() for name, text in row.items() if isinstance(text, str)}


def test_the_run_is_in_the_lineage_of_the_registry(here: Place) -> None:
    """From the training set up lie its table, the features and the data set that they came from."""
    from jukebox.core.lineage import upstream
    from jukebox.stores import open_lineage

    here.load()
    here.join(SPINE)
    source = open_lineage(here.registry)
    above = upstream(source, *source.nodes_at(str(here.out)))
    found = {node.uri for node in above.nodes if node.kind == "artifact" and node.type != "jukebox.Feature"}
    assert {str(here.table), str(here.source), str(here.root / "labels.parquet")} <= found
    assert [node.uri for node in above.artifacts(["jukebox.Feature"])] == [f"jukebox:/{TEMP}@1"]


def test_the_proof_on_disk_is_plain_json(here: Place) -> None:
    """Whatever reads manifests needs no Python."""
    here.load()
    here.join(SPINE)
    assert manifest(here.out)["details"]["features"][0]["answered"] == 2
    assert parquet.schema(here.out / "training_set.parquet").names == ["n", "origin", "at", "temp"]
