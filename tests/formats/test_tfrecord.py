"""TFRecord: what other tools read and write, and files that are not whole refused by name."""

from __future__ import annotations

import contextlib
import gzip
import struct
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn, NameClash
from jukebox.formats import Options, framing, tfrecord
from tests.formats.wire import sized

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("tfx_bsl")
tf = pytest.importorskip("tensorflow")

TABLE = pa.table(
    {
        "user": pa.array(["ü", None, ""]),
        "plays": pa.array([1, None, -3]),
        "at": pa.array([1, None, 2], pa.timestamp("ms", "UTC")),
        "day": pa.array([1, None, -2], pa.date32()),
        "premium": pa.array([True, None, False]),
        "score": pa.array([0.5, None, -0.0], pa.float64()),
        "country": pa.array(["SE", None, "DE"]).dictionary_encode(),
        "gid": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "tags": pa.array([["a", "b"], None, []]),
        "embedding": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2)),
        "never": pa.array([None, None, None], pa.int32()),
    }
)
TYPES = dict(zip(TABLE.schema.names, TABLE.schema.types, strict=True))


def written(path: Path, table: pa.Table = TABLE, gzip_level: int | None = 1) -> Path:
    """Write the table and return its path."""
    count = tfrecord.write(path, table.to_batches(), schema=table.schema, gzip_level=gzip_level)
    assert count == table.num_rows
    return path


def everything(path: Path, columns: list[str] | None = None, **options: object) -> pa.Table:
    """Read all rows of the path."""
    chosen = Options(**options)  # type: ignore[arg-type]
    return pa.Table.from_batches(tfrecord.read(path, columns=columns, options=chosen))


def frame(data: bytes) -> bytes:
    """Return one record as the format's description has it."""

    def masked(part: bytes) -> bytes:
        checksum = google_crc32c.value(part)
        return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


@pytest.mark.parametrize("gzip_level", [1, 6, None])
def test_declared_columns_come_back_as_they_were(tmp_path: Path, gzip_level: int | None) -> None:
    """Every type that an example can stand for, nulls too, and a column that is null in every row."""
    path = written(tmp_path / "t", gzip_level=gzip_level)
    assert everything(path, TABLE.column_names, types=TYPES).equals(TABLE)
    assert everything(path, ["day", "user"], types=TYPES).equals(TABLE.select(["day", "user"]))


def test_undeclared_columns_are_what_an_example_knows(tmp_path: Path) -> None:
    """Integers, floats and bytes, by name; scalars where no row has two values, lists elsewhere."""
    path = written(tmp_path / "t", TABLE.select(["user", "plays", "tags"]))
    scalars = {"plays": pa.int64(), "tags": pa.list_(pa.binary()), "user": pa.binary()}
    assert tfrecord.schema(path) == pa.schema(list(scalars.items()))
    assert everything(path)["user"].to_pylist() == ["ü".encode(), None, b""]
    lists = everything(path, ["plays"], scalars=False)
    assert lists.to_pydict() == {"plays": [[1], None, [-3]]}
    declared = tfrecord.schema(path, options=Options(types={"user": pa.string()}))
    assert declared.names == ["user", "plays", "tags"]
    assert declared.field("user").type == pa.string()


def test_a_later_file_decides_on_lists_and_kinds_too(tmp_path: Path) -> None:
    """The schema is that of all rows of all files: a second value, or a kind, may come late."""
    written(tmp_path / "a", pa.table({"x": [1, None], "y": pa.nulls(2, pa.int64())}))
    written(tmp_path / "b", pa.table({"x": [[1, 2]], "y": [7]}))
    assert everything(tmp_path).to_pydict() == {"x": [[1], None, [1, 2]], "y": [None, None, 7]}


@pytest.mark.parametrize("gzip_level", [1, None])
def test_tensorflow_reads_what_we_write(tmp_path: Path, gzip_level: int | None) -> None:
    """``tf.data`` checks every checksum and finds every row."""
    table = pa.table({"x": np.arange(1000)})
    path = written(tmp_path / "t", table, gzip_level)
    records = tf.data.TFRecordDataset(str(path), "" if gzip_level is None else "GZIP").as_numpy_iterator()
    examples = [tf.train.Example.FromString(record) for record in records]
    assert [row.features.feature["x"].int64_list.value[0] for row in examples] == list(range(1000))


@pytest.mark.parametrize("packed", ["", "GZIP"])
def test_we_read_what_tensorflow_writes(tmp_path: Path, packed: str) -> None:
    """A feature with no kind set is as missing as no feature."""
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(1.5)
    example.features.feature["y"].CopyFrom(tf.train.Feature())
    with tf.io.TFRecordWriter(str(tmp_path / "t"), packed) as writer:
        writer.write(example.SerializeToString())
        writer.write(tf.train.Example().SerializeToString())
    assert everything(tmp_path / "t").to_pydict() == {"x": [1.5, None], "y": [None, None]}


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """No time of writing, no name, and no trace of how the rows were cut into batches."""
    table = pa.table({"x": np.arange(5000), "y": [str(value % 7) for value in range(5000)]})
    one = written(tmp_path / "one", table).read_bytes()
    tfrecord.write(tmp_path / "two", table.to_batches(777), schema=table.schema)
    assert (tmp_path / "two").read_bytes() == one


def test_a_file_of_no_records_has_no_rows(tmp_path: Path) -> None:
    """Packed or plain; declared columns are there all the same."""
    schema = pa.schema([("x", pa.int64())])
    for level in (1, None):
        assert tfrecord.write(tmp_path / "t", [], schema=schema, gzip_level=level) == 0
        assert list(tfrecord.read(tmp_path / "t", columns=["x"], options=Options(types={"x": pa.int64()}))) == []
        assert tfrecord.schema(tmp_path / "t") == pa.schema([])


def test_three_bytes_are_corrupt_and_not_empty(tmp_path: Path) -> None:
    """``tf.data`` reads such a file as one without records."""
    (tmp_path / "t").write_bytes(b"abc")
    with pytest.raises(CorruptData, match=r"t is not whole TFRecord: the file ends 3 bytes into a record"):
        everything(tmp_path / "t")


@pytest.mark.parametrize("gzip_level", [1, None])
def test_a_file_cut_anywhere_is_corrupt(tmp_path: Path, gzip_level: int | None) -> None:
    """Unless it is cut between two plain records, where nothing shows."""
    data = written(tmp_path / "t", gzip_level=gzip_level).read_bytes()
    whole = {0}
    if gzip_level is None:
        size = 0
        while size < len(data):
            size += 16 + struct.unpack_from("<Q", data, size)[0]
            whole.add(size)
    for size in set(range(len(data))) - whole:
        (tmp_path / "t").write_bytes(data[:size])
        with pytest.raises(CorruptData, match=r"t is not whole TFRecord"):
            everything(tmp_path / "t", ["plays"], types=TYPES)


def test_a_flipped_bit_is_corrupt(tmp_path: Path) -> None:
    """In a length, in a checksum or in a record: every bit counts."""
    data = written(tmp_path / "t", TABLE.slice(0, 2).select(["user", "plays"]), None).read_bytes()
    for bit in range(len(data) * 8):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        (tmp_path / "t").write_bytes(broken)
        with pytest.raises(CorruptData, match=r"t is not whole TFRecord: .* at byte \d+"):
            everything(tmp_path / "t", ["plays"], types=TYPES)


def test_a_record_that_is_no_example_is_corrupt(tmp_path: Path) -> None:
    """Whole frames do not make whole messages."""
    (tmp_path / "t").write_bytes(gzip.compress(frame(b"\x0a\xff")))
    with pytest.raises(CorruptData, match=r"t is not whole TFRecord of tf.Example"):
        everything(tmp_path / "t")


def test_records_without_any_key_are_not_lost_unsaid(tmp_path: Path) -> None:
    """Rows that have no column cannot be held; with a declared column they are nulls."""
    (tmp_path / "t").write_bytes(frame(b"") * 2)
    with pytest.raises(InvalidValue, match="t has records and no key in any of them"):
        list(tfrecord.read(tmp_path / "t"))
    assert everything(tmp_path / "t", ["x"], types={"x": pa.int64()}).to_pydict() == {"x": [None, None]}


def test_a_plain_record_may_look_like_gzip(tmp_path: Path) -> None:
    """A record of 0x088b1f bytes begins as gzip does; its checksum tells them apart."""
    table = pa.table({"x": ["y" * (0x088B1F - 23)]})
    path = written(tmp_path / "t", table, None)
    assert path.read_bytes()[:3] == b"\x1f\x8b\x08"
    assert everything(path, types={"x": pa.string()}).equals(table)


def test_records_longer_than_a_block_are_read(tmp_path: Path) -> None:
    """Twenty megabytes in one value, and small ones around it."""
    table = pa.table({"x": ["a", "b" * 20_000_000, "c"]})
    for level in (1, None):
        assert everything(written(tmp_path / "t", table, level), types={"x": pa.string()}).equals(table)


def test_a_value_that_does_not_fit_its_declared_type_is_named(tmp_path: Path) -> None:
    """Two values for a scalar, another kind, no truth, no text, another size: file and key are named."""
    table = pa.table({"l": [[1, 2]], "i": [5], "b": [b"\xff"]})
    path = written(tmp_path / "t", table)
    for name, kind, words in (
        ("l", pa.int64(), "holds 2 values"),
        ("l", pa.list_(pa.int64(), 3), "holds 2 values"),
        ("i", pa.bool_(), "neither 0 nor 1"),
        ("b", pa.string(), "does not hold string"),
        ("b", pa.binary(2), "not 2 bytes long"),
    ):
        with pytest.raises(InvalidValue, match=f"t: .*'{name}'.*{words}"):
            everything(path, [name], types={name: kind})
    with pytest.raises(
        InvalidType, match=r"key 'i' of .*t holds another kind .*: it holds integers, at byte 29, in record 0"
    ):
        everything(path, ["i"], types={"i": pa.string()})


def test_two_kinds_under_one_key_are_refused(tmp_path: Path) -> None:
    """In one file or in two."""
    written(tmp_path / "a", pa.table({"x": [1]}))
    written(tmp_path / "b", pa.table({"x": [1.0]}))
    with pytest.raises(InvalidType, match="'x' holds int64 in some records and float in others"):
        everything(tmp_path)


def test_a_missing_key_is_named_with_those_there_are(tmp_path: Path) -> None:
    """A declared one is null instead, as a missing key means null."""
    path = written(tmp_path / "t", pa.table({"x": [1]}))
    with pytest.raises(MissingColumn, match=r"'y' is not in .*it has 'x'"):
        tfrecord.read(path, columns=["y"])
    assert everything(path, ["y"], types={"y": pa.string()}).to_pydict() == {"y": [None]}


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a temporary one; a column that cannot be held is refused before."""

    def breaking() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"x": [1]})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfrecord.write(tmp_path / "t", breaking(), schema=pa.schema([("x", pa.int64())]))
    with pytest.raises(InvalidType, match="'x'"):
        tfrecord.write(tmp_path / "t", [], schema=pa.schema([("x", pa.decimal128(5, 2))]))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(frame)))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """No bytes make another error than those that Jukebox raises on purpose."""
    (tmp_path / "t").write_bytes(data)
    with contextlib.suppress(CorruptData, InvalidType, InvalidValue):
        list(tfrecord.read(tmp_path / "t"))


def sequence(context: dict[str, bytes], lists: dict[str, list[bytes]]) -> bytes:
    """Return a SequenceExample of features that are serialized already."""

    def entry(name: str, value: bytes) -> bytes:
        return sized(1, sized(1, name.encode()) + sized(2, value))

    features = b"".join(entry(name, value) for name, value in context.items())
    nested = [entry(name, b"".join(sized(1, each) for each in values)) for name, values in lists.items()]
    return sized(1, features) + sized(2, b"".join(nested))


def integers(*values: int) -> bytes:
    """Return a feature of integers."""
    return sized(3, sized(1, bytes(values)))


def test_feature_lists_are_lists_of_lists(tmp_path: Path) -> None:
    """A feature without a kind is a null in its list, a missing key a null; no features are an empty list."""
    rows = [
        sequence({"user": sized(1, sized(1, b"a"))}, {"plays": [integers(1, 2), integers(), b""]}),
        sequence({"user": sized(1, sized(1, b"b"))}, {"plays": []}),
        sequence({}, {}),
    ]
    (tmp_path / "t").write_bytes(b"".join(map(frame, rows)))
    plays = [[[1, 2], [], None], [], None]
    assert tfrecord.schema(tmp_path / "t").field("plays").type == pa.list_(pa.list_(pa.int64()))
    assert everything(tmp_path / "t").to_pydict() == {"plays": plays, "user": [b"a", b"b", None]}
    for kind in (pa.list_(pa.large_list(pa.int8())), pa.large_list(pa.list_(pa.float64()))):
        with pytest.raises(InvalidType) if kind.value_type.value_type == pa.float64() else contextlib.nullcontext():
            declared = everything(tmp_path / "t", ["plays"], types={"plays": kind})["plays"]
            assert declared.type == kind
            assert declared.to_pylist() == plays


def test_a_list_of_lists_of_another_size_than_declared_is_refused(tmp_path: Path) -> None:
    """Lists of a fixed size hold that many."""
    (tmp_path / "t").write_bytes(frame(sequence({}, {"x": [integers(1, 2), integers(3, 4)]})))
    kind = pa.list_(pa.list_(pa.int64(), 2))
    assert everything(tmp_path / "t", ["x"], types={"x": kind}).to_pydict() == {"x": [[[1, 2], [3, 4]]]}
    (tmp_path / "t").write_bytes(frame(sequence({}, {"x": [integers(1, 2), integers(3)]})))
    with pytest.raises(InvalidValue, match="a row holds 1 values"):
        everything(tmp_path / "t", ["x"], types={"x": kind})


def test_a_key_among_features_and_feature_lists_is_refused(tmp_path: Path) -> None:
    """In one record or in two; asked for with a type, the one that has it is read."""
    both = frame(sequence({"x": integers(1)}, {"x": [integers(2)]}))
    for data in (both, frame(sequence({"x": integers(1)}, {})) + frame(sequence({}, {"x": [integers(2)]}))):
        (tmp_path / "t").write_bytes(data)
        with pytest.raises(NameClash, match="'x' among the features and among the feature lists too"):
            everything(tmp_path / "t")
    (tmp_path / "t").write_bytes(both)
    assert everything(tmp_path / "t", ["x"], types={"x": pa.int64()}).to_pydict() == {"x": [1]}
    nested = pa.list_(pa.list_(pa.int64()))
    assert everything(tmp_path / "t", ["x"], types={"x": nested}).to_pydict() == {"x": [[[2]]]}


@pytest.mark.parametrize("gzip_level", [1, None])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 3), (2, 7), (5, 10), (9, 99), (99, 100)])
def test_rows_are_counted_through_all_files(tmp_path: Path, first: int, last: int, gzip_level: int | None) -> None:
    """Those from the first up to the last, however files and blocks are cut; beyond the end there are none."""
    table = pa.table({"x": range(10)})
    for number, start in enumerate((0, 4, 4, 9)):
        written(tmp_path / f"{number}", table.slice(start, (4, 0, 5, 1)[number]), gzip_level)
    options = Options(types={"x": pa.int64()})
    found = tfrecord.read(tmp_path, columns=["x"], rows=(first, last), options=options)
    assert [value for batch in found for value in batch["x"].to_pylist()] == list(range(10))[first:last]


def test_rows_after_the_last_are_not_looked_at(tmp_path: Path) -> None:
    """A later file may be broken; a range that is none is refused before anything is read."""
    written(tmp_path / "a", pa.table({"x": [1, 2]}))
    (tmp_path / "b").write_bytes(b"abc")
    options = Options(types={"x": pa.int64()})
    assert [batch.num_rows for batch in tfrecord.read(tmp_path, columns=["x"], rows=(1, 2), options=options)] == [1]
    with pytest.raises(CorruptData, match="b is not whole TFRecord"):
        list(tfrecord.read(tmp_path, columns=["x"], rows=(1, 3), options=options))
    with pytest.raises(InvalidValue, match=r"rows is \(-1, 3\)"):
        tfrecord.read(tmp_path, columns=["x"], rows=(-1, 3), options=options)


def test_a_broken_record_is_told_with_its_place(tmp_path: Path) -> None:
    """File, byte and record, counted through blocks."""
    whole = frame(sequence({"x": integers(1)}, {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "READ_BYTES", 100)
        (tmp_path / "t").write_bytes(whole * 50 + frame(b"\x0a\x05"))
        with pytest.raises(CorruptData, match=rf"t is not whole .*: .*, at byte {50 * len(whole) + 13}, in record 50$"):
            everything(tmp_path / "t")
        (tmp_path / "t").write_bytes(whole * 50 + whole[:-1] + b"x")
        with pytest.raises(CorruptData, match=rf"checksum of a record.*, at byte {50 * len(whole)}, in record 50$"):
            everything(tmp_path / "t")
