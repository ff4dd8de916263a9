"""Lineage on the command line: its questions, its formats, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.components.place import TEMP, WIND, labels

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal
    from tests.components.place import Place

SHORT = "/airport/weather/temp"


@pytest.fixture
def traced(jukebox: Terminal, here: Place) -> Terminal:
    """Return a terminal where two models are recorded, of which one serves, by commands alone."""
    here.load()
    here.join(labels(("JFK", "02 07:30")), (TEMP, WIND), out=str(here.root / "both"))
    here.join(labels(("JFK", "02 07:30")), (WIND,), out=str(here.root / "wind"))
    for name in ("both", "wind"):
        (here.root / f"{name}.model").write_text(name)
        jukebox.done("record-model", f"{name}.model", "--training-set", name, "--out", f"{name}.record")
    told = jukebox.done("record-deployment", "both.model", "--endpoint", "eu", "--out", "deployment")
    assert told == "both.model serves at eu\n"
    return jukebox


def test_the_lineage_of_a_feature_names_its_training_sets_and_models(traced: Terminal) -> None:
    """Below the tree, by where they lie as seen from here."""
    told = traced.done("lineage", "--feature", SHORT).splitlines()
    assert told[0] == f"Feature {TEMP}@1"
    assert told[-4:] == ["1 training set", "  both", "1 model", "  both.model"]


@pytest.mark.parametrize("registry", ["manifests://.", "openlineage://events.jsonl"])
def test_other_sources_answer_in_the_registry_s_place(traced: Terminal, registry: str) -> None:
    """Manifests alone, and events that were exported."""
    assert traced.done("export-lineage", "--out", "events.jsonl").endswith("runs in events.jsonl\n")
    told = json.loads(traced.done("lineage", "--model", "both.model", "--registry", registry, "--json"))
    assert told["up"]["features"] == [f"{TEMP}@1", f"{WIND}@1"]
    use = json.loads(traced.done("usage", "--registry", registry, "--json"))
    assert {each["feature"]: (each["models"], each["deployed"]) for each in use} | {TEMP: (1, 1), WIND: (2, 1)} == {
        each["feature"]: (each["models"], each["deployed"]) for each in use
    }


def test_several_sources_are_one(traced: Terminal) -> None:
    """The registry has the runs, and the manifests have the partitions' source files."""
    up = ("lineage", "--model", "both.model", "--json")
    assert "2024-01-01.parquet" not in traced.done(*up)
    assert "2024-01-01.parquet" in traced.done(*up, "--source", "manifests://.")


def test_every_format_holds_the_same_edges(traced: Terminal) -> None:
    """Mermaid, DOT, CSV and JSON."""
    ask = ("lineage", "--feature", SHORT, "--format")
    edges = len(json.loads(traced.done(*ask, "json"))["down"]["edges"])
    assert len(list(csv.DictReader(io.StringIO(traced.done(*ask, "csv"))))) == edges
    assert traced.done(*ask, "mermaid").count(" --> ") == edges
    assert traced.done(*ask, "dot").count(" -> ") == edges
    assert traced.done(*ask, "dot", "--out", "lineage.dot") == ""
    assert (traced.root / "lineage.dot").read_text() == traced.done(*ask, "dot")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not here: apt-get install graphviz")
@pytest.mark.parametrize(("kind", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_picture_goes_to_a_file(traced: Terminal, kind: str, magic: bytes) -> None:
    """Drawn by Graphviz."""
    pytest.importorskip("graphviz", reason="pip install 'jukebox[pictures]'")
    traced.done("lineage", "--feature", SHORT, "--format", kind, "--out", f"picture.{kind}")
    assert (traced.root / f"picture.{kind}").read_bytes().startswith(magic)


def test_without_graphviz_it_is_said(traced: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what needs none."""
    pytest.importorskip("graphviz", reason="pip install 'jukebox[pictures]'")
    monkeypatch.setenv("PATH", str(traced.root))
    told = traced.refused("lineage", "--feature", SHORT, "--format", "svg", "--out", "picture.svg")
    assert "apt-get install graphviz" in told
    assert not (traced.root / "picture.svg").exists()


def test_between_two_artifacts_are_the_runs_on_the_way(traced: Terminal) -> None:
    """From the table to one of the models."""
    told = traced.done("lineage", "--uri", "table", "--to", "wind.model")
    assert "wind.model" in told
    assert "both" not in told
    assert told.endswith("2 runs\n")


def test_use_is_counted_for_every_feature(traced: Terminal) -> None:
    """The unused alone, where they are asked for."""
    rows = {line.split()[0]: line.split()[1:] for line in traced.done("usage").splitlines()[2:]}
    assert rows[SHORT] == ["1", "1", "1", "0", "undefined"]
    assert rows["/airport/weather/wind"] == ["2", "2", "1", "0", "undefined"]
    assert traced.done("usage", "--unused").splitlines()[0] == "3 of 5 features in no model"


def test_what_serves_is_listed_with_what_is_doubtful(traced: Terminal) -> None:
    """Days of 2024 are stale by now where a feature may be two hours old."""
    [found] = json.loads(traced.done("deployed", "--json"))
    assert (found["endpoint"], found["features"]) == ("eu", [f"{TEMP}@1", f"{WIND}@1"])
    assert [(doubt["feature"], doubt["what"]) for doubt in found["doubts"]] == [(f"{TEMP}@1", "stale")]
    assert "stale" in traced.done("deployed")
    traced.done("record-deployment", "both.model", "--endpoint", "eu", "--end")
    assert traced.done("deployed").startswith("0 deployed models")


def test_two_models_are_compared(traced: Terminal) -> None:
    """By their features."""
    assert json.loads(traced.done("compare", "both.model", "wind.model", "--json")) == {
        "first": [f"{TEMP}@1"],
        "second": [],
        "both": [f"{WIND}@1"],
    }
    assert "1 feature of both.model alone" in traced.done("compare", "both.model", "wind.model")


def test_a_wrong_day_says_what_to_make_again(traced: Terminal) -> None:
    """Training sets before the models that were trained on them, and what serves."""
    told = json.loads(traced.done("rebuild", "table", "--date", "2024-01-01", "--json"))
    places = [step["uri"].rpartition("/")[2] for step in told["steps"] if step["type"] != "jukebox.FeatureTable"]
    assert set(places[:2]) == {"both", "wind"}
    assert {"both.model", "wind.model"} <= set(places[2:])
    assert told["deployed"] == [f"{traced.root}/both.model"]
    assert "models that serve" in traced.done("rebuild", "table", "--from", "2024-01-01", "--to", "2024-01-02")
    assert traced.done("rebuild", "table", "--date", "2023-01-01") == "nothing was made of these days\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lineage", "--feature", "/airport/weather/tmp"), f"nearest: {TEMP}"),
        (("lineage", "--model", "nowhere"), "no artifact at 'nowhere' is recorded"),
        (("lineage", "--feature", SHORT, "--to", "both"), "--to needs --uri"),
        (("lineage", "--feature", SHORT, "--format", "bmp"), "'bmp' is no format of a lineage"),
        (("lineage", "--feature", SHORT, "--format", "png"), "--format png needs --out"),
        (("lineage", "--feature", SHORT, "--source", "nowhere"), "'nowhere' is no lineage source"),
        (("lineage", "--feature", SHORT, "--source", "manifests://nowhere"), "no folder of manifests at nowhere"),
        (("usage", "--registry", "openlineage://nowhere"), "nowhere cannot be read"),
        (("compare", "both.model", "nowhere"), "no artifact at 'nowhere'"),
        (("rebuild", "table"), "give either a date or a range"),
        (("rebuild", "nowhere", "--date", "2024-01-01"), "nowhere' is recorded in"),
        (("record-model", "nowhere", "--training-set", "both"), "nowhere cannot be read"),
        (("record-model", "both.model", "--training-set", "wind", "--features", SHORT), "does not hold"),
        (("record-model", "both.model", "--training-set", "both", "--facts", "[]"), "--facts is a JSON list"),
        (("record-deployment", "nowhere", "--endpoint", "eu"), "no artifact at 'nowhere'"),
        (("record-deployment", "both.model", "--endpoint", "us", "--end"), "models serve at: eu"),
    ],
)
def test_what_does_not_fit_is_refused(traced: Terminal, arguments: tuple[str, ...], said: str) -> None:
    """With one message."""
    assert said in traced.refused(*arguments)
