"""The pipeline of artists, as on the slides, on both orchestrators: converted, loaded, ids written anew."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from runpy import run_path

import pyarrow as pa
import pytest
import yaml
from tests.components.place import write

from jukebox.features.file import parse_features
from jukebox.formats import parquet, tfrecord
from jukebox.serving import FeatureReader
from jukebox.tables import Manifest

ROOT = Path(__file__).parents[2]
APM = ROOT / "pipelines" / "apm"
GENRES, WHEN = "/artist/jukebox-apm-sample/genres", datetime(2013, 2, 2, tzinfo=timezone.utc)
IDS = {
    "5sWHDYs0csV6RS48xBl0tH": "b39fe8081e1f4c54be38e8d6f9f12bb9",
    "4GNcXTGWmnZ3ySrqvol3o4": "9a1b1cfbc6f244569ae0356c77bbe9d8",
}


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return a folder with one day's Parquet, and more columns than are asked for."""
    columns = {
        "artist_gid": list(IDS),
        "genres": [["rock", "pop"], ["jazz"]],
        "popularity_normalized": pa.array([0.5, 0.25], pa.float32()),
        "monthly_listeners": [10, 20],
    }
    write(tmp_path / "apm" / "2013-01-31" / "part-0.parquet", pa.table(columns))
    # Of the artists, users know the first.
    keys = pa.table({"user": [7], "artist_gid": list(IDS)[:1]})
    tfrecord.write(tmp_path / "keys" / "2013-01-31" / "part-0.tfrecord.gz", keys.to_batches(), schema=keys.schema)
    return str(tmp_path / "apm")


def loaded(root: Path) -> tuple[Manifest, dict[str, list[object]]]:
    """Return the feature table below a folder, and its rows."""
    [path] = root.rglob("date=2013-01-31/part-*.parquet")
    rows = pa.Table.from_batches(parquet.read(path, columns=["artist", "genres", "popularity_normalized"]))
    return Manifest.read(path.parents[1], "feature_table"), rows.to_pydict()


def run_on_kfp(source: str, root: Path) -> None:
    """Run the pipeline by KFP's local runner."""
    from kfp import local

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "artifacts"))
    pipeline = run_path(str(APM / "apm_kfp.py"))["pipeline"]
    places = {"registry": f"mlmd+sqlite://{root}/registry.db", "store": f"sqlite://{root}/online.db"}
    keys = f"{root}/keys/2013-01-31"
    features = str(APM / "features.yaml")
    pipeline(source=source, user_artist_keys=keys, date="2013-01-31", features=features, **places)


def run_on_tfx(source: str, root: Path) -> None:
    """Run the pipeline by TFX's local runner."""
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    pipeline = run_path(str(APM / "apm_tfx.py"))["pipeline"]
    places = {"metadata": f"{root}/registry.db", "store": f"sqlite://{root}/online.db", "root": f"{root}/artifacts"}
    keys = f"{root}/keys/2013-01-31"
    features = str(APM / "features.yaml")
    LocalDagRunner().run(pipeline(source=source, user_artist_keys=keys, date="2013-01-31", features=features, **places))


@pytest.mark.parametrize("run", [run_on_kfp, run_on_tfx])
def test_artists_are_converted_and_loaded_under_the_declared_identifier(source: str, tmp_path: Path, run) -> None:
    """From Parquet by way of tf.Example, with base62 ids that become hexadecimal ones."""
    run(source, tmp_path)
    table, rows = loaded(tmp_path / "artifacts")
    assert rows == {
        "artist": list(IDS.values()),
        "genres": [["rock", "pop"], ["jazz"]],
        "popularity_normalized": [0.5, 0.25],
    }
    assert table.details["converted"] == {"artist": ["artist_gid", "base62", "gid_hex"]}
    [converted] = (tmp_path / "artifacts").rglob("*.tfrecord.gz")
    assert converted.parent.name == "2013-01-31"
    with FeatureReader(f"mlmd+sqlite://{tmp_path}/registry.db") as reader:
        online = reader.read_many([{"artist": each} for each in IDS.values()], [GENRES], at=WHEN).to_dicts()
    assert [each[GENRES] for each in online] == [["rock", "pop"], None]


def test_the_documented_endpoint_is_that_of_the_pipeline() -> None:
    """What docs/endpoints.md shows can be registered."""
    [block] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "endpoints.md").read_text(), flags=re.DOTALL)
    [genres] = parse_features(block)
    declared = yaml.safe_load((APM / "features.yaml").read_text())
    assert genres.endpoint.name == declared["endpoints"][0]["name"]
    assert (genres.endpoint.format, genres.endpoint.slo, genres.endpoint.owner) == (
        "tfrecord",
        "10h",
        "artist-insights",
    )


def test_the_documented_conversion_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of Python in docs/endpoints.md runs, and registers what it says."""
    from jukebox.core import identifiers

    monkeypatch.setattr(identifiers, "CONVERSIONS", dict(identifiers.CONVERSIONS))
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "endpoints.md").read_text(), flags=re.DOTALL)
    exec(compile(block, "endpoints.md", "exec"), {})
    assert identifiers.convert(pa.array(["GB-A-1", None]), "isrc_dashed", "isrc").to_pylist() == ["GBA1", None]
