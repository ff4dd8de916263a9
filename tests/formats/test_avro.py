"""Avro: files of our own and of fastavro, held against fastavro; bad files are refused with file and byte."""

from __future__ import annotations

import base64
import io
import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.errors import CorruptData, InvalidType, InvalidValue, NameClash
from jukebox.formats import avro, avro_rows
from jukebox.formats.avro_columns import columns_of
from jukebox.formats.avro_container import MARK_BYTES, varint
from jukebox.formats.avro_parsing import Parser
from jukebox.formats.avro_schema import avro_of, program
from tests.formats.kinds import FORMATS, kinds

if TYPE_CHECKING:
    from pathlib import Path

CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
TABLE = pa.table(
    {f"x{at}": kind.values for at, kind in enumerate(kinds()) if kind.cells[FORMATS.index("avro")].disk != "refused"}
)
coded = pytest.mark.parametrize("coder", [avro.coder, avro_rows], ids=["compiled", "fastavro"])
compiled = pytest.mark.skipif(
    avro.coder is avro_rows, reason="the coder of Avro was not compiled here; a C compiler and `make` bring it"
)


@pytest.fixture
def by(coder: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read and write with one of the two coders."""
    monkeypatch.setattr(avro, "coder", coder)
    return coder


def record(**types: Any) -> dict[str, Any]:
    """Return the schema of a record."""
    return {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}


def saved(folder: Path, schema: dict[str, Any], rows: list[dict[str, Any]], **options: Any) -> Path:
    """Write rows by fastavro."""
    with (folder / "t.avro").open("wb") as stream:
        fastavro.writer(stream, schema, rows, **options)
    return folder / "t.avro"


def raw(folder: Path, schema: Any, body: bytes, rows: int = 1, codec: bytes = b"null") -> Path:
    """Write one block of these bytes."""
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    mark = b"m" * MARK_BYTES
    notes = [b"avro.schema", text, b"avro.codec", codec]
    head = b"Obj\x01" + varint(2) + b"".join(varint(len(note)) + note for note in notes) + varint(0) + mark
    (folder / "t.avro").write_bytes(head + varint(rows) + varint(len(body)) + body + mark)
    return folder / "t.avro"


def everything(path: Path, **options: Any) -> pa.Table:
    """Read all rows."""
    return pa.Table.from_batches(list(avro.read(path, **options)), None if options else avro.schema(path))


@coded
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_keeps_every_type(tmp_path: Path, by: Any, codec: str) -> None:  # noqa: ARG001
    """What is written in small blocks of any codec is read again, types and values."""
    avro.write(tmp_path / "t.avro", TABLE.to_batches(), schema=TABLE.schema, codec=codec, block_rows=2)
    found = everything(tmp_path / "t.avro")
    assert found.schema == TABLE.schema
    assert str(found.to_pylist()) == str(TABLE.to_pylist())


def test_both_coders_write_the_same_bytes() -> None:
    """The compiled one is held against fastavro, from the first row and from one in the middle."""
    root = avro._retyped(Parser("t").root(json.dumps(avro_of(TABLE.schema)).encode()), TABLE.schema)
    packed = program(root, set(TABLE.schema.names))
    columns = avro._columns(TABLE.to_batches()[0], root)
    for start, rows in ((0, 5), (2, 2), (5, 0)):
        assert avro.coder.encode(packed, columns, start, rows) == avro_rows.encode(packed, columns, start, rows)


@pytest.mark.parametrize("codec", CODECS)
def test_fastavro_reads_what_we_write(tmp_path: Path, codec: str) -> None:
    """Another reader sees the values under Avro's own types."""
    table = pa.table(
        {
            "n": pa.array([Decimal("1.25"), None], pa.decimal128(5, 2)),
            "at": pa.array([datetime(2024, 1, 1, tzinfo=timezone.utc), None]),
            "day": pa.array([date(2024, 1, 1), None]),
            "l": pa.array([[1, None], []], pa.list_(pa.int8())),
            "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "r": pa.array([{"a": "x"}, None]),
            "e": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
        }
    )
    avro.write(tmp_path / "t.avro", table.to_batches(), schema=table.schema, codec=codec)
    with (tmp_path / "t.avro").open("rb") as stream:
        found = list(fastavro.reader(stream))
    assert found == [{**row, "m": None if row["m"] is None else dict(row["m"])} for row in table.to_pylist()]


@coded
@pytest.mark.parametrize("codec", CODECS)
def test_what_fastavro_writes_is_read(tmp_path: Path, by: Any, codec: str) -> None:  # noqa: ARG001
    """Named types, either order of a union, enums, maps, and blocks of a few rows."""
    point = {"type": "record", "name": "p", "namespace": "geo", "fields": [{"name": "x", "type": "double"}]}
    schema = record(
        id="long",
        name=["string", "null"],
        at=["null", {"type": "long", "logicalType": "timestamp-millis"}],
        kind={"type": "enum", "name": "k", "symbols": ["A", "B"]},
        here=point,
        there=["null", "geo.p"],
        path={"type": "array", "items": "geo.p"},
        tags={"type": "map", "values": ["null", "int"]},
        raw={"type": "fixed", "name": "f", "size": 2},
        price={"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        nothing="null",
    )
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    rows = [
        {
            "id": number - 50,
            "name": None if number % 3 == 0 else f"n{number}",
            "at": None if number % 2 else moment,
            "kind": "AB"[number % 2],
            "here": {"x": number / 2},
            "there": None if number % 5 else {"x": -1.0},
            "path": [{"x": 0.5}] * (number % 4),
            "tags": {"a": number, "b": None} if number % 2 else {},
            "raw": b"ab",
            "price": Decimal(number - 50) * Decimal("1000.01"),
            "nothing": None,
        }
        for number in range(100)
    ]
    found = everything(saved(tmp_path, schema, rows, codec=codec, sync_interval=100))
    assert [{**row, "tags": dict(row["tags"])} for row in found.to_pylist()] == rows
    assert found.schema.field("id").nullable is False
    chosen = pa.Table.from_batches(list(avro.read(tmp_path / "t.avro", columns=["tags", "id"])))
    assert chosen.equals(found.select(["tags", "id"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "i": st.none() | st.integers(-(2**31), 2**31 - 1),
                "l": st.integers(-(2**63), 2**63 - 1),
                "d": st.none() | st.floats(allow_nan=False),
                "s": st.none() | st.text(max_size=5),
                "a": st.none() | st.lists(st.none() | st.binary(max_size=3), max_size=3),
                "r": st.none()
                | st.fixed_dictionaries({"b": st.booleans(), "x": st.lists(st.integers(0, 9), max_size=2)}),
            }
        ),
        max_size=20,
    ),
    st.integers(1, 7),
)
def test_rows_come_back_and_fastavro_sees_the_same(tmp_path: Path, rows: list[dict[str, Any]], size: int) -> None:
    """Any rows, in blocks of any size, sliced out of a larger table."""
    inner = pa.struct([("b", pa.bool_()), ("x", pa.list_(pa.int32()))])
    types = {
        "i": pa.int32(),
        "l": pa.int64(),
        "d": pa.float64(),
        "s": pa.string(),
        "a": pa.list_(pa.binary()),
        "r": inner,
    }
    table = pa.Table.from_pylist([*rows[:1], *rows], pa.schema(types)).slice(len(rows[:1]))
    avro.write(tmp_path / "t.avro", table.to_batches(), schema=table.schema, block_rows=size)
    assert everything(tmp_path / "t.avro").to_pylist() == rows
    with (tmp_path / "t.avro").open("rb") as stream:
        assert list(fastavro.reader(stream)) == rows


@coded
@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        (["null", "long"], b"\x04\x02", "a union"),
        (["null", "long"], b"\x01\x02", "a union"),
        ("boolean", b"\x02", "boolean"),
        ("long", b"\x02\x02", "its rows end before its bytes do"),
        ("long", b"", "claims"),
        ("long", b"\xff" * 10, "64 bits"),
        ("int", b"\xfe\xff\xff\xff\xff\x01", "32 bits"),
        ("string", b"\x80\x80\x80\x80\x20", "longer"),
        ("string", b"\x01", "longer"),
        ("bytes", b"\x08ab", "longer"),
        ({"type": "fixed", "name": "f", "size": 3}, b"ab", "claims 1 rows"),
        ({"type": "array", "items": "long"}, b"\x06\x02", "array"),
        ({"type": "array", "items": "long"}, b"\xfe\xff\xff\xff\xff\x01", "array"),
        ({"type": "array", "items": "long"}, b"\x01\x80\x01\x02\x00", "array"),
        ({"type": "array", "items": "long"}, b"\x02\x02", "cut off"),
    ],
)
def test_rows_that_are_not_whole_are_corrupt(tmp_path: Path, by: Any, kind: Any, body: bytes, why: str) -> None:  # noqa: ARG001
    """The error says why, with the byte; a length is not believed before its bytes are there."""
    with pytest.raises(CorruptData, match=f"t.avro is not whole Avro: .*{why}.*byte"):
        everything(raw(tmp_path, record(c=kind), body))


@coded
def test_text_that_is_no_utf8_and_an_enum_out_of_range_are_corrupt(tmp_path: Path, by: Any) -> None:  # noqa: ARG001
    """They would be a text, and a symbol, that nobody can read."""
    with pytest.raises(CorruptData, match=r"column 'c'.*byte"):
        everything(raw(tmp_path, record(c="string"), b"\x02\xff"))
    with pytest.raises(CorruptData, match=r"column 'c'.*byte"):
        everything(raw(tmp_path, record(c={"type": "enum", "name": "e", "symbols": ["A"]}), b"\x02"))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (b"{", "its schema is none"),
        (b"[]", "union"),
        (b'"long"', "not records"),
        (b'{"type": "record", "name": "r"}', "its schema is none"),
        (record(c="strange"), "unknown type 'strange'"),
        (record(c=["null", "long", "string"]), "column 'c' .*union of null, long, string"),
        (record(c=["long"]), "union of long"),
        (record(c=[]), "union of"),
        (record(c=["null", "null"]), "union"),
        (record(c={"type": "array", "items": "null"}), "takes no bytes"),
        (record(c={"type": "fixed", "name": "f", "size": -1}), "fixed to -1"),
        (record(c={"type": "record", "name": "s", "fields": [{"name": "s", "type": ["null", "s"]}]}), "holds itself"),
    ],
)
def test_schemas_that_no_columns_hold_are_refused(tmp_path: Path, schema: Any, why: str) -> None:
    """The message names the column."""
    with pytest.raises((CorruptData, InvalidType), match=why):
        avro.schema(raw(tmp_path, schema, b""))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Names tell columns apart."""
    schema = {"type": "record", "name": "r", "fields": [{"name": "c", "type": "int"}] * 2}
    with pytest.raises(NameClash, match="'c'"):
        avro.schema(raw(tmp_path, schema, b""))


def test_a_union_of_three_does_not_stop_other_columns_being_named(tmp_path: Path) -> None:
    """The whole file is refused by the column that cannot be held, not silently without it."""
    path = saved(tmp_path, record(a="long", c=["null", "long", "string"]), [{"a": 1, "c": "x"}])
    with pytest.raises(InvalidType, match="'c'"):
        list(avro.read(path, columns=["a"]))


def test_an_unknown_codec_is_named(tmp_path: Path) -> None:
    """The message lists those that are known; nothing is written under another."""
    with pytest.raises(InvalidValue, match="'lz9'; those known are null, deflate, snappy, zstandard"):
        avro.schema(raw(tmp_path, record(c="long"), b"\x02", codec=b"lz9"))
    (tmp_path / "t.avro").unlink()
    with pytest.raises(InvalidValue, match="'lz9'"):
        avro.write(tmp_path / "u.avro", TABLE.to_batches(), schema=TABLE.schema, codec="lz9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["deflate", "snappy", "zstandard", "bzip2", "xz"])
def test_a_block_that_cannot_be_unpacked_is_corrupt(tmp_path: Path, codec: str) -> None:
    """Bytes of no codec, and those of one that are cut off."""
    for body in (b"", b"\x00", b"nonsense", b"\xff" * 40):
        with pytest.raises(CorruptData, match=r"t.avro is not whole Avro: .* at byte \d+"):
            everything(raw(tmp_path, record(c="long"), body, codec=codec.encode()))


def test_rows_without_bytes_are_not_believed(tmp_path: Path) -> None:
    """A file of some bytes cannot claim any number of rows of nulls."""
    with pytest.raises(CorruptData, match="claims"):
        everything(raw(tmp_path, record(c="null"), b"", rows=1 << 60))
    with pytest.raises(InvalidValue, match="without a byte"):
        avro.write(tmp_path / "u.avro", [], schema=pa.schema([("c", pa.null())]))


@pytest.mark.parametrize("cut", [0, 3, 10, 40, -1, -16, -17, -30])
def test_a_file_that_is_cut_off_is_corrupt(tmp_path: Path, cut: int) -> None:
    """Within the header, a block or its mark."""
    whole = saved(tmp_path, record(c="long"), [{"c": 1}] * 50).read_bytes()
    (tmp_path / "t.avro").write_bytes(whole[:cut])
    with pytest.raises(CorruptData, match=r"t.avro is not whole Avro: .*byte \d+"):
        everything(tmp_path / "t.avro")


def test_names_and_nulls_that_avro_has_not_are_refused(tmp_path: Path) -> None:
    """A name with a dot, and a null in a column that is declared to hold none; nothing is left."""
    with pytest.raises(InvalidValue, match=r"'a\.b'"):
        avro.write(tmp_path / "t.avro", [], schema=pa.schema([("a.b", pa.int64())]))
    schema = pa.schema([pa.field("c", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([1, None])], schema=schema)
    with pytest.raises(InvalidValue, match="'c' holds a null"):
        avro.write(tmp_path / "t.avro", [batch], schema=schema)
    table = pa.table({"c": pa.array([2**63], pa.uint64())})
    with pytest.raises(InvalidValue, match=r"'c'.*cannot hold"):
        avro.write(tmp_path / "t.avro", table.to_batches(), schema=table.schema)
    assert list(tmp_path.iterdir()) == []


def test_a_note_of_another_schema_is_ignored(tmp_path: Path) -> None:
    """A tool may change the columns and keep the notes; what fits is believed, column by column."""
    table = pa.table({"a": pa.array([1], pa.int8()), "b": pa.array([2], pa.int8())})
    avro.write(tmp_path / "t.avro", table.to_batches(), schema=table.schema)
    with (tmp_path / "t.avro").open("rb") as stream:
        reader = fastavro.reader(stream)
        note = reader.metadata["jukebox.arrow_schema"]
    schema = record(a=["null", "int"], b="string")
    saved(tmp_path, schema, [{"a": 1, "b": "x"}], metadata={"jukebox.arrow_schema": note})
    assert avro.schema(tmp_path / "t.avro").types == [pa.int8(), pa.string()]
    saved(tmp_path, schema, [{"a": 1, "b": "x"}], metadata={"jukebox.arrow_schema": "nonsense"})
    with pytest.raises(CorruptData):
        avro.schema(tmp_path / "t.avro")


def test_a_note_that_nobody_has_written_is_corrupt(tmp_path: Path) -> None:
    """A changed note may tell of types that Avro has not; the error is about the file, which it names."""
    noted = base64.b64encode(pa.schema([("a", pa.duration("s"))]).serialize().to_pybytes()).decode()
    path = saved(tmp_path, record(a="long"), [{"a": 1}], metadata={"jukebox.arrow_schema": noted})
    with pytest.raises(CorruptData, match=r"t\.avro is not whole Avro: its note 'jukebox\.arrow_schema'.*duration"):
        avro.schema(path)


def test_a_file_without_rows_has_columns(tmp_path: Path) -> None:
    """No batch is read from it."""
    assert avro.write(tmp_path / "t.avro", [], schema=TABLE.schema) == 0
    assert list(avro.read(tmp_path / "t.avro")) == []
    assert avro.schema(tmp_path / "t.avro") == TABLE.schema


@compiled
def test_buffers_that_do_not_agree_are_refused_by_the_compiled_coder() -> None:
    """It reads no byte beyond a buffer, whatever its caller gives."""
    root = Parser("t").root(json.dumps(record(c="string", l={"type": "array", "items": "long"})).encode())
    packed = program(root, {"c", "l"})
    texts = list(columns_of(pa.array(["ab", "c"]), root.children[0], "c"))
    lists = list(columns_of(pa.array([[1], [2]]), root.children[1], "l"))
    good = [(2, None, None, None), *texts, *lists]
    assert avro.coder.encode(packed, good, 0, 2)
    for place, bad in [
        (1, (2, None, b"\0" * 11, b"abc")),
        (1, (2, None, b"\xff" * 12, b"")),
        (3, (2, None, b"\0" * 8, None)),
    ]:
        with pytest.raises(ValueError, match=r"short|offsets"):
            avro.coder.encode(packed, [*good[:place], bad, *good[place + 1 :]], 0, 2)
    with pytest.raises(ValueError, match="shorter"):
        avro.coder.encode(packed, good, 0, 3)
    for nodes in (b"", b"\0" * 15, packed[:-16], packed + packed):
        with pytest.raises(ValueError, match="nodes"):
            avro.coder.decode(nodes, [])


def test_fastavros_own_stream_is_read_the_same(tmp_path: Path) -> None:
    """An array in several pieces, with their sizes, as the specification allows."""
    body = varint(-2) + varint(2) + varint(1) + varint(2) + varint(1) + varint(3) + varint(0)
    schema = record(c={"type": "array", "items": "long"}, d="int")
    path = raw(tmp_path, schema, body + varint(7))
    assert everything(path).to_pylist() == [{"c": [1, 2, 3], "d": 7}]
    assert [batch.to_pylist() for batch in avro.read(path, columns=["d"])] == [[{"d": 7}]]
    with io.BytesIO(path.read_bytes()) as stream:
        assert list(fastavro.reader(stream)) == [{"c": [1, 2, 3], "d": 7}]
