"""Bytes that were changed, in every format: read as rows, or refused with an error of Jukebox that names the file."""

from __future__ import annotations

import gzip
import struct
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jukebox.errors import CorruptData, JukeboxError
from jukebox.formats import Options, format_named

ROWS = 40
TABLE = pa.table(
    {
        "n": pa.array([None if row % 7 == 0 else row * 1_000_003 for row in range(ROWS)], pa.int64()),
        "d": pa.array([row / 8 for row in range(ROWS)]),
        "s": pa.array([f"word {row}" * (row % 3) for row in range(ROWS)]),
        "b": pa.array([row % 2 == 0 for row in range(ROWS)]),
    }
)
NESTED = TABLE.append_column("l", pa.array([[row, None] * (row % 3) for row in range(ROWS)], pa.list_(pa.int64())))
NESTED = NESTED.append_column("r", pa.array([{"a": str(row), "b": row} for row in range(ROWS)]))
# Format, what it writes, and how.
FILES: dict[str, tuple[str, pa.Table, dict[str, Any]]] = {
    "parquet": ("parquet", NESTED, {}),
    "parquet plain": ("parquet", TABLE, {"compression": "none"}),
    "tfrecord": ("tfrecord", TABLE, {}),
    "tfrecord plain": ("tfrecord", TABLE, {"gzip_level": None}),
    **{
        f"avro {codec}": ("avro", NESTED, {"codec": codec, "block_rows": 16})
        for codec in ("null", "deflate", "snappy", "zstandard")
    },
    "csv": ("csv", TABLE, {}),
    "jsonl": ("jsonl", NESTED, {}),
}
# These carry a checksum of every byte that holds rows.
CHECKED = {"tfrecord", "tfrecord plain"}


@cache
def whole(name: str, folder: Path) -> bytes:
    """Return the bytes of a good file."""
    form, table, options = FILES[name]
    path = folder / "good"
    format_named(form).write(path, table.to_batches(), schema=table.schema, **options)
    return path.read_bytes()


@st.composite
def changed(draw: st.DrawFn, size: int) -> tuple[str, list[tuple[int, int]]]:
    """Draw a cut, some flipped bits, overwritten bytes or a repeated piece."""
    kind = draw(st.sampled_from(["cut", "flip", "set", "twice", "drop"]))
    places = st.integers(0, max(0, size - 1))
    if kind == "flip":
        return kind, draw(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=4))
    if kind == "set":
        return kind, draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12))
    return kind, [(draw(places), draw(st.integers(1, 64)))]


def apply(data: bytes, change: tuple[str, list[tuple[int, int]]]) -> bytes:
    """Return the data with the change."""
    kind, places = change
    found = bytearray(data)
    at, size = places[0]
    if kind == "cut":
        return data[:at]
    if kind == "twice":
        return data[: at + size] + data[at:]
    if kind == "drop":
        return data[:at] + data[at + size :]
    for place, value in places:
        found[place] = found[place] ^ (1 << value) if kind == "flip" else value
    return bytes(found)


@pytest.mark.parametrize("name", list(FILES))
def test_changed_bytes_are_rows_or_an_error_of_ours(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No other exception, no crash, no batch that does not hold together, and no error without the file's name."""
    folder = tmp_path_factory.mktemp("fuzz")
    data = whole(name, folder)
    form, table, _ = FILES[name]
    path = folder / f"bad{format_named(form).SUFFIX}"
    options = Options(types={field.name: field.type for field in table.schema}) if form != "avro" else Options()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(len(data)))
    def run(change: tuple[str, list[tuple[int, int]]]) -> None:
        bad = apply(data, change)
        path.write_bytes(bad)
        try:
            batches = list(format_named(form).read(path, options=options))
        except JukeboxError as exc:
            assert path.name in str(exc)  # noqa: PT017  either outcome is allowed, but an error names the file
            return
        for batch in batches:
            batch.validate(full=True)
        if name in CHECKED and bad != data and change[0] != "cut":
            rows = sum(batch.num_rows for batch in batches)
            # Repeating or dropping whole records leaves a file that is whole.
            assert change[0] in {"twice", "drop"} or pa.Table.from_batches(batches).equals(table), rows

    run()


@pytest.mark.parametrize("form", ["parquet", "tfrecord", "avro", "csv", "jsonl"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"Obj\x01" + tail))
@example(data=b"")
@example(data=b"abc")
@example(data=b"PAR1")
@example(data=b"PAR1" + b"\xff" * 12 + b"PAR1")
@example(data=b"Obj\x01")
@example(data=b"Obj\x01\x02\x16avro.schema\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(data=b"\x1f\x8b\x08")
@example(data=gzip.compress(b"abc"))
@example(data=struct.pack("<QI", 1 << 62, 0))
@example(data=b'{"a":' * 2_000)
@example(data=b"[" * 100_000)
@example(data=b"null")
@example(data=b'{"a": 1}\n null\n')
@example(data=b'{"a": 1} null')
@example(data=b'"' + b"a" * 200_000)
def test_any_bytes_are_rows_or_an_error_of_ours(tmp_path: Path, form: str, data: bytes) -> None:
    """Whatever a file holds, under any name."""
    path = tmp_path / f"any{format_named(form).SUFFIX}"
    path.write_bytes(data)
    try:
        for batch in format_named(form).read(path):
            batch.validate(full=True)
    except JukeboxError as exc:
        assert path.name in str(exc)  # noqa: PT017  either outcome is allowed, but an error names the file


@pytest.mark.parametrize("size", [1, 2, 3, 11, 12, 13])
@pytest.mark.parametrize("packed", [False, True])
def test_a_tfrecord_of_some_bytes_is_not_empty(tmp_path: Path, size: int, *, packed: bool) -> None:
    """tf.data reads a file of 3 bytes as one without records; here it is cut off within its first record."""
    data = whole("tfrecord plain", tmp_path)[:size]
    path = tmp_path / "short.tfrecord"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(CorruptData, match=r"short\.tfrecord is not whole"):
        list(format_named("tfrecord").read(path, options=Options(types={"n": pa.int64()})))


def external() -> Path | None:
    """Return the folder of TFX's own test data, None where its wheel is not installed or has none."""
    try:
        files = distribution("tfx").files or []
    except PackageNotFoundError:
        return None
    found = [file for file in files if file.match("testdata/external/avro/data.avro")]
    return Path(str(found[0].locate())).parents[1] if found else None


EXTERNAL = external()
tfx_data = pytest.mark.skipif(
    EXTERNAL is None, reason="TFX's wheel with its test data is not here; pip install 'jukebox[tfx]'"
)


@tfx_data
@pytest.mark.parametrize("name", ["csv/data.csv", "parquet/data.parquet", "avro/data.avro"])
def test_tfx_files_of_one_table_hold_the_same(name: str) -> None:
    """Written by other tools: 10,000 taxi rides whose fares add up to the same."""
    assert EXTERNAL is not None
    batches = list(format_named(name.partition("/")[0]).read(EXTERNAL / name, columns=["fare"]))
    table = pa.Table.from_batches(batches)
    assert table.num_rows == 10_000
    assert pc.sum(table["fare"]).as_py() == pytest.approx(126_155.11, abs=0.005)


@tfx_data
def test_tfx_records_hold_their_rides() -> None:
    """Gzip TFRecords of two shards: 15,000 rides."""
    assert EXTERNAL is not None
    table = pa.Table.from_batches(list(format_named("tfrecord").read(EXTERNAL / "tfrecord", columns=["fare"])))
    assert table.num_rows == 15_000
    assert pc.sum(table["fare"]).as_py() == pytest.approx(176_532.53, abs=0.005)
