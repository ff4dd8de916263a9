"""`jukebox log-training-set` and `jukebox check-consistency`: what they print, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.components.place import TEMP, WIND, at, write
from tests.components.serving import JFK, LATER, LGA, Serving, outcomes

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal
    from tests.components.place import Place

FEATURES = f"{TEMP},{WIND}"


@pytest.fixture
def serving(here: Place) -> Serving:
    """The place with features loaded and served."""
    serving = Serving(here)
    serving.load("weather")
    serving.load_online([TEMP, WIND])
    serving.serve(("a", JFK, at("03 19:00")), ("b", LGA, LATER), features=[TEMP])
    return serving


def test_a_training_set_of_a_log_is_told_with_where_its_values_come_from(jukebox: Terminal, serving: Serving) -> None:
    """The proof, and the cells that were logged and backfilled; also when it is shown again."""
    write(serving.place.root / "clicks.parquet", outcomes("b", "a", "a"))
    command = ("log-training-set", "--log", "served", "--labels", "clicks.parquet", "--features", FEATURES)
    lines = jukebox.done(*command, "--out", "out").splitlines()
    assert lines[0].startswith("training set: 3 labels (")
    start = lines.index("where the values come from")
    assert [line.split() for line in lines[start + 2 : start + 4]] == [
        ["temp", "3", "1", "0", "0"],
        ["wind", "0", "0", "3", "0"],
    ]
    assert lines[-1] == "3 of 3 labels were logged"
    write(serving.place.root / "clicks.parquet", outcomes("b", "a", "a", origin=["LGA", "LGA", "SFO"]))
    assert jukebox.done(*command, "--out", "out").splitlines()[-2:] == [
        "3 of 3 labels were logged",
        "2 labels with another key than was served; the served one is used",
    ]
    assert jukebox.done("show", "out").splitlines()[0] == lines[0]
    assert "was stitched from the log" in jukebox.refused("verify", "out")


def test_the_lineage_leads_from_features_through_the_log_s_training_set_to_a_model(
    jukebox: Terminal, serving: Serving
) -> None:
    """And back; the registry tells it, and so do the manifests alone."""
    write(serving.place.root / "clicks.parquet", outcomes("b", "a"))
    command = ("log-training-set", "--log", "served", "--labels", "clicks.parquet", "--features", FEATURES)
    jukebox.done(*command, "--out", "out")
    (serving.place.root / "one.model").write_text("one")
    jukebox.done("record-model", "one.model", "--training-set", "out", "--out", "one.record")
    jukebox.done("check-consistency", "--log", "served", "--out", "checked")
    for source in ((), ("--registry", "manifests://.")):
        told = jukebox.done("lineage", "--feature", TEMP, *source)
        assert told.splitlines()[-4:] == ["1 training set", "  out", "1 model", "  one.model"]
        assert told.count("── log_training_set") >= 1 <= told.count("── consistency_check")
        used = json.loads(jukebox.done("usage", *source, "--json"))
        assert {each["training_sets"] for each in used if each["feature"] in (TEMP, WIND)} == {1}
        up = json.loads(jukebox.done("lineage", "--model", "one.model", "--json", *source))["up"]
        assert up["features"] == [f"{TEMP}@1", f"{WIND}@1"]
        assert "ServedLog" in jukebox.done("lineage", "--model", "one.model", *source)


@pytest.mark.usefixtures("serving")
def test_a_check_that_finds_nothing_is_told_in_a_table_and_a_line(jukebox: Terminal) -> None:
    """Of a log, and of what is served now."""
    lines = jukebox.done("check-consistency", "--log", "served", "--out", "out").splitlines()
    assert lines[-1] == "consistent: 2 cells, in out"
    assert [f"{TEMP}@1", "replay", "2", *["0"] * 7] in [line.split() for line in lines]
    lines = jukebox.done("check-consistency", "--features", FEATURES, "--out", "out", width=200).splitlines()
    assert lines[-1] == "consistent: 4 cells, in out"
    assert sum("read back" in line for line in lines) == 2


def test_a_skew_ends_the_command_with_the_feature_and_the_report(jukebox: Terminal, serving: Serving) -> None:
    """And with nothing on stdout."""
    rows = serving.logged()
    place = rows.schema.get_field_index(f"{TEMP}@1")
    serving.rewrite(rows.set_column(place, rows.schema.field(place), [[39.0] * 2]))
    told = jukebox.refused("check-consistency", "--log", "served", "--out", "out")
    assert f"1 of 2 cells (50.00%) of '{TEMP}@1' are mismatch" in told
    assert "all of it is in out/report.json" in told
    allowed = ("--thresholds", '{"mismatch": 0.5, "extra": 0.5}')
    assert "consistent" in jukebox.done("check-consistency", "--log", "served", "--out", "out", *allowed)


@pytest.mark.usefixtures("serving")
def test_options_that_make_no_sense_are_refused(jukebox: Terminal) -> None:
    """In one sentence each."""
    check = ("check-consistency", "--out", "out")
    assert "names a log, an online table or features" in jukebox.refused(*check)
    assert "--thresholds is no JSON" in jukebox.refused(*check, "--log", "served", "--thresholds", "stale")
    assert "there is no log of served features at" in jukebox.refused(*check, "--log", "nowhere")
    stitch = ("log-training-set", "--log", "served", "--labels", "none.parquet", "--features", TEMP, "--out", "out")
    assert "none.parquet does not exist" in jukebox.refused(*stitch)
