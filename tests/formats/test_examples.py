"""TFX Examples that others wrote: what lies in TFX's own wheel, and what its example generators leave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NoPartition
from jukebox.formats import Options, parquet, tfrecord
from jukebox.formats.examples import open_examples
from jukebox.formats.framing import records
from jukebox.formats.spans import newest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jukebox.formats.examples import Examples

TABLE = pa.table({"city": [f"town-{row % 7}" for row in range(60)], "plays": range(60), "rate": [0.5] * 60})
TYPES = {"city": pa.string(), "plays": pa.int64(), "rate": pa.float64()}


@pytest.fixture(scope="module")
def wheel() -> Path:
    """Return the data that TFX tests itself with."""
    tfx = pytest.importorskip("tfx", reason="TFX is not installed: pip install 'jukebox[tfx]'")
    found = Path(tfx.__path__[0]) / "components" / "testdata"
    if not found.is_dir():
        pytest.skip("this release of TFX has no test data in its wheel; 1.16 has")
    return found


def generated(executor: Any, source: Path, out: Path, **properties: Any) -> Examples:
    """Return what an example generator of TFX leaves of the source, in two splits, as its artifact describes it."""
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    artifact = standard_artifacts.Examples()
    artifact.uri = str(out)
    buckets = [("train", 2), ("eval", 1)]
    splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=count) for name, count in buckets]
    given = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="*")])
    made = example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))
    told = {
        "input_base": str(source),
        "input_config": proto_utils.proto_to_json(given),
        "output_config": proto_utils.proto_to_json(made),
        "output_data_format": example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE,
        "output_file_format": example_gen_pb2.FileFormat.FORMAT_TFRECORDS_GZIP,
    }
    executor().Do({}, {"examples": [artifact]}, told | properties)
    return open_examples(str(out), artifact.get_string_custom_property("payload_format"))


def everything(examples: Examples, types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Return the rows of all splits."""
    options = Options(types=types)
    columns = None if types is None else list(types)
    parts = [batch for split in examples.splits for batch in examples.read(split, columns=columns, options=options)]
    return pa.Table.from_batches(parts)


def test_the_records_in_the_wheel_are_read(wheel: Path) -> None:
    """As many and as much as other readers find."""
    table = pa.Table.from_batches(tfrecord.read(wheel / "external" / "tfrecord", columns=["fare", "company"]))
    assert table.num_rows == 15_000
    assert round(pc.sum(table["fare"].cast(pa.float64())).as_py(), 2) == 176_532.53


def test_the_splits_in_the_wheel_are_read(wheel: Path) -> None:
    """Both splits; a folder beside them is none."""
    examples = open_examples(str(wheel / "csv_example_gen"), "FORMAT_TF_EXAMPLE")
    assert examples.splits == ("train", "eval")
    rows = {split: sum(batch.num_rows for batch in examples.read(split, columns=["fare"])) for split in examples.splits}
    assert rows == {"train": 9_909, "eval": 5_091}


def test_sequence_examples_in_the_wheel_are_what_tensorflow_reads(wheel: Path) -> None:
    """Context features are columns, feature lists are lists of lists, and every row is the same."""
    tf = pytest.importorskip("tensorflow")
    examples = open_examples(str(wheel / "tfrecord_sequence"), "FORMAT_TF_SEQUENCE_EXAMPLE")
    texts = pa.list_(pa.list_(pa.string()))
    table = everything(examples, {"i": pa.int64(), "f": pa.float32(), "s": texts})
    assert examples.schema("eval").field("s").type == pa.list_(pa.list_(pa.binary()))
    assert table.num_rows == 15_000
    wanted = []
    for split in examples.splits:
        for file in sorted((wheel / "tfrecord_sequence" / f"Split-{split}").iterdir()):
            for record in (record for some in records(file) for record in some):
                read = tf.train.SequenceExample.FromString(record)
                features = read.feature_lists.feature_list["s"].feature
                integers, floats = (read.context.feature[name] for name in ("i", "f"))
                wanted.append(
                    {
                        "i": next(iter(integers.int64_list.value), None),
                        "f": next(iter(floats.float_list.value), None),
                        "s": [[text.decode() for text in feature.bytes_list.value] for feature in features],
                    }
                )
    assert table.to_pylist() == wanted


def test_what_the_csv_example_gen_writes_is_read(wheel: Path, tmp_path: Path) -> None:
    """Every row of the CSV file is in one of the splits, with its null, and the artifact's payload format fits."""
    del wheel
    from tfx.components.example_gen.csv_example_gen.executor import Executor

    (tmp_path / "in").mkdir()
    lines = [f"{row['city']},{row['plays']},{row['rate']}" for row in TABLE.to_pylist()]
    (tmp_path / "in" / "rows.csv").write_text("city,plays,rate\n" + "\n".join([*lines, ",60,"]) + "\n")
    examples = generated(Executor, tmp_path / "in", tmp_path / "out")
    assert examples.payload == "FORMAT_TF_EXAMPLE"
    table = everything(examples, TYPES).sort_by([("plays", "ascending")])
    assert table.slice(0, 60).equals(TABLE)
    assert table.slice(60).to_pylist() == [{"city": None, "plays": 60, "rate": None}]
    assert all(batch.num_rows > 0 for split in examples.splits for batch in examples.lists(split))


def test_what_the_import_example_gen_writes_as_parquet_is_read(wheel: Path, tmp_path: Path) -> None:
    """Files of Parquet in the same layout, under another payload format."""
    del wheel
    from tfx.components.example_gen.import_example_gen.executor import Executor
    from tfx.proto import example_gen_pb2

    parquet.write(tmp_path / "in" / "rows.parquet", TABLE.to_batches(), schema=TABLE.schema)
    payload = example_gen_pb2.PayloadFormat.FORMAT_PARQUET
    # TFX 1.16 knows no name for the property file_format of Parquet, and fails where one is asked for.
    examples = generated(Executor, tmp_path / "in", tmp_path / "out", output_data_format=payload, output_file_format=0)
    assert examples.payload == "FORMAT_PARQUET"
    assert everything(examples).sort_by([("plays", "ascending")]).to_pydict() == TABLE.to_pydict()


def written(folder: Path, *splits: str) -> Path:
    """Write a split of one row into each of the folders."""
    for split in splits:
        table = pa.table({"x": [split]})
        tfrecord.write(folder / f"Split-{split}" / "data.gz", table.to_batches(), schema=table.schema)
    return folder


def test_rows_and_columns_of_a_split_are_chosen(tmp_path: Path) -> None:
    """By name and by number; a split or a column that is not there is named with those that are."""
    table = pa.table({"x": range(10), "y": range(10)})
    for number in (0, 5):
        part = table.slice(number, 5)
        tfrecord.write(tmp_path / "Split-all" / f"part-{number}.gz", part.to_batches(), schema=table.schema)
    examples = open_examples(str(tmp_path))
    found = pa.Table.from_batches(examples.read("all", columns=["y"], rows=(3, 7)))
    assert found.to_pydict() == {"y": [3, 4, 5, 6]}
    with pytest.raises(InvalidValue, match=r"split 'eval' is not in .*; it has all"):
        examples.read("eval")
    with pytest.raises(MissingColumn, match="'z'"):
        examples.read("all", columns=["z"])
    with pytest.raises(InvalidValue, match=r"rows is \(3, 2\)"):
        examples.read("all", rows=(3, 2))


def test_other_payloads_and_other_folders_are_refused(tmp_path: Path) -> None:
    """Protocol buffers of another kind, files that are not what is said of them, two formats, and no split."""
    written(tmp_path / "a", "train")
    with pytest.raises(InvalidType, match="'FORMAT_PROTO' cannot be read; these can: FORMAT_TF_EXAMPLE"):
        open_examples(str(tmp_path / "a"), "FORMAT_PROTO")
    with pytest.raises(InvalidType, match="Split-train holds other files than FORMAT_PARQUET"):
        open_examples(str(tmp_path / "a"), "FORMAT_PARQUET").read("train")
    parquet.write(tmp_path / "a" / "Split-train" / "b.parquet", TABLE.to_batches(), schema=TABLE.schema)
    with pytest.raises(InvalidType, match="Split-train holds Parquet and other files"):
        open_examples(str(tmp_path / "a")).schema("train")
    with pytest.raises(InvalidValue, match="holds no Examples: it has no folder Split-"):
        open_examples(str(tmp_path))


def test_the_newest_span_and_version_are_meant_unless_others_are_asked(tmp_path: Path) -> None:
    """By number and not by text; the version is that of the span."""
    for span, version in ((2, 1), (2, 3), (10, 1), (10, 2), (9, 7)):
        written(tmp_path / f"span-{span}" / f"v{version}", f"s{span}v{version}")
    (tmp_path / "span-x").mkdir()
    pattern = f"{tmp_path}/span-{{SPAN}}/v{{VERSION}}"
    for asked, span, version in (({}, 10, 2), ({"span": 2}, 2, 3), ({"version": 1}, 10, 1)):
        examples = open_examples(pattern, **asked)
        assert (examples.span, examples.version, examples.splits) == (span, version, (f"s{span}v{version}",))
    with pytest.raises(NoPartition, match="span 11 and version 2"):
        open_examples(pattern, span=11, version=2)


def test_dates_are_spans(tmp_path: Path) -> None:
    """Counted in days from 1970; what is no date is none, and a width holds."""
    for day in ("1970-01-03", "2024-02-29", "2024-02-30", "2024-3-01"):
        (tmp_path / day).mkdir()
    found = newest(f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}")
    assert (found.place.name, found.span) == ("2024-02-29", 19_782)
    assert newest(f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}", span=2).place.name == "1970-01-03"
    with pytest.raises(NoPartition, match="nothing lies at"):
        newest(f"{tmp_path}/{{SPAN:3}}")


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=5))
def test_the_newest_is_the_greatest(spans: set[int]) -> None:
    """Whatever the numbers are, and however they are padded."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for span in spans:
            (Path(folder) / f"{span:05d}").mkdir()
        assert newest(f"{folder}/{{SPAN:5}}").span == max(spans)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("v{VERSION}", "a version of no span"),
        ("{SPAN}/{SPAN}", "a field twice"),
        ("{SPAN}/{YYYY}-{MM}-{DD}", "a span is SPAN, or YYYY, MM and DD"),
        ("{YYYY}-{MM}", "a span is SPAN, or YYYY, MM and DD"),
    ],
)
def test_patterns_that_tfx_would_not_take_are_refused(pattern: str, words: str) -> None:
    """Before anything is looked for."""
    with pytest.raises(InvalidValue, match=words):
        newest(pattern)
