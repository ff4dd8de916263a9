"""Every type of column through every format: it comes back as it was, or is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from jukebox.errors import InvalidType, InvalidValue, MissingColumn
from jukebox.formats import Options, format_named
from tests.formats.kinds import FORMATS, Cell, Kind, kinds

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
CASES = [(kind, name, cell) for kind in kinds() for name, cell in zip(FORMATS, kind.cells, strict=True)]


def table_of(kind: Kind) -> pa.Table:
    """Return the column beside one of numbers, so that every row has a value."""
    return pa.table({"x": kind.values, "row": pa.array(range(len(kind.values)), pa.int64())})


def everything(name: str, path: Path, types: dict[str, pa.DataType] | None) -> pa.Table:
    """Read all rows, with declared types or without."""
    found = format_named(name).read(path, columns=["x", "row"], options=Options(types=types))
    return pa.Table.from_batches(list(found))


@pytest.mark.parametrize(("kind", "name", "cell"), CASES, ids=[f"{kind.name} {name}" for kind, name, _ in CASES])
def test_a_column_comes_back_as_it_was_or_is_refused_by_name(tmp_path: Path, kind: Kind, name: str, cell: Cell) -> None:
    """Under its declared type the column has the same type and values; without, the type that the table tells."""
    table, path = table_of(kind), tmp_path / f"x{format_named(name).SUFFIX}"
    if cell.disk.startswith("refused"):
        with pytest.raises((InvalidType, InvalidValue), match="'x'"):
            format_named(name).write(path, table.to_batches(), schema=table.schema)
        assert list(tmp_path.iterdir()) == []
        return
    assert format_named(name).write(path, table.to_batches(), schema=table.schema) == 5
    declared = everything(name, path, {field.name: field.type for field in table.schema})
    if name in {"tfrecord", "csv", "jsonl"}:
        assert declared.schema.types == table.schema.types
    assert told(declared["x"]) == told(table["x"])
    if cell.disk.startswith("no key"):
        with pytest.raises(MissingColumn):
            everything(name, path, None)
        return
    found = everything(name, path, None)["x"]
    assert found.type == (cell.back or table["x"].type)


def told(column: pa.ChunkedArray) -> str:
    """Return the values as text, which tells -0.0 from 0.0; instants in UTC, durations and days as they are."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    return str(column.to_pylist())


@pytest.mark.parametrize("one", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_what_both_formats_hold_goes_from_one_to_the_other(tmp_path: Path, one: str, other: str) -> None:
    """All types that neither refuses arrive together, batch by batch, as they were."""
    both = FORMATS.index(one), FORMATS.index(other)
    held = [kind for kind in kinds() if not any(kind.cells[at].disk.startswith("refused") for at in both)]
    table = pa.table({f"x{at}": kind.values for at, kind in enumerate(held)})
    table = table.append_column("row", pa.array(range(5), pa.int64()))
    options = Options(types={field.name: field.type for field in table.schema})
    first, second = format_named(one), format_named(other)
    first.write(tmp_path / f"a{first.SUFFIX}", table.to_batches(max_chunksize=2), schema=table.schema)
    batches = first.read(tmp_path / f"a{first.SUFFIX}", columns=table.schema.names, options=options)
    schema = first.schema(tmp_path / f"a{first.SUFFIX}", options=options)
    schema = pa.schema([schema.field(name) for name in table.schema.names])
    second.write(tmp_path / f"b{second.SUFFIX}", batches, schema=schema)
    found = pa.Table.from_batches(
        list(second.read(tmp_path / f"b{second.SUFFIX}", columns=table.schema.names, options=options))
    )
    for name in table.schema.names:
        assert told(found[name]) == told(table[name]), name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rows", [(0, 0), (0, 3), (2, 7), (9, 10), (3, 99), (50, 60)])
def test_a_range_of_rows_is_those_rows(tmp_path: Path, name: str, rows: tuple[int, int]) -> None:
    """Rows are counted from 0 over all files of a folder; beyond the end there are none."""
    form = format_named(name)
    for part in range(2):
        table = pa.table({"x": pa.array(range(part * 5, part * 5 + 5), pa.int64())})
        form.write(tmp_path / f"part-{part}{form.SUFFIX}", table.to_batches(max_chunksize=2), schema=table.schema)
    options = Options(types={"x": pa.int64()})
    found = form.read(tmp_path, columns=["x"], options=options, rows=rows)
    assert [value for batch in found for value in batch["x"].to_pylist()] == list(range(10))[rows[0] : rows[1]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_range_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """A range ends where it begins or later, and begins at 0 or later."""
    form = format_named(name)
    table = pa.table({"x": pa.array([1], pa.int64())})
    form.write(tmp_path / f"x{form.SUFFIX}", table.to_batches(), schema=table.schema)
    for rows in ((2, 1), (-1, 1)):
        with pytest.raises(InvalidValue, match="rows"):
            list(form.read(tmp_path / f"x{form.SUFFIX}", options=Options(types={"x": pa.int64()}), rows=rows))


def documented() -> str:
    """Return the table of docs/formats.md as the cases have it."""
    lines = [f"| Arrow | {' | '.join(FORMATS)} |", "|---|" + "---|" * len(FORMATS)]
    for kind in kinds():
        cells = [cell.disk if cell.back is None else f"{cell.disk} → {short(cell.back)}" for cell in kind.cells]
        lines.append(f"| {kind.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def short(kind: pa.DataType) -> str:
    """Return a type's name as the table has it."""
    return str(kind).replace("<item: ", " of ").replace("<", " of ").replace(">", "")


def test_the_table_in_the_documents_is_what_is_tested() -> None:
    """docs/formats.md holds the table that these cases make; the assertion shows it."""
    assert documented() in DOCS.read_text()
