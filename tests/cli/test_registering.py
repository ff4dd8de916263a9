"""The registry on the command line: plans for CI, life cycles, search, and a registry that goes by file."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jukebox.stores import Recorded, open_registry
from tests.cli.conftest import Terminal
from tests.components.place import DECLARED, SEATS, TEMP, copied, labels, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

FIELDS = "column: seats, data_type: int64"
PRODUCTION = DECLARED.replace(FIELDS, f"{FIELDS}, life_cycle: production, owner: fleet, tags: [big]")
JOIN = ("prepare-training-set", "--labels", "labels.parquet", "--label-time", "at", "--features", TEMP)


def declare(jukebox: Terminal, text: str) -> None:
    """Write features.yaml."""
    (jukebox.root / "features.yaml").write_text(text)


def planned(jukebox: Terminal, *options: str) -> tuple[int, str]:
    """Return how a plan ended and what it printed."""
    ran = jukebox("plan", "features.yaml", *options)
    assert ran.err == ""
    return ran.code, ran.out


def test_a_plan_ends_as_a_pipeline_wants_it(jukebox: Terminal) -> None:
    """0 where nothing would change, 2 where something would, 1 where it would be refused; and nothing is written."""
    declare(jukebox, DECLARED)
    assert planned(jukebox) == (0, "5 features: 5 unchanged\n")
    declare(jukebox, PRODUCTION)
    code, out = planned(jukebox)
    assert code == 2
    assert out.splitlines() == [
        "5 features: 4 unchanged, 1 edited",
        "/aircraft/fleet/seats: edited",
        "  owner: - → fleet",
        "  tags: [] → ['big']",
        "  life_cycle: undefined → production",
    ]
    assert planned(jukebox) == (code, out)
    assert jukebox.done("apply", "features.yaml").startswith("5 features registered: 4 unchanged, 1 edited\n")
    declare(jukebox, PRODUCTION.replace(FIELDS, "column: seats, data_type: string"))
    code, out = planned(jukebox)
    assert code == 1
    assert f"  refused: '{SEATS}' is in production and would change its data_type from int64 to string" in out
    assert "is in production" in jukebox.refused("apply", "features.yaml")
    assert planned(jukebox, "--force", "aircraft/fleet/seats")[0] == 2
    forced = jukebox.done("register", "features.yaml", "--force", SEATS)
    assert forced.startswith("5 features registered: 4 unchanged, 1 new version\n")


def test_a_plan_of_a_new_registry_leaves_none_behind(jukebox: Terminal) -> None:
    """All is new."""
    code, out = planned(jukebox, "--registry", "mlmd+sqlite://new.db")
    assert (code, out.splitlines()[0]) == (2, "5 features: 5 new")
    assert not (jukebox.root / "new.db").exists()


def test_a_plan_tells_what_a_change_touches(jukebox: Terminal) -> None:
    """Training sets, models, those that serve, online tables; five are named, the rest counted, and JSON has all."""
    registry = open_registry(jukebox.registry)
    data = Recorded("jukebox.TrainingSet", str(jukebox.root / "set"))
    models = [Recorded("Model", f"models/{number}") for number in range(7)]
    live = Recorded("jukebox.Deployment", "live", properties=(("active", "true"), ("endpoint", "live")))
    registry.record("point_in_time_join", reads=[f"{SEATS}@1"], outputs=[data])
    registry.record("trainer", inputs=[data], outputs=models)
    registry.record("record_deployment", inputs=models[:1], outputs=[live])
    declare(jukebox, DECLARED.replace(FIELDS, "column: places, data_type: int64"))
    code, out = planned(jukebox)
    assert code == 2
    assert out.splitlines()[1:] == [
        "/aircraft/fleet/seats: new version, 1 → 2",
        "  column: seats → places",
        "  training sets: set",
        "  models: models/0, models/1, models/2, models/3, models/4, 2 more",
        "  deployed models: models/0",
    ]
    [seats] = [each for each in json.loads(planned(jukebox, "--json")[1]) if each["name"] == SEATS]
    assert (seats["change"], seats["version_before"], seats["version"]) == ("new version", 1, 2)
    assert seats["differences"] == [{"field": "column", "before": "seats", "after": "places"}]
    assert {what: len(uris) for what, uris in seats["uses"].items()} == {
        "training_sets": 1,
        "models": 7,
        "deployed_models": 1,
        "online_tables": 0,
    }
    assert "deployed models use it: models/0" in jukebox.refused("deprecate", "/aircraft/fleet/seats")


def test_a_faulty_file_is_no_plan(jukebox: Terminal) -> None:
    """All faults are told by line, as by a registration."""
    declare(jukebox, DECLARED.replace("float64", "flot64"))
    assert jukebox.refused("plan", "features.yaml").startswith("error: features.yaml has 2 faults:\n")


def test_a_feature_is_deprecated_and_then_retired(jukebox: Terminal) -> None:
    """The next registration that says otherwise is refused, one that says nothing is not."""
    declare(jukebox, PRODUCTION)
    jukebox.done("apply", "features.yaml")
    assert "may become deprecated, not retired" in jukebox.refused("retire", "/aircraft/fleet/seats")
    out = jukebox.done("deprecate", "/aircraft/fleet/seats")
    assert out.startswith("1 feature deprecated\n")
    assert "(life_cycle: deprecated)" in out
    assert "is deprecated and may become retired, not in production" in jukebox.refused("apply", "features.yaml")
    declare(jukebox, PRODUCTION.replace(", life_cycle: production", ""))
    assert planned(jukebox) == (0, "5 features: 5 unchanged\n")
    jukebox.done("retire", "/aircraft/fleet/seats", "/airport/weather/temp")
    listed = json.loads(jukebox.done("features", "--life-cycle", "retired", "--json"))
    assert [each["name"] for each in listed] == [SEATS, TEMP]
    assert "nearest" in jukebox.refused("retire", "/aircraft/fleet/seat")


def test_features_are_searched_by_what_they_are(jukebox: Terminal) -> None:
    """Every filter by itself and together, page by page."""
    declare(jukebox, PRODUCTION)
    jukebox.done("apply", "features.yaml")

    def found(*asked: str) -> list[str]:
        return [each["name"].rsplit("/", 1)[-1] for each in json.loads(jukebox.done("features", *asked, "--json"))]

    assert found("--entity", "aircraft") == ["seats", "delay"]
    assert found("--family", "/airport/temp") == ["temp"]
    assert found("--endpoint", "weather", "wind") == ["wind"]
    assert found("--owner", "fleet", "--tag", "big", "--scope", "undefined") == ["seats"]
    assert found("--life-cycle", "production", "--data-type", "int64") == ["seats"]
    assert found("--online") == []
    assert len(found("--no-online")) == 5
    pages = [found("--limit", "2")]
    assert "2 of 5 features\n" in jukebox.done("features", "--limit", "2")
    assert jukebox.done("features", "--limit", "2").splitlines()[-1] == f"the next page: --after {DELAYED}"
    pages += [found("--limit", "2", "--after", DELAYED), found("--after", TEMP)]
    assert pages == [["seats", "delay"], ["temp", "wind"], ["wind", "late"]]


DELAYED = "/entity/aircraft/component/history/name/delay"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--owner", "us"), "0 of 5 features match: no feature has the owner 'us'\n"),
        (
            ("--entity", "airprot"),
            "0 of 5 features match: no feature has the entity 'airprot'; nearest: airport, aircraft\n",
        ),
        (("--after", "/z/z/z"), "0 of 5 features come after /z/z/z\n"),
        (("--entity", "airport", "--endpoint", "planes"), "0 of 5 features match\n"),
    ],
)
def test_a_search_without_an_answer_says_why(jukebox: Terminal, asked: tuple[str, ...], told: str) -> None:
    """And offers the nearest value that there is."""
    assert jukebox.done("features", *asked) == told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--life-cycle", "prod"), "'prod' is no life cycle; there are"),
        (("--model", "nowhere"), "no artifact at 'nowhere' is recorded"),
        (("--after", "7"), "'7' is no feature name"),
    ],
)
def test_a_search_that_cannot_be_is_refused(jukebox: Terminal, asked: tuple[str, ...], told: str) -> None:
    """In one line."""
    assert told in jukebox.refused("features", *asked)


def test_a_registry_goes_through_a_file_whole(jukebox: Terminal) -> None:
    """Export, import into a new registry, export: the same text; the same import again changes nothing."""
    declare(jukebox, PRODUCTION)
    jukebox.done("apply", "features.yaml")
    assert jukebox.done("export", "--out", "registry.yaml") == "5 features written to registry.yaml\n"
    text = (jukebox.root / "registry.yaml").read_text()
    assert jukebox.done("export") == text
    new = ("--registry", "mlmd+sqlite://new.db")
    assert jukebox.done("import", "registry.yaml", *new) == "5 features imported\n"
    assert jukebox.done("import", "registry.yaml", *new) == "0 features imported, 5 there already\n"
    assert jukebox.done("export", *new) == text
    jukebox.done("register", "features.yaml", *new)
    declare(jukebox, DECLARED.replace("max_age: 2h", "max_age: 3h"))
    jukebox.done("register", "features.yaml", *new)
    assert "is registered already, with other versions or another history" in jukebox.refused(
        "import", "registry.yaml", *new
    )


def test_a_file_with_faults_is_imported_nowhere(jukebox: Terminal) -> None:
    """All faults by line, and no registry is made."""
    jukebox.done("export", "--out", "registry.yaml")
    text = (jukebox.root / "registry.yaml").read_text()
    (jukebox.root / "registry.yaml").write_text(text.replace("version: 1\n", "version: 2\n"))
    told = jukebox.refused("import", "registry.yaml", "--registry", "mlmd+sqlite://new.db")
    assert told.startswith("error: registry.yaml has 5 faults:\n")
    assert not (jukebox.root / "new.db").exists()


@pytest.fixture(scope="module")
def by_file(furnished: Place, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Return a terminal where the features are loaded offline and online, and the registry is a file."""
    place = copied(furnished, tmp_path_factory.mktemp("file"))
    place.load()
    write(place.root / "labels.parquet", labels(("JFK", "02 07:30"), ("LGA", "03 12:30")))
    there = Terminal(place.root, place.registry)
    there.done("load-online", "--features", TEMP, "--store", f"sqlite://{place.root}/online.db")
    there.done("export", "--out", "registry.yaml")
    (place.root / "registry.db").unlink()
    return Terminal(place.root, "file://registry.yaml")


def test_a_consumer_needs_the_file_alone(by_file: Terminal) -> None:
    """It searches, joins, describes and serves as with the registry itself; the lineage lies in the manifests."""
    assert json.loads(by_file.done("features", "--online", "--json"))[0]["name"] == TEMP
    assert by_file.done(*JOIN, "--out", "training_set").startswith("training set: 2 labels")
    assert "verified" in by_file.done("verify", "training_set")
    assert by_file.done("get", TEMP, "-e", "airport=JFK").splitlines()[1].startswith(TEMP)
    assert "holds no lineage: that lies in the manifests" in by_file.refused("lineage", "--feature", TEMP)
    assert not (by_file.root / "registry.db").exists()


@pytest.mark.parametrize(
    ("command", "who"),
    [
        (("register", "features.yaml"), "register_features"),
        (("load-offline", "--data-endpoint", "weather", "--uri-prefix", "source", "--out", "t"), "offline_load"),
        (("load-online", "--features", TEMP), "online_load"),
        (("import", "registry.yaml"), "import"),
        (("deprecate", TEMP), "a feature that becomes deprecated"),
    ],
)
def test_a_producer_is_refused_by_name(by_file: Terminal, command: tuple[str, ...], who: str) -> None:
    """Before anything is read or written."""
    before = _contents(by_file.root)
    dates = ("--date", "2024-01-01") if command[0] == "load-offline" else ()
    told = by_file.refused(*command, *dates)
    why = f"is a registry in a file and read only; {who} needs the registry that it came from"
    assert told == f"error: file://registry.yaml {why}\n"
    assert _contents(by_file.root) == before


def _contents(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*")}


def test_without_ml_metadata_a_registry_in_a_file_works(by_file: Terminal) -> None:
    """The library is not even imported."""
    script = (
        "import sys; sys.modules['ml_metadata'] = None\n"
        "from jukebox.stores import open_registry\n"
        f"assert len(open_registry('file://{by_file.root}/registry.yaml').features()) == 5\n"
        f"from jukebox import point_in_time_join\n"
        f"point_in_time_join.run(labels='{by_file.root}/labels.parquet', label_time='at', features=['{TEMP}'],\n"
        f"    registry='file://{by_file.root}/registry.yaml', out='{by_file.root}/without')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (by_file.root / "without" / "manifest.json").exists()
