"""`jukebox verify` and `jukebox replay`: what they print, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.components.place import TEMP, WIND, at, labels
from tests.engine.tampering import cell, told

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal
    from tests.components.place import Place

SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"), ("JFK", "02 06:59"))


@pytest.fixture
def made(here: Place) -> Place:
    """Return the place with a training set in it."""
    here.load()
    here.join(SPINE, [TEMP, WIND])
    return here


@pytest.mark.usefixtures("made")
def test_a_right_training_set_is_told_in_a_line(jukebox: Terminal) -> None:
    """With what was looked at."""
    assert jukebox.done("verify", "training_set") == "verified: 15 cells of 3 of 3 labels are what the sources give\n"
    told_ = jukebox.done("verify", "training_set", "--rows", "2", "--seed", "5")
    assert told_ == "verified: 10 cells of 2 of 3 labels are what the sources give\n"


def test_a_wrong_cell_is_shown_in_a_table_and_ends_the_command_with_an_error(jukebox: Terminal, made: Place) -> None:
    """Column, row, what is right, what was found, and whose value that is."""
    cell(made.out, "wind", 1, 8.0)
    ran = jukebox("verify", "training_set")
    assert ran.code == 1
    title, header, row = ran.out.splitlines()
    assert title == "1 of 15 cells of 3 of 3 labels differ"
    assert header.split()[:4] == ["column", "row", "expected", "found"]
    assert row.split() == ["wind", "1", "-", "8", "no", "row", "of", "its", "key"]
    assert "error: " in ran.err
    assert "training_set is not what its sources and rules give: 1 of 3 cells of 'wind'" in ran.err


def test_a_leak_is_called_one(jukebox: Terminal, made: Place) -> None:
    """In the table and in the error."""
    made.join(SPINE, [TEMP], as_known=False)
    told(made.out, rules={"as_known": True})
    ran = jukebox("verify", "training_set")
    assert (ran.code, ran.out.count("a row not known then")) == (1, 2)
    assert "training_set holds what was not known at the label's time: 2 of 3 cells of 'temp'" in ran.err


def test_a_source_that_changed_is_named_by_both(jukebox: Terminal, made: Place) -> None:
    """The partition that was loaded again with other rows."""
    made.weather("2024-01-02", [("JFK", at("02 00:00"), at("02 01:00"), 5.0, 1.0)])
    made.load(date="2024-01-02")
    ran = jukebox("verify", "training_set")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "changed since the training set was made"
    assert "table/date=2024-01-02/part-" in ran.out
    assert "date=2024-01-02" in jukebox.refused("replay", "training_set")


@pytest.mark.usefixtures("made")
def test_a_training_set_is_made_again_and_kept_where_asked(jukebox: Terminal) -> None:
    """Its bytes are the same; without --out nothing is left."""
    before = sorted(path.name for path in jukebox.root.iterdir())
    told_ = "made again with the same content: 3 labels, the bytes of 3 of 3 files too"
    assert jukebox.done("replay", "training_set") == f"{told_}\n"
    assert sorted(path.name for path in jukebox.root.iterdir()) == before
    assert jukebox.done("replay", "training_set", "--out", "again") == f"{told_}, in again\n"
    assert jukebox.done("verify", "again").startswith("verified")


def test_other_bytes_are_told_with_the_versions_that_wrote_them(jukebox: Terminal, made: Place) -> None:
    """Then and now; Python's version then is not known."""
    [shard] = made.out.glob("Split-train/*.gz")
    shard.write_bytes(shard.read_bytes()[:9] + b"\x03" + shard.read_bytes()[10:])
    shard.write_bytes(shard.read_bytes()[:8] + b"\x02" + shard.read_bytes()[9:])
    lines = jukebox.done("replay", "training_set").splitlines()
    assert "the bytes of 2 of 3 files too" in lines[0]
    assert [line.split()[0] for line in lines[3:]] == ["jukebox", "parquet", "python"]


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_what_is_no_training_set_is_refused(jukebox: Terminal, made: Place, command: str) -> None:
    """A folder without a manifest, and a feature table."""
    assert "holds no whole artifact" in jukebox.refused(command, str(made.root))
    assert "holds a feature_table, not a training_set" in jukebox.refused(command, str(made.table))


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("rows", ["0", "-3"])
def test_no_rows_are_refused(jukebox: Terminal, rows: str) -> None:
    """A verification of nothing proves nothing."""
    assert f"rows is {rows}" in jukebox.refused("verify", "training_set", "--rows", rows)
