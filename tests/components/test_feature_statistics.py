"""What feature_statistics leaves behind, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox import feature_statistics
from jukebox.engine.statistics import listed, statistics_of
from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    JukeboxError,
    MissingDependency,
    StorageError,
)
from jukebox.formats import parquet, tfrecord
from jukebox.stores import open_lineage
from jukebox.tables import Manifest, partition_folder

tfdv = pytest.importorskip("tensorflow_data_validation", reason="needs pip install 'jukebox[tfx]'")
anomalies_util = pytest.importorskip("tensorflow_data_validation.utils.anomalies_util")

TRAIN_ROWS, EVAL_ROWS = 80, 20
ROWS = TRAIN_ROWS + EVAL_ROWS


def flights() -> pa.Table:
    """100 rows in the order of their time, with nulls in every tenth temperature."""
    return pa.table(
        {
            "at": pa.array(range(ROWS), pa.timestamp("s", "UTC")),
            "origin": ["JFK" if i % 4 else "EWR" for i in range(ROWS)],
            "temp": pa.array([None if i % 10 == 0 else float(i) for i in range(ROWS)], pa.float64()),
            "delay": pa.array([i % 5 for i in range(ROWS)], pa.int64()),
            "late": [i % 2 == 0 for i in range(ROWS)],
        }
    )


def write_training_set(folder: Path) -> Path:
    """The flights as point_in_time_join leaves them."""
    table = flights()
    parquet.write(folder / "training_set.parquet", table.to_batches(), schema=table.schema)
    write_examples(folder, {"train": table.slice(0, TRAIN_ROWS), "eval": table.slice(TRAIN_ROWS)})
    Manifest(
        kind="training_set",
        rows=ROWS,
        schema={field.name: str(field.type) for field in table.schema},
        event_time="at",
        fingerprint="f0",
        details={"split": "time:0.8", "splits": {"train": TRAIN_ROWS, "eval": EVAL_ROWS}},
    ).write(folder)
    return folder


def write_examples(folder: Path, splits: dict[str, pa.Table]) -> Path:
    """Splits as TFX's ExampleGen leaves them."""
    for name, part in splits.items():
        tfrecord.write(folder / f"Split-{name}" / "data-00000.gz", part.to_batches(), schema=part.schema)
    return folder


def write_feature_table(folder: Path) -> Path:
    """The flights in two dated partitions."""
    table = flights()
    for day, part in ((date(2013, 1, 1), table.slice(0, 60)), (date(2013, 1, 2), table.slice(60))):
        place = partition_folder(folder, day)
        parquet.write(place / "part-1.parquet", part.to_batches(), schema=part.schema)
        Manifest(kind="partition", rows=part.num_rows, details={"data": "part-1.parquet"}).write(place)
    Manifest(kind="feature_table", rows=ROWS, schema={"temp": "double"}, fingerprint="f1").write(folder)
    return folder


def describe(data: Path, out: Path, **more: Any) -> Manifest:
    """Run the component with its three outputs below ``out``."""
    places = {"out": out / "statistics", "schema_out": out / "schema", "anomalies_out": out / "anomalies"}
    return feature_statistics.run(data=str(data), **{name: str(place) for name, place in places.items()}, **more)


def features(out: Path, split: str) -> dict[str, Any]:
    """The statistics of each feature, as TFDV itself reads them."""
    read = tfdv.load_stats_binary(str(out / "statistics" / f"Split-{split}" / "FeatureStats.pb"))
    return {feature.path.step[0]: feature for feature in read.datasets[0].features}


@pytest.fixture(scope="module")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set on disk."""
    return write_training_set(tmp_path_factory.mktemp("training_set"))


@pytest.fixture(scope="module")
def described(training_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the component left of the training set."""
    out = tmp_path_factory.mktemp("described")
    describe(training_set, out)
    return out


def test_the_numbers_are_those_of_the_rows(described: Path) -> None:
    """Counts, mean, deviation and extremes of the 80 earliest rows."""
    temp, delay = (
        features(described, "train")["temp"].num_stats,
        features(described, "train")["delay"].num_stats,
    )
    values = [float(i) for i in range(TRAIN_ROWS) if i % 10]
    mean = sum(values) / len(values)
    assert (temp.common_stats.num_non_missing, temp.common_stats.num_missing) == (72, 8)
    assert (temp.min, temp.max) == (1.0, 79.0)
    assert temp.mean == pytest.approx(mean)
    assert temp.std_dev == pytest.approx((sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5)
    assert delay.num_zeros == 16


def test_the_counts_are_those_of_stock_tfdv(training_set: Path, described: Path) -> None:
    """TFDV over the TFRecords through Beam finds the same counts, types, extremes and top values."""
    from apache_beam.options.pipeline_options import PipelineOptions

    files = str(training_set / "Split-train" / "*")
    options = PipelineOptions(["--runner=BundleBasedDirectRunner"])
    stock = tfdv.generate_statistics_from_tfrecord(files, pipeline_options=options).datasets[0]
    ours = features(described, "train")
    assert stock.num_examples == TRAIN_ROWS
    assert {f.path.step[0]: told(f) for f in stock.features} == {name: told(f) for name, f in ours.items()}


def told(feature: Any) -> tuple[Any, ...]:
    """Return what does not depend on a sketch or on float32."""
    stats = getattr(feature, feature.WhichOneof("stats"))
    common = (stats.common_stats.num_non_missing, stats.common_stats.num_missing, feature.type)
    if feature.HasField("num_stats"):
        return (*common, stats.min, stats.max, stats.num_zeros)
    return (*common, stats.unique, [(top.value, top.frequency) for top in stats.top_values])


def test_an_examples_folder_of_another_origin_has_the_same_statistics(described: Path, tmp_path: Path) -> None:
    """TFRecords without a manifest are read as TFX left them, one FeatureStats.pb a split."""
    table = flights()
    splits = {"train": table.slice(0, TRAIN_ROWS), "eval": table.slice(TRAIN_ROWS)}
    manifest = describe(write_examples(tmp_path / "examples", splits), tmp_path)
    assert manifest.details["splits"] == {"train": TRAIN_ROWS, "eval": EVAL_ROWS}
    for split in splits:
        there, here = features(described, split), features(tmp_path, split)
        assert {name: told(f) for name, f in there.items()} == {name: told(f) for name, f in here.items()}


@pytest.mark.parametrize("kind", ["feature table", "parquet folder", "parquet file"])
def test_data_without_splits_have_the_one_split_all(kind: str, tmp_path: Path) -> None:
    """A feature table, a folder and a file of Parquet are described whole."""
    if kind == "feature table":
        data = write_feature_table(tmp_path / "table")
    else:
        data = tmp_path / "rows" / "part.parquet"
        parquet.write(data, flights().to_batches(), schema=flights().schema)
        data = data.parent if kind == "parquet folder" else data
    assert describe(data, tmp_path).details["splits"] == {"all": ROWS}
    assert features(tmp_path, "all")["temp"].num_stats.common_stats.num_missing == 10


def test_the_manifest_says_what_was_read_and_found(training_set: Path, tmp_path: Path) -> None:
    """It lies in the statistics' folder and names the data by its fingerprint."""
    manifest = describe(training_set, tmp_path)
    assert Manifest.read(tmp_path / "statistics", "feature_statistics") == manifest
    assert [(source.uri, source.fingerprint) for source in manifest.inputs] == [(str(training_set), "f0")]
    assert manifest.details == {
        "splits": {"train": TRAIN_ROWS, "eval": EVAL_ROWS},
        "anomalies": {"train": 0, "eval": 0},
        "left_out": [],
        "page": "statistics.html",
    }


def test_the_same_data_give_the_same_bytes(training_set: Path, described: Path, tmp_path: Path) -> None:
    """Two runs cannot be told apart by what they wrote, the page's and the data's places aside."""
    describe(training_set, tmp_path)
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert all((tmp_path / name).read_bytes() == (described / name).read_bytes() for name in names)


def test_the_inferred_schema_is_one_that_tfx_reads(described: Path) -> None:
    """Types and domains come from the training split."""
    schema = tfdv.load_schema_text(str(described / "schema" / "schema.pbtxt"))
    assert [feature.name for feature in schema.feature] == flights().column_names
    assert set(tfdv.get_domain(schema, "origin").value) == {"EWR", "JFK"}


def test_a_stricter_schema_finds_its_anomalies_in_both_splits(
    training_set: Path, described: Path, tmp_path: Path
) -> None:
    """A value outside of a domain and a column that may not be there are found, and are on the page."""
    schema = tfdv.load_schema_text(str(described / "schema" / "schema.pbtxt"))
    tfdv.get_domain(schema, "origin").value.remove("EWR")
    del schema.feature[[feature.name for feature in schema.feature].index("delay")]
    tfdv.write_schema_text(schema, str(tmp_path / "schema.pbtxt"))
    manifest = describe(training_set, tmp_path / "out", schema=str(tmp_path))
    found = anomalies_util.load_anomalies_binary(str(tmp_path / "out" / "anomalies" / "Split-eval" / "SchemaDiff.pb"))
    assert set(found.anomaly_info) == {"origin", "delay"}
    assert manifest.details["anomalies"] == {"train": 2, "eval": 2}
    assert "EWR" in page_of(tmp_path / "out").text_after("Anomalies")


def test_the_page_is_whole_html_and_asks_no_network(described: Path) -> None:
    """Every element that opens closes, every feature has its rows, and no address leads out of the page."""
    page = page_of(described)
    assert page.open == []
    assert page.features == {"at", "origin", "temp", "delay", "late"}
    assert all(link.startswith("#") for link in page.links)
    assert "http" not in (described / "statistics" / "statistics.html").read_text()


def test_times_are_shown_as_times_and_names_are_escaped(tmp_path: Path) -> None:
    """A timestamp's minimum reads as a date; a column's name cannot break the page."""
    table = pa.table({"<b>&\"at'": pa.array([0, 86_400], pa.timestamp("s")), "$x": ["<script>", "${y}"]})
    parquet.write(tmp_path / "rows.parquet", table.to_batches(), schema=table.schema)
    describe(tmp_path / "rows.parquet", tmp_path)
    page = page_of(tmp_path)
    assert page.features == set(table.column_names)
    assert page.open == []
    assert "1970-01-02 00:00:00" in page.text_after("Numbers")


def test_every_arrow_type_has_statistics_or_is_named_as_left_out(tmp_path: Path) -> None:
    """Nothing is dropped in silence, and nulls inside of lists do not count."""
    columns = {
        "bool": pa.array([True, None]),
        "date": pa.array([date(1970, 1, 3), None]),
        "ns": pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), None], pa.timestamp("ns", "UTC")),
        "decimal": pa.array([Decimal("2.5"), None]),
        "dictionary": pa.array(["a", None]).dictionary_encode(),
        "fixed": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)),
        "list": pa.array([[1, None], None]),
        "duration": pa.array([3, None], pa.duration("s")),
        "time": pa.array([4, None], pa.time32("ms")),
        "bytes": pa.array([b"ab", None], pa.binary(2)),
        "null": pa.nulls(2),
        "record": pa.array([{"a": 1}, None]),
    }
    table = pa.table(columns)
    parquet.write(tmp_path / "rows.parquet", table.to_batches(), schema=table.schema)
    manifest = describe(tmp_path / "rows.parquet", tmp_path)
    seen = features(tmp_path, "all")
    assert manifest.details["left_out"] == ["record"]
    assert set(seen) == set(columns) - {"record"}
    numbers = {
        name: (f.num_stats.max, f.num_stats.common_stats.tot_num_values)
        for name, f in seen.items()
        if f.HasField("num_stats")
    }
    assert numbers == {
        "bool": (1, 1),
        "date": (2, 1),
        "ns": (1_000_000, 1),
        "decimal": (2.5, 1),
        "fixed": (2.0, 2),
        "list": (1, 1),
        "duration": (3, 1),
        "time": (4, 1),
    }


def test_a_slice_of_a_batch_is_described_as_its_own_rows() -> None:
    """Offsets into shared buffers do not bring other rows in."""
    batch = pa.record_batch([pa.array([[9], [1, 2], None, []]), pa.array([9.0, None, 1.0, 2.0])], names=["l", "f"])
    sliced = listed(batch.slice(1))
    assert sliced.to_pydict() == {"l": [[1, 2], None, []], "f": [None, [1.0], [2.0]]}


def test_the_size_of_the_batches_does_not_change_the_counts() -> None:
    """Many small batches are gathered; what they say is the same."""
    table = flights()
    whole, parts = (statistics_of(table.to_batches(max_chunksize=size)).datasets[0] for size in (1000, 7))
    assert [told(feature) for feature in whole.features] == [told(feature) for feature in parts.features]


def test_an_empty_split_is_described_and_found_empty(tmp_path: Path) -> None:
    """TFX's consumers find a file for each split, also for one without rows."""
    table = flights()
    manifest = describe(write_examples(tmp_path / "e", {"train": table.slice(0, 0), "eval": table}), tmp_path)
    assert manifest.details["splits"] == {"train": 0, "eval": ROWS}
    assert features(tmp_path, "train") == {}


def test_a_rerun_leaves_nothing_of_splits_that_are_gone(training_set: Path, tmp_path: Path) -> None:
    """Statistics of an earlier run's splits do not stay beside the new ones."""
    describe(training_set, tmp_path)
    describe(write_examples(tmp_path / "e", {"train": flights()}), tmp_path)
    assert not list(tmp_path.glob("*/Split-eval/*.pb"))


def nowhere(folder: Path) -> Path:
    return folder / "nowhere"


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def training_set_without_manifest(folder: Path) -> Path:
    (write_training_set(folder) / "manifest.json").unlink()
    return folder


def feature_table_without_manifest(folder: Path) -> Path:
    (write_feature_table(folder) / "manifest.json").unlink()
    return folder


def half_of_the_parquet(folder: Path) -> Path:
    whole = write_training_set(folder) / "training_set.parquet"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return folder


def other_rows(folder: Path) -> Path:
    part = flights().slice(7)
    parquet.write(write_training_set(folder) / "training_set.parquet", part.to_batches(), schema=part.schema)
    return folder


def half_of_the_tfrecords(folder: Path) -> Path:
    [file] = (write_examples(folder, {"train": flights()}) / "Split-train").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    return folder


def no_rows(folder: Path) -> Path:
    return write_examples(folder, {"train": flights().slice(0, 0)})


def another_kind(folder: Path) -> Path:
    Manifest(kind="feature_set").write(folder)
    return folder


def changing_types(folder: Path) -> Path:
    write_examples(folder, {"train": flights()})
    part = flights().set_column(3, "delay", [["soon"] * ROWS])
    tfrecord.write(folder / "Split-train" / "data-00001.gz", part.to_batches(), schema=part.schema)
    return folder


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (nowhere, StorageError, "does not exist"),
        (training_set_without_manifest, StorageError, "no whole artifact"),
        (feature_table_without_manifest, StorageError, "no whole artifact"),
        (half_of_the_parquet, CorruptData, "not whole Parquet"),
        (other_rows, CorruptData, "its manifest says"),
        (half_of_the_tfrecords, CorruptData, "data-00000.gz"),
        (empty, StorageError, "holds no data"),
        (no_rows, InvalidValue, "no rows"),
        (another_kind, InvalidValue, "holds a feature_set"),
        (changing_types, InvalidType, "changes its type"),
    ],
)
def test_bad_data_are_one_error_and_leave_nothing(
    broken: Callable[[Path], Path], error: type[JukeboxError], words: str, tmp_path: Path
) -> None:
    """What is broken is named, and no file is written that looks like a result."""
    data = broken(tmp_path / "data")
    with pytest.raises(error, match=words):
        describe(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "error"), [("feature { nmae: 'x' }", CorruptData), (None, StorageError)])
def test_a_schema_that_cannot_be_read_is_refused(
    text: str | None, error: type[JukeboxError], training_set: Path, tmp_path: Path
) -> None:
    """Text that is no schema and a file that is not there both name the file."""
    if text is not None:
        (tmp_path / "schema.pbtxt").write_text(text)
    with pytest.raises(error, match=r"schema\.pbtxt"):
        describe(training_set, tmp_path / "out", schema=str(tmp_path / "schema.pbtxt"))
    assert not (tmp_path / "out").exists()


def test_a_run_without_tfdv_names_the_extra(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "tensorflow_data_validation", None)
    with pytest.raises(MissingDependency, match=r"jukebox\[tfx\]"):
        describe(training_set, tmp_path)


def test_the_component_is_imported_without_tfdv() -> None:
    """TFDV costs seconds: only the pass itself brings it in."""
    code = "import sys, jukebox.feature_statistics; print([m for m in sys.modules if 'tensorflow' in m])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("place", ["out", "schema_out", "anomalies_out"])
def test_a_place_that_cannot_be_written_is_an_error(place: str, training_set: Path, tmp_path: Path) -> None:
    """The error names it, and there is no manifest that says all is well."""
    (tmp_path / "file").write_text("in the way")
    places = {name: str(tmp_path / name) for name in ("out", "schema_out", "anomalies_out")}
    with pytest.raises(StorageError, match="file"):
        feature_statistics.run(data=str(training_set), **{**places, place: str(tmp_path / "file" / "below")})
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_run_of_its_own_is_recorded_with_what_it_read_and_wrote(training_set: Path, tmp_path: Path) -> None:
    """The registry's lineage leads from the data to the statistics."""
    pytest.importorskip("ml_metadata", reason="needs pip install 'jukebox[tfx]'")
    registry = f"mlmd+sqlite://{tmp_path / 'registry.db'}"
    describe(training_set, tmp_path, registry=registry)
    lineage = open_lineage(registry)
    assert [node.uri for node in lineage.nodes_at(str(training_set))] == [str(training_set)]
    assert [node.uri for node in lineage.nodes_at(str(tmp_path / "statistics"))] == [str(tmp_path / "statistics")]


class Page(HTMLParser):
    """What a page holds: text, links, features; and elements that were never closed."""

    VOID = ("meta", "input", "br", "link", "img")

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.features: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, its links and its feature."""
        found = {name: value or "" for name, value in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [found[name] for name in ("href", "src") if name in found]
        if "data-name" in found:
            self.features.add(found["data-name"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the links of an element that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.texts.append(data)

    def text_after(self, heading: str) -> str:
        """Return the text from ``heading`` on."""
        return "".join(self.texts).partition(heading)[2]


def page_of(out: Path) -> Page:
    """Return the page that a run left."""
    return Page((out / "statistics" / "statistics.html").read_text())
