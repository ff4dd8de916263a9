"""Tables that fit, JSON that parses, progress that is told."""

from __future__ import annotations

import io
import json
import math
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jukebox.cli import drawing
from jukebox.core.asof import Progress
from jukebox.stores import open_registry

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

NAMES = ["feature", "version", "description"]
ROWS = [
    ("/airport/flights-weather/temperature", 1, "Air temperature at the airport, in degrees Fahrenheit."),
    ("/airport/flights-weather/wind", 12, None),
]


def drawn(
    capsys: pytest.CaptureFixture[str], width: int | None, columns: list[str], rows: list[Any], title: str = ""
) -> str:
    """Return what a table looks like in a terminal of a width, or in a pipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        if width is not None:
            patch.setenv("COLUMNS", str(width))
        drawing.table(title, columns, rows)
    return capsys.readouterr().out


def test_what_fits_is_drawn_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Text to the left, numbers to the right, nothing as a dash, and no blanks at the ends of lines."""
    assert drawn(capsys, None, NAMES, ROWS, "2 features") == (
        "2 features\n"
        "feature                               version  description\n"
        "/airport/flights-weather/temperature        1  Air temperature at the airport, in degrees Fahrenheit.\n"
        "/airport/flights-weather/wind              12  -\n"
    )


def test_the_last_text_is_cropped_where_room_is_scarce(capsys: pytest.CaptureFixture[str]) -> None:
    """And never the name, which comes first."""
    assert drawn(capsys, 70, NAMES, ROWS).splitlines()[1:] == [
        "/airport/flights-weather/temperature        1  Air temperature at the…",
        "/airport/flights-weather/wind              12  -",
    ]


def test_what_has_no_room_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A description of a few letters would tell nobody anything; a name keeps all its letters in any terminal."""
    *_, row, note = drawn(capsys, 50, NAMES, ROWS).splitlines()
    assert row == "/airport/flights-weather/wind              12"
    assert note == "no room for description; a pipe has room for all"
    assert ROWS[0][0] in drawn(capsys, 20, NAMES, ROWS)
    many = drawn(capsys, 12, [f"c{n}" for n in range(9)], [list(range(9))])
    assert many.endswith("no room for c3, c4, 4 more; a pipe has room for all\n")


def test_headers_break_before_anything_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Between their words."""
    lines = drawn(capsys, 12, ["n", "max age", "mean age"], [(1, 2, 3)]).splitlines()
    assert lines == ["n  max  mean", "   age   age", "1    2     3"]


VALUE = st.text(max_size=30) | st.integers() | st.floats() | st.none()


@given(st.lists(st.lists(VALUE, min_size=3, max_size=3), max_size=4), st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal_but_for_a_name(rows: list[list[Any]], width: int) -> None:
    """Whatever the values, a row is one line; only the first column may need more than there is."""
    columns = [drawing._Column.of(name, [row[place] for row in rows]) for place, name in enumerate(NAMES)]
    kept, rest = drawing._fitting(columns, width)
    assert kept[0].name == "feature"
    assert len(kept) + len(rest) == len(NAMES)
    for cells in zip(*(column.cells for column in kept), strict=True):
        line = drawing._line(kept, cells)
        assert line.isprintable()
        assert cell_len(line) <= max(width, kept[0].width)


def test_numbers_are_never_cropped_and_digits_never_lost_for_looks() -> None:
    """Short numbers are exact; a float32 loses the digits that it never had."""
    values = [71.96, 1013.25, 16.0, 0.1, 0.10000000149011612, 1e-9, -3, math.nan, 123456.75]
    texts = ["71.96", "1013.25", "16", "0.1", "0.1", "1e-09", "-3", "nan", "123456.75"]
    assert [drawing.as_text(value) for value in values] == texts
    wide = drawing._Column.of("count", [123_456_789_012])
    assert wide.at_most(5) == wide


def test_what_would_move_the_cursor_is_written_out() -> None:
    """Data cannot draw on the terminal, nor are brackets taken for styles."""
    assert drawing.as_text("a\nb\x1b[31m[red]é") == "a\\nb\\x1b[31m[red]é"


def test_json_parses_whatever_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Times in ISO 8601, bytes in base64, and what is no finite number as the text that protobuf's JSON has."""
    moment = datetime(2013, 7, 1, 12, tzinfo=timezone.utc)
    listed = (math.nan, math.inf, -math.inf, 1.5, True, None)
    drawing.print_json({"at": moment, "day": date(2013, 7, 1), "raw": b"\xff", "list": listed})
    assert json.loads(capsys.readouterr().out) == {
        "at": "2013-07-01T12:00:00+00:00",
        "day": "2013-07-01",
        "raw": "/w==",
        "list": ["NaN", "Infinity", "-Infinity", 1.5, True, None],
    }


def test_progress_is_told_in_lines_where_no_person_looks_on(capsys: pytest.CaptureFixture[str]) -> None:
    """The first, the last, and one every few seconds, on stderr."""
    with drawing.progress("loading") as tell:
        for done in range(1, 101):
            tell(done, 100)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "loading: 1 of 100\nloading: 100 of 100\n"


def test_a_join_is_told_in_rows_tables_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line every few seconds, here at once; of streams nobody knows the rows, nor the time."""
    monkeypatch.setattr(drawing, "EVERY", 0)
    with drawing.joining() as tell:
        for at in (Progress(0, 4_000, 0, 2), Progress(4_000, 4_000, 2, 2), Progress(1_000, None, 0, 1)):
            tell(at)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "joining: 0 of 4,000 rows, 0 of 2 tables",
        "joining: 4,000 of 4,000 rows, 2 of 2 tables, 0 s left",
        "joining: 1,000 rows, 0 of 1 table",
    ]


def test_a_join_that_is_done_at_once_says_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even at its end: what it made is told."""
    monkeypatch.setattr(drawing, "EVERY", 3_600)
    with drawing.joining() as tell:
        for at in (Progress(0, 4_000, 0, 1), Progress(4_000, 4_000, 1, 1)):
            tell(at)
    assert capsys.readouterr().err == ""


def test_the_time_left_is_what_is_left_of_the_rows() -> None:
    """Three quarters are left after ten seconds: half a minute."""
    assert drawing._far(Progress(1_000, 4_000, 0, 2), 10.0).endswith(", 30 s left")


def test_a_person_sees_a_bar_of_rows_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar is drawn over, and gone at the end; the numbers are those of the join."""
    seen = io.StringIO()
    seen.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", seen)
    with drawing.joining() as tell:
        tell(Progress(1_000, None, 0, 2))
        tell(Progress(2_000, 4_000, 1, 2))
    assert "2,000 of 4,000 rows, 1 of 2 tables" in seen.getvalue()


def test_counts_are_in_words() -> None:
    """One feature, and several."""
    assert [drawing.counted(n, "feature") for n in (0, 1, 1234)] == ["0 features", "1 feature", "1,234 features"]


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_features_are_whole_in_any_terminal(jukebox: Terminal, width: int) -> None:
    """In the list, and no line is wider than the terminal."""
    lines = jukebox.done("features", width=width).splitlines()
    assert {line.split()[0] for line in lines} >= {"/airport/weather/temp", "/aircraft/history/delay"}
    assert max(map(len, lines)) <= width


def test_a_registry_without_features_says_what_to_do(jukebox: Terminal) -> None:
    """An MLMD store that a pipeline made may hold none."""
    other = f"mlmd+sqlite://{jukebox.root}/other.db"
    open_registry(other)
    ran = jukebox("features", registry=other)
    assert ran.out == "0 features; jukebox register makes those of a features.yaml known\n"
