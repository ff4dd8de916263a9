"""CSV: typed by declaration or by all of its values, and never by its first lines alone."""

from __future__ import annotations

import contextlib
import gzip
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn, NameClash
from jukebox.formats import Options, csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UTC_US = pa.timestamp("us", "UTC")


def saved(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    """Write the text and return its path."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def everything(path: Path, columns: list[str] | None = None, **options: object) -> pa.Table:
    """Read all rows of the path."""
    chosen = Options(**options)  # type: ignore[arg-type]
    batches = list(csv.read(path, columns=columns, options=chosen))
    # A file of a header alone has columns and no batch.
    return pa.Table.from_batches(batches, None if batches else csv.schema(path, options=chosen))


def kind_of(folder: Path, *values: str) -> str:
    """Return the type found for one column of these values."""
    return str(csv.schema(saved(folder, "x,y\n" + "".join(f"{value},1\n" for value in values))).field("x").type)


def test_quotes_newlines_and_unicode_stand_in_fields(tmp_path: Path) -> None:
    """A field in quotes may hold the delimiter, a line end and doubled quotes."""
    path = saved(tmp_path, 'a,b\r\n"x,\n""y""",日本\r\n')
    assert everything(path).to_pylist() == [{"a": 'x,\n"y"', "b": "日本"}]


def test_times_with_a_z_are_utc(tmp_path: Path) -> None:
    """Offsets become UTC; a time without one stays naive; a date is a date."""
    path = saved(tmp_path, "z,n,d\n2013-01-01T05:00:00Z,2013-01-01 05:00:00.5,2013-01-01\n")
    table = everything(path)
    assert table.schema.types == [UTC_US, pa.timestamp("us"), pa.date32()]
    assert table["z"].to_pylist() == [datetime(2013, 1, 1, 5, tzinfo=timezone.utc)]
    assert table["d"].to_pylist() == [date(2013, 1, 1)]
    offset = saved(tmp_path, "z\n2013-01-01T05:00:00+01:00\n")
    assert everything(offset)["z"].to_pylist() == [datetime(2013, 1, 1, 4, tzinfo=timezone.utc)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("1", "-2", ""), "int64"),
        ((" 1", "2 "), "int64"),
        (("1", "2.5"), "double"),
        (("1", "1e5"), "double"),
        (("1.5", "nan"), "double"),
        (("nan", "nan"), "string"),
        (("1", "x"), "string"),
        (("007", "8"), "string"),
        (("0x1F",), "string"),
        (("0", "1"), "int64"),
        (("12345678901234567890",), "string"),
        (("12345678901234567", "0.5"), "string"),
        (("true", "False", ""), "bool"),
        (("", ""), "string"),
        (("2013-01-01", "2013-13-01"), "string"),
        (("2013-01-01", "2013-01-01T05:00"), "timestamp[us]"),
        (("2013-01-01T05:00:00.000000001",), "timestamp[ns]"),
        (("2013-01-01T05:00:00Z", "2013-01-01T05:00:00"), "string"),
    ],
)
def test_the_type_is_the_narrowest_that_loses_nothing(tmp_path: Path, values: tuple[str, ...], kind: str) -> None:
    """Leading zeros, whole numbers beyond a float and mixtures stay text."""
    assert kind_of(tmp_path, *values) == kind


def test_text_after_megabytes_of_integers_is_text(tmp_path: Path) -> None:
    """All values decide on the type, not the first block of them."""
    path = saved(tmp_path, "x,y\n" + "1234567,1\n" * 1_200_000 + "late,1\n")
    assert csv.schema(path).types == [pa.string(), pa.int64()]
    assert sum(batch.num_rows for batch in csv.read(path)) == 1_200_001


def test_all_files_of_a_folder_decide_on_the_type(tmp_path: Path) -> None:
    """A column that is whole numbers in one file and text in the next is text in both."""
    saved(tmp_path, "x\n1\n", "a.csv")
    saved(tmp_path, "x\ny\n", "b.csv")
    assert everything(tmp_path)["x"].to_pylist() == ["1", "y"]


def test_declared_types_hold(tmp_path: Path) -> None:
    """A declared column is not guessed at, and a value that does not fit is named with its column."""
    path = saved(tmp_path, "id,n,at\n007,1,2013-01-01T00:00:00Z\n")
    types = {"id": pa.string(), "n": pa.float32(), "at": pa.timestamp("ms", "UTC")}
    assert everything(path, types=types).schema == pa.schema(list(types.items()))
    with pytest.raises(InvalidType, match=r"column 'at' of .*t\.csv is declared int64 .*2013-01-01"):
        everything(path, ["at"], types={"at": pa.int64()})


def test_null_and_the_empty_text_differ(tmp_path: Path) -> None:
    """Quotes make a value of what would be null, unless asked otherwise."""
    path = saved(tmp_path, 'a,b\n"",1\n,NA\nnan,3\n')
    assert everything(path, null_values=("", "NA")).to_pydict() == {"a": ["", None, "nan"], "b": [1, None, 3]}
    assert everything(path, quoted_nulls=True)["a"].to_pylist() == [None, None, "nan"]


def test_a_null_in_a_file_of_one_column_is_a_row(tmp_path: Path) -> None:
    """An empty line is a null there, and no row elsewhere."""
    assert everything(saved(tmp_path, "a\n1\n\n3\n"))["a"].to_pylist() == [1, None, 3]
    assert everything(saved(tmp_path, "a,b\n1,2\n\n3,4\n"))["a"].to_pylist() == [1, 3]


def test_names_stand_in_for_a_header(tmp_path: Path) -> None:
    """Without a header every line is a row."""
    path = saved(tmp_path, "1\tx\n2\ty\n")
    table = everything(path, header=False, names=("n", "s"), delimiter="\t")
    assert table.to_pydict() == {"n": [1, 2], "s": ["x", "y"]}
    with pytest.raises(InvalidValue, match="header=False"):
        Options(names=("a",))


def test_a_byte_order_mark_and_gzip_are_read(tmp_path: Path) -> None:
    """What spreadsheets and servers put around the text is no part of it."""
    assert everything(saved(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")).column_names == ["a", "b"]
    packed = saved(tmp_path, gzip.compress(b"a,b\n1,2\n"), "t.csv.gz")
    assert everything(packed).to_pydict() == {"a": [1], "b": [2]}


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    """Its columns are text, as nothing says more."""
    path = saved(tmp_path, "a,b\n")
    assert csv.schema(path) == pa.schema([("a", pa.string()), ("b", pa.string())])
    assert list(csv.read(path)) == []


@pytest.mark.parametrize("text", [b"", b"a,b\n1,2\n3\n", b"a,b\n1,2,3\n", b"a,b\n1,\xff\xfe\n"])
def test_files_that_are_not_whole_are_corrupt(tmp_path: Path, text: bytes) -> None:
    """No bytes, too few or too many fields, and bytes that are no text: the error names the file."""
    with pytest.raises(CorruptData, match=r"t\.csv is not whole CSV"):
        everything(saved(tmp_path, text))


def test_truncated_gzip_is_corrupt(tmp_path: Path) -> None:
    """Half of a packed file is not read as a shorter one."""
    path = saved(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-9], "t.csv.gz")
    with pytest.raises(CorruptData, match=r"t\.csv\.gz"):
        everything(path)


def test_columns_are_named_or_refused(tmp_path: Path) -> None:
    """Missing ones come with those there are; two of one name are refused."""
    path = saved(tmp_path, "a,b\n1,2\n")
    assert everything(path, ["b"]).to_pydict() == {"b": [2]}
    with pytest.raises(MissingColumn, match=r"'c' is not in .*it has 'a', 'b'"):
        csv.read(path, columns=["c"])
    with pytest.raises(NameClash, match="'a'"):
        csv.read(saved(tmp_path, "a,a\n1,2\n"))


def test_a_file_of_the_folder_without_the_column_is_named(tmp_path: Path) -> None:
    """It is not filled with nulls."""
    saved(tmp_path, "a,b\n1,2\n", "1.csv")
    saved(tmp_path, "a\n1\n", "2.csv")
    with pytest.raises(MissingColumn, match=r"'b' is not in .*2\.csv"):
        everything(tmp_path)


def test_what_text_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    """Bytes, lists and records are refused before anything is written."""
    for kind in (pa.binary(), pa.list_(pa.int64()), pa.struct([("x", pa.int64())])):
        with pytest.raises(InvalidType, match=r"column 'a' is .*CSV cannot hold"):
            csv.write(tmp_path / "t.csv", [], schema=pa.schema([("a", kind)]))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a temporary one."""

    def breaking() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"a": [1]})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        csv.write(tmp_path / "t.csv", breaking(), schema=pa.schema([("a", pa.int64())]))
    assert list(tmp_path.iterdir()) == []


def test_times_of_a_zone_are_written_in_utc(tmp_path: Path) -> None:
    """The instant stays, the name of the zone goes."""
    table = pa.table({"at": pa.array([0], pa.timestamp("s", "America/New_York")), "k": ["x"]})
    csv.write(tmp_path / "t.csv", table.to_batches(), schema=table.schema)
    assert (tmp_path / "t.csv").read_text() == '"at","k"\n1970-01-01 00:00:00Z,"x"\n'


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            "f": st.none() | st.floats(allow_nan=False),
            "s": st.none() | st.text(st.characters(blacklist_categories=["Cs"])),
            "b": st.none() | st.booleans(),
            "t": st.none() | st.datetimes(timezones=st.just(timezone.utc)),
            "d": st.none() | st.dates(),
        }
    ),
    min_size=1,
)
SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("t", UTC_US),
        ("d", pa.date32()),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_declared_columns_come_back_as_they_were(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    """Any text, number, truth and time survives the way through text."""
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    assert csv.write(tmp_path / "t.csv", [batch], schema=SCHEMA) == len(rows)
    types = dict(zip(SCHEMA.names, SCHEMA.types, strict=True))
    assert everything(tmp_path / "t.csv", types=types).to_pylist() == rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"\x00\r")
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """No bytes make another error than those that Jukebox raises on purpose."""
    with contextlib.suppress(CorruptData, NameClash):
        everything(saved(tmp_path, data))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n3\n4,5\n", "line 3 has too few fields, 1 of 2: 3"),
        ('a,b\n"x\ny",1\nz\n', "line 4 has too few fields, 1 of 2: z"),
        ("a,b\n1,2,3\n", "line 2 has too many fields, 3 of 2: 1,2,3"),
        ('a,b\n1,"x\n', "it ends within a field in quotes"),
    ],
)
def test_the_line_at_fault_is_named(tmp_path: Path, text: str, why: str) -> None:
    """Lines are counted as an editor does, also where a field has more than one."""
    with pytest.raises(CorruptData, match=f"t.csv is not whole CSV: {why}"):
        everything(saved(tmp_path, text))


def test_a_single_quote_mark_within_a_field_is_text(tmp_path: Path) -> None:
    """An odd number of quotes is no fault where none stands at a field's beginning."""
    assert everything(saved(tmp_path, 'a,b\n5" disk,x\n'))["a"].to_pylist() == ['5" disk']


def test_nan_is_kept_as_text_where_nothing_is_a_number(tmp_path: Path) -> None:
    """A text column that says nan keeps its words; declared null values are null."""
    path = saved(tmp_path, "a,b\nnan,1\nx,2\n")
    assert everything(path)["a"].to_pylist() == ["nan", "x"]
    assert everything(path, null_values=("", "nan"))["a"].to_pylist() == [None, "x"]
