"""What is wrong is said in one message on stderr with exit code 1, and never with a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.components.limits import unwritable
from tests.components.place import DECLARED, labels, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal

TEMP = "/airport/weather/temp"
LOAD = ("load-offline", "--data-endpoint", "weather", "--uri-prefix", "source", "--date", "2024-01-01")
JOIN = ("prepare-training-set", "--labels", "labels.parquet", "--label-time", "at", "--out", "out", "--features")
READING = [
    ("features",),
    ("lineage", "--feature", TEMP),
    ("get", TEMP, "-e", "airport=JFK"),
    (*LOAD, "--out", "out"),
    (*JOIN, TEMP),
    ("load-online", "--features", TEMP),
    ("statistics", "training_set", "--out", "out"),
]


def test_a_file_with_faults_is_refused_with_all_of_them_by_line(jukebox: Terminal) -> None:
    """Wrong type, unknown field, unknown endpoint and a name given twice, each with its line."""
    typed = "column: wind_speed, data_type: "
    text = DECLARED.replace(f"{typed}float64", f"{typed}flot64, colour: red")
    text = text.replace("endpoint: planes", "endpoint: plans").replace("/aircraft/history/delay", TEMP)
    (jukebox.root / "features.yaml").write_text(text)
    first, *faults = jukebox.refused("register", "features.yaml").splitlines()
    assert first == f"error: features.yaml has {len(faults)} faults:"
    assert len(faults) == 4
    assert all(fault.startswith("  line ") for fault in faults)
    assert all(word in "".join(faults) for word in ("flot64", "colour", "plans", "given on line 12"))


@pytest.mark.parametrize(
    "command", [(*JOIN, f"{TEMP},/airport/weather/tmp"), ("load-online", "--features", "/airport/weather/tmp")]
)
def test_a_name_that_is_not_registered_comes_with_the_nearest(jukebox: Terminal, command: tuple[str, ...]) -> None:
    """Whatever the command, the nearest names are offered."""
    write(jukebox.root / "labels.parquet", labels(("JFK", "02 07:30")))
    told = jukebox.refused(*command)
    assert "name/tmp' is not registered; nearest: /entity/airport/component/weather/name/temp" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--date", "2024-02-01"), "endpoint 'weather' has no partition for 2024-02-01 under"),
        (("--from", "2024-01-02", "--to", "2024-01-05"), "no partition for 2024-01-04 and 1 other dates"),
        (("--date", "31.1.2024"), "'31.1.2024' is no date; it is written 2013-01-31"),
        (("--from", "2024-01-02", "--to", "2024-01-01"), "runs backwards"),
        (("--from", "2024-01-02"), "either a date or a range"),
        ((), "either a date or a range"),
        (("--date", "2024-01-01", "--features", '{"/airport/weather/temp":'), "--features is no JSON"),
        (("--date", "2024-01-01", "--features", '["/airport/weather/temp"]'), "--features is a JSON list; it must be"),
        (("--date", "2024-01-01", "--features", '{"airport/weather/tmp": "temp"}'), "does not feed"),
        (("--date", "2024-01-01", "--features", '{"airport/weather/temp": "t"}'), "the source map says 't'"),
    ],
)
def test_dates_and_source_maps_that_do_not_fit_are_refused(
    jukebox: Terminal, arguments: tuple[str, ...], said: str
) -> None:
    """What is there and how it is written is in the message; nothing is made."""
    told = jukebox.refused(*LOAD[:-2], "--out", "out", *arguments)
    assert said in told
    assert not (jukebox.root / "out").exists()


def test_a_source_without_a_column_and_one_that_is_corrupt_are_named(jukebox: Terminal) -> None:
    """The file is named, with the columns that it has."""
    file = jukebox.root / "source" / "weather" / "2024-01-01.parquet"
    write(file, labels(("JFK", "01 00:00")))
    told = jukebox.refused(*LOAD, "--out", "out")
    assert "'hour'" in told
    assert "it has n, origin, at" in told
    file.write_bytes(b"PAR1 and no more")
    assert "2024-01-01.parquet is not whole Parquet" in jukebox.refused(*LOAD, "--out", "out")


def test_a_stored_table_that_is_corrupt_is_refused_by_those_who_read_it(jukebox: Terminal) -> None:
    """Join, online load and show name the partition; loading it anew mends it."""
    jukebox.done(*LOAD, "--out", "out")
    write(jukebox.root / "labels.parquet", labels(("JFK", "01 07:30")))
    [part] = (jukebox.root / "out" / "date=2024-01-01").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    join = (*JOIN[:-2], "training_set", "--features", TEMP)
    for command in (join, ("load-online", "--features", TEMP), ("show", "out")):
        assert f"{part.name} is not whole Parquet" in jukebox.refused(*command)
    jukebox.done(*LOAD, "--out", "out")
    jukebox.done("load-online", "--features", TEMP)


def test_places_that_cannot_be_written_are_named(jukebox: Terminal) -> None:
    """Also for root, whom file modes do not stop."""
    jukebox.done(*LOAD, "--out", "table")
    write(jukebox.root / "labels.parquet", labels(("JFK", "01 07:30")))
    for place in unwritable(jukebox.root):
        assert place in jukebox.refused(*LOAD, "--out", place)
        assert place in jukebox.refused(*JOIN[:-2], place, "--features", TEMP)
        assert place in jukebox.refused("load-online", "--features", TEMP, "--store", f"sqlite://{place}/online.db")
        assert place in jukebox.refused("register", "features.yaml", registry=f"mlmd+sqlite://{place}/registry.db")


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_reading_a_registry_that_is_not_there_makes_none(
    jukebox: Terminal, command: tuple[str, ...], tmp_path: Path
) -> None:
    """The message names the file that was looked for, and what makes it."""
    told = jukebox.refused(*command, registry=f"mlmd+sqlite://{tmp_path}/other/nowhere.db")
    assert f"there is no metadata store at {tmp_path}/other/nowhere.db" in told
    assert "`jukebox register` makes one" in told
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", [("register", "features.yaml"), *READING], ids=lambda command: command[0])
def test_what_is_no_registry_is_refused(jukebox: Terminal, command: tuple[str, ...]) -> None:
    """A scheme that is not known, no file at all, text, and a database of another program."""
    (jukebox.root / "text.db").write_text("no database, but long enough to be taken for one " * 100)
    store = ("load-online", "--features", TEMP, "--store", "sqlite://online.db")
    jukebox.done(*LOAD, "--out", "table")
    jukebox.done(*store)
    assert "'x://y' is no" in jukebox.refused(*command, registry="x://y")
    assert "names no file" in jukebox.refused(*command, registry="mlmd+sqlite://")
    assert "text.db is no ML Metadata store" in jukebox.refused(*command, registry="mlmd+sqlite://text.db")
    assert "it holds cells, tables" in jukebox.refused(*command, registry="mlmd+sqlite://online.db")


def test_a_registry_is_no_online_store(jukebox: Terminal) -> None:
    """Metadata and features would otherwise share a file, and it stays as it was."""
    jukebox.done(*LOAD, "--out", "table")
    store = jukebox.registry.removeprefix("mlmd+")
    told = jukebox.refused("load-online", "--features", TEMP, "--store", store)
    assert "registry.db is a database of another program, not an online store" in told
    assert "not been loaded online" in jukebox.refused("get", TEMP, "-e", "airport=JFK")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TEMP, "-e", "airport"), "--entity 'airport' is no key; it is written airport=JFK"),
        ((TEMP, "-e", "=JFK"), "is no key"),
        ((TEMP, "-e", "airport=JFK", "-e", "airport=LGA"), "gives 'airport' twice"),
        ((TEMP,), "is read by 'origin' or 'airport', and the entity has nothing"),
        ((TEMP, "-e", "airport=JFK", "--at", "noon"), "--at 'noon' is no time; it is written 2013-07-01T12:00:00Z"),
        ((TEMP, "-e", "airport=JFK", "--at", "2024-01-01T12:00:00"), "'at' has no zone"),
        ((TEMP, TEMP, "-e", "airport=JFK"), "asked for twice"),
        (("temp", "-e", "airport=JFK"), "'temp' is no feature name; it is written"),
        (("/route/history/late", "-e", "origin=JFK"), "has not been loaded online"),
    ],
)
def test_lookups_that_make_no_sense_are_refused(jukebox: Terminal, arguments: tuple[str, ...], said: str) -> None:
    """The message says how a key and a time are written, and what there is."""
    jukebox.done(*LOAD, "--out", "table")
    jukebox.done("load-online", "--features", TEMP)
    assert said in jukebox.refused("get", *arguments)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("register", "nothing.yaml"), "nothing.yaml cannot be read: "),
        (("load-online",), "names features or a feature table, and here is neither"),
        (("load-online", "--features", " , "), "names at least one feature"),
        (("load-online", "--features", TEMP), "is not loaded offline; load its endpoint 'weather' first"),
        (("lineage",), "lineage takes one of --feature, --model and --uri"),
        (("lineage", "--feature", TEMP, "--uri", "x"), "lineage takes one of"),
        (("lineage", "--model", "nowhere"), "no artifact at 'nowhere' is recorded"),
        (("show", "source"), "holds no whole artifact"),
        (("statistics", "nothing", "--out", "out"), "nothing"),
        (("compile", "--pipelines", "nowhere"), "there is no folder of pipelines at nowhere"),
        ((*JOIN, ""), "asks for no feature"),
        ((*JOIN, '{"/airport/weather/temp": '), "--features is no JSON"),
        ((*JOIN, TEMP, "--keys", "[1]"), "--keys is a JSON list; it must be an object"),
        ((*JOIN, TEMP, "--split", "half"), "'half' is no split"),
        ((*JOIN, TEMP, "--proof", "none"), "proof is 'none'; it is sample or full"),
    ],
)
def test_what_is_not_there_and_what_makes_no_sense_is_said(
    jukebox: Terminal, command: tuple[str, ...], said: str
) -> None:
    """One message each."""
    assert said in jukebox.refused(*command)


def test_a_column_that_is_not_there_is_not_shown(jukebox: Terminal) -> None:
    """The message names the columns that are."""
    jukebox.done(*LOAD, "--out", "table")
    told = jukebox.refused("show", "table", "--columns", "temp,dewp")
    assert "'dewp' is not in" in told
    assert "'temp', 'wind'" in told


def test_a_command_that_is_not_there_is_a_usage_error(jukebox: Terminal) -> None:
    """Exit code 2, as for an option that is missing."""
    assert jukebox("lode").code == jukebox("get").code == jukebox("show", "x", "--rows", "-1").code == 2
