"""The whole way of a feature on the command line, as a new user goes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.tables import Manifest
from tests.cli.conftest import Terminal
from tests.components.place import DECLARED, LATE, SEATS, TEMP, WIND, copied, labels, write

if TYPE_CHECKING:
    from tests.components.place import Place

FEATURES = "/airport/weather/temp,airport/weather/wind"
JOIN = ("prepare-training-set", "--labels", "labels.parquet", "--label-time", "at", "--features", FEATURES)
LOAD = ("load-offline", "--data-endpoint", "weather", "--uri-prefix", "source", "--out", "tables/weather")
GET = ("get", "/airport/weather/temp", TEMP, "/aircraft/fleet/seats", "-e", "airport=JFK", "-e", "aircraft=N1")
AT = ("--at", "2024-01-03T19:30:00Z")


@pytest.fixture(scope="module")
def travelled(furnished: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[Terminal, dict[str, str]]:
    """Return a terminal, and what each command of the journey printed; the user has sources and a features.yaml."""
    place = copied(furnished, tmp_path_factory.mktemp("journey"))
    (place.root / "registry.db").unlink()
    write(place.root / "labels.parquet", labels(("JFK", "02 07:30"), ("LGA", "03 12:30"), ("SFO", "03 13:00")))
    jukebox = Terminal(place.root, "mlmd+sqlite://here.db")
    source_map = '{"entity/aircraft/component/fleet/name/seats": "seats"}'
    planes = ("--data-endpoint", "planes", "--uri-prefix", "source", "--features", source_map, "--date", "2024-01-03")
    steps = {
        "register": ("register", "features.yaml"),
        "load_offline": (*LOAD, "--from", "2024-01-01", "--to", "2024-01-03"),
        "load_planes": ("load-offline", *planes, "--out", "tables/planes"),
        "prepare_training_set": (*JOIN, "--out", "training_set", "--proof", "full"),
        "load_online": (
            "load-online",
            "--features",
            f"{FEATURES},/aircraft/fleet/seats",
            "--store",
            "sqlite://online.db",
        ),
    }
    return jukebox, {name: jukebox.done(*step) for name, step in steps.items()}


def test_each_step_says_in_a_line_what_it_did(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """How many of what, and where it lies, as seen from here."""
    printed = travelled[1]
    assert printed["register"].startswith("5 features registered: 5 new\n")
    assert printed["load_offline"] == (
        "feature table: 24 rows, 3 dates from 2024-01-01 to 2024-01-03, in tables/weather\n"
    )
    assert printed["load_planes"] == "feature table: 2 rows, date 2024-01-03, in tables/planes\n"
    assert printed["prepare_training_set"].startswith("training set: 3 labels (2 train, 1 eval), in training_set\n")
    assert printed["load_online"].startswith("loaded into sqlite://online.db\ntable ")


def test_the_proof_is_printed_as_it_stands_in_the_manifest(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """Each feature has a row: answered, null, without history, too old, later values unknown, and ages."""
    lines = travelled[1]["prepare_training_set"].splitlines()
    temp, wind = (line.split() for line in lines[3:5])
    assert temp[:6] == ["temp", "1", "0", "1", "1", "33.3%"]
    assert wind == ["wind", "2", "0", "1", "0", "33.3%", "90", "m", "6.5", "h"]


def test_the_ages_of_the_answers_are_printed_in_bars_of_a_histogram(
    travelled: tuple[Terminal, dict[str, str]],
) -> None:
    """Bars that no feature has are left out; a feature's shares are of its own answers."""
    lines = travelled[1]["prepare_training_set"].splitlines()
    assert lines[lines.index("age of the answers") + 1 :] == [
        "column   ≤ 3 h  ≤ 12 h",
        "temp    100.0%    0.0%",
        "wind     50.0%   50.0%",
    ]


def test_a_feature_without_an_age_has_no_bars(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """A static one alone prints no such table; a request in JSON asks for roles."""
    jukebox, _ = travelled
    static = (*JOIN[:-1], '{"/aircraft/fleet/seats": {"keys": {"origin": "tail"}}}', "--out", "static")
    assert "age of" not in jukebox.done(*static)
    roles = '{"/airport/weather/wind": ["wind", {"column": "kept", "last_non_null": true, "max_age": "0s"}]}'
    lines = jukebox.done(*JOIN[:-1], roles, "--out", "roles").splitlines()
    assert [line.split()[:2] for line in lines[3:5]] == [["wind", "2"], ["kept", "0"]]


def test_what_is_registered_again_is_said_to_be_unchanged(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """And what is edited, edited."""
    jukebox, _ = travelled
    assert jukebox.done("register", "features.yaml").startswith("5 features registered: 5 unchanged\n")


def test_features_can_be_searched_and_listed_as_json(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """Text is found in names, whatever its case; JSON has the whole declaration with its version."""
    jukebox, _ = travelled
    assert jukebox.done("features").startswith("5 features\n")
    found = jukebox.done("features", "AIRPORT/Weather").splitlines()
    assert [line.split()[0] for line in found] == ["2", "feature", "/airport/weather/temp", "/airport/weather/wind"]
    [seats] = json.loads(jukebox.done("features", "seats", "--json"))
    assert (seats["name"], seats["version"], seats["data_type"]) == (SEATS, 1, "int64")
    assert seats["endpoint"]["static"] is True
    assert jukebox.done("features", "xyz") == "0 of 5 features hold 'xyz' in name, description or tags\n"
    assert json.loads(jukebox.done("features", "xyz", "--json")) == []


def test_a_lookup_has_values_event_times_and_statuses(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """By short and canonical names, of two entities, as of a moment; static features have no event time."""
    jukebox, _ = travelled
    rows = [line.split() for line in jukebox.done(*GET, *AT).splitlines()]
    assert rows[1] == ["/airport/weather/temp", "38", "2024-01-03", "18:00:00Z", "fresh"]
    assert rows[3] == ["/aircraft/fleet/seats", "100", "-", "fresh"]
    found = json.loads(jukebox.done(*GET, *AT, "--json"))
    assert found[TEMP]["value"] == found["/airport/weather/temp"]["value"] == 38.0
    assert found[TEMP]["event_time"] == "2024-01-03T18:00:00+00:00"
    assert found[TEMP]["feature"] == f"{TEMP}@1"
    now = json.loads(jukebox.done(*GET, "--json"))[TEMP]
    assert (now["value"], now["status"], now["too_old"]) == (None, "stale", 38.0)


def test_lineage_leads_down_and_up_and_both_ways(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """From a feature to its tables and training set, from the training set to the features; places may be relative."""
    jukebox, _ = travelled
    down = jukebox.done("lineage", "--feature", "/airport/weather/temp")
    assert all(text in down for text in ("offline_load", "TrainingSet", "OnlineTable", "0 models"))
    assert "planes" not in down
    both = jukebox.done("lineage", "--uri", "training_set")
    assert f"2 features\n  {TEMP}@1\n  {WIND}@1\n" in both
    graph = json.loads(jukebox.done("lineage", "--uri", "training_set", "--json"))
    assert graph.keys() == {"up", "down"}
    assert graph["up"]["features"] == [f"{TEMP}@1", f"{WIND}@1"]
    assert {node["kind"] for node in graph["up"]["nodes"]} == {"artifact", "execution"}


def test_what_was_made_can_be_shown(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """A training set with proof and rows, a feature table with as many rows as asked, from several dates."""
    jukebox, printed = travelled
    shown = jukebox.done("show", "training_set", "--columns", "origin,temp")
    assert shown.startswith(printed["prepare_training_set"])
    assert shown.endswith("the first 3 rows\norigin  temp\nJFK       16\nLGA        -\nSFO        -\n")
    table = jukebox.done("show", "tables/weather", "--rows", "12").splitlines()
    assert table[1] == "the first 12 rows"
    assert (table[3].split()[1], table[-1].split()[1]) == ("2024-01-01", "2024-01-02")
    assert jukebox.done("show", "tables/weather", "--rows", "0").count("\n") == 1


def test_what_the_registry_keeps_holds_from_any_folder(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """Places are kept absolute: whoever shares the registry finds tables and stores from elsewhere."""
    jukebox, _ = travelled
    elsewhere = Terminal(jukebox.root / "source", f"mlmd+sqlite://{jukebox.root}/here.db")
    assert json.loads(elsewhere.done(*GET, *AT, "--json"))[TEMP]["value"] == 38.0
    name = Manifest.read(jukebox.root / "training_set").inputs[0].uri
    assert Path(name).is_absolute()


def test_a_second_online_load_changes_nothing_and_says_so(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """The keys are counted, none is changed."""
    jukebox, printed = travelled
    again = jukebox.done("load-online", "--features", SEATS, "--store", "sqlite://online.db").splitlines()
    assert again[2].split()[1:] == ["2", "0", "0", "1"]
    assert printed["load_online"].splitlines()[-1].split()[1:] == ["2", "2", "0", "1"]


@pytest.mark.skipif(find_spec("tensorflow_data_validation") is None, reason="needs pip install 'jukebox[tfx]'")
def test_statistics_end_with_a_page_and_without_noise(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """In a process of its own: TensorFlow and Beam are imported, and stderr stays empty."""
    jukebox, _ = travelled
    ran = command(jukebox, "statistics", "training_set", "--out", "statistics")
    assert (ran.returncode, ran.stderr) == (0, "")
    told, page = ran.stdout.splitlines()
    assert told.startswith("feature statistics: 3 rows, anomalies: ")
    assert told.endswith("in statistics")
    assert (jukebox.root / page.removeprefix("to read: ")).read_text().startswith("<!DOCTYPE html>")
    assert "ExampleStatistics" in jukebox.done("lineage", "--uri", "training_set")
    assert jukebox.done("show", "statistics") == ran.stdout


def test_the_entry_point_is_this_application(travelled: tuple[Terminal, dict[str, str]]) -> None:
    """`jukebox` on the PATH prints what the application prints; progress is on stderr."""
    jukebox, printed = travelled
    ran = command(jukebox, *LOAD, "--from", "2024-01-01", "--to", "2024-01-03")
    assert (ran.returncode, ran.stdout) == (0, printed["load_offline"])
    assert ran.stderr.splitlines()[-1] == "loading weather: 3 of 3"


def test_a_date_at_a_time_is_a_range(jukebox: Terminal) -> None:
    """Two loads of a date each leave what one load of both leaves."""
    for day in ("2024-01-01", "2024-01-02"):
        jukebox.done(*LOAD, "--date", day)
    assert "16 rows, 2 dates from 2024-01-01 to 2024-01-02" in jukebox.done("show", "tables/weather", "--rows", "0")


def test_a_new_version_is_said_to_be_one(jukebox: Terminal) -> None:
    """Another type is a new version, another owner an edit."""
    changed = DECLARED.replace("column: late, data_type: float32", "column: late, data_type: float64")
    (jukebox.root / "features.yaml").write_text(changed.replace("max_age: 2h", "max_age: 3h"))
    told = jukebox.done("register", "features.yaml").splitlines()
    assert told[0] == "5 features registered: 1 edited, 3 unchanged, 1 new version"
    assert told[-1].split() == ["/route/history/late", "2", "new", "version"]
    assert LATE in jukebox.done("features", "late", "--json")


def command(jukebox: Terminal, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    program = Path(sys.executable).with_name("jukebox")
    environment: dict[str, Any] = {**os.environ, "JUKEBOX_REGISTRY": jukebox.registry}
    environment.pop("COLUMNS", None)
    options: dict[str, Any] = {"cwd": jukebox.root, "env": environment, "capture_output": True, "text": True}
    return subprocess.run([program, *arguments], check=False, timeout=120, **options)
