"""What registering leaves in the registry and its feature set, and what a fingerprint foresees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jukebox import register_features
from jukebox.errors import InvalidFile, StorageError
from jukebox.stores import open_registry
from jukebox.tables import Manifest

DECLARED = """\
endpoints:
  - {name: weather, uri: "weather/{date}.csv", format: csv, keys: [], event_time: time_hour}
features:
  - {name: /airport/weather/temp, endpoint: weather, column: temp, data_type: float64, owner: us}
  - {name: /airport/weather/wind, endpoint: weather, column: wind, data_type: float64}
"""
OTHER_TYPE = DECLARED.replace("column: wind, data_type: float64", "column: wind, data_type: float32")
OTHER_OWNER = DECLARED.replace("owner: us", "owner: them")
TEMP, WIND = "/entity/airport/component/weather/name/temp", "/entity/airport/component/weather/name/wind"


class Workplace:
    """A features file, a registry and a folder for feature sets, all in one temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file, self.out = root / "features.yaml", root / "feature_set"
        self.database = root / "jukebox.db"
        self.registry = f"mlmd+sqlite://{self.database}"

    def run(self, text: str) -> Manifest:
        """Register ``text``."""
        self.file.write_text(text)
        return register_features.run(features=str(self.file), registry=self.registry, out=str(self.out))

    def fingerprint(self, text: str) -> str:
        """Return the fingerprint that registering ``text`` would leave."""
        self.file.write_text(text)
        return register_features.fingerprint(features=str(self.file), registry=self.registry)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """Return a place where nothing has been registered."""
    return Workplace(tmp_path)


def changes(manifest: Manifest) -> list[tuple[str, int, int, str]]:
    """Return name, version, revision and change of each feature of a feature set."""
    return [(f["name"], f["version"], f["revision"], f["change"]) for f in manifest.details["features"]]


def test_a_first_run_makes_version_one_of_every_feature(place: Workplace) -> None:
    """All features are new, the registry holds them, and the feature set on disk is what was returned."""
    manifest = place.run(DECLARED)
    assert changes(manifest) == [(TEMP, 1, 1, "new"), (WIND, 1, 1, "new")]
    assert [feature.versioned for feature in open_registry(place.registry).features()] == [
        f"{TEMP}@1",
        f"{WIND}@1",
    ]
    assert Manifest.read(place.out, "feature_set") == manifest


def test_the_same_again_is_no_change_at_all(place: Workplace) -> None:
    """A second run leaves the registry as it was and a feature set of the same fingerprint."""
    first, second = place.run(DECLARED), place.run(DECLARED)
    assert changes(second) == [(TEMP, 1, 1, "unchanged"), (WIND, 1, 1, "unchanged")]
    assert second.fingerprint == first.fingerprint


def test_a_changed_definition_is_a_new_version(place: Workplace) -> None:
    """Another data type makes version 2 of that feature and leaves the others alone."""
    place.run(DECLARED)
    assert changes(place.run(OTHER_TYPE)) == [(TEMP, 1, 1, "unchanged"), (WIND, 2, 2, "new version")]


def test_changed_metadata_are_edited_in_place(place: Workplace) -> None:
    """Another owner is a revision of the same version."""
    place.run(DECLARED)
    assert changes(place.run(OTHER_OWNER)) == [(TEMP, 1, 2, "edited"), (WIND, 1, 1, "unchanged")]


def test_the_fingerprint_foresees_the_run(place: Workplace) -> None:
    """Whatever a run would do, its fingerprint is known before, and stays after it."""
    for text in (DECLARED, OTHER_TYPE, OTHER_OWNER, DECLARED):
        before = place.fingerprint(text)
        assert place.run(text).fingerprint == before == place.fingerprint(text)


def test_every_change_is_another_fingerprint(place: Workplace) -> None:
    """Going back to an earlier declaration is a change too: no cache may answer for it."""
    prints = [place.run(text).fingerprint for text in (DECLARED, OTHER_TYPE, OTHER_OWNER, DECLARED)]
    assert len(set(prints)) == len(prints)


def test_a_change_by_another_hand_is_another_fingerprint(place: Workplace, tmp_path: Path) -> None:
    """The file may be the same: when the registry has moved on, registering it anew is work to do."""
    before = place.run(DECLARED).fingerprint
    other = tmp_path / "other.yaml"
    other.write_text(OTHER_TYPE)
    register_features.run(features=str(other), registry=place.registry)
    assert place.fingerprint(DECLARED) != before


def test_a_registry_made_anew_has_other_fingerprints_for_other_features(place: Workplace) -> None:
    """Equal version numbers do not make different declarations equal."""
    assert place.fingerprint(DECLARED) != place.fingerprint(OTHER_OWNER)


def test_a_fingerprint_makes_no_registry(place: Workplace) -> None:
    """Asking before the first run leaves nothing behind but the file that was asked about."""
    place.fingerprint(DECLARED)
    assert list(place.root.iterdir()) == [place.file]


def test_a_file_with_faults_registers_nothing(place: Workplace) -> None:
    """The error lists all faults; there is no registry, no feature set, and a corrected file works."""
    with pytest.raises(InvalidFile, match="2 faults"):
        place.run(DECLARED.replace("float64", "flot64"))
    assert list(place.root.iterdir()) == [place.file]
    assert changes(place.run(DECLARED)) == [(TEMP, 1, 1, "new"), (WIND, 1, 1, "new")]


def test_a_missing_file_is_a_storage_error(place: Workplace) -> None:
    """A path without a file is told by its name, and makes no registry."""
    with pytest.raises(StorageError, match=r"features\.yaml cannot be read: no such file"):
        register_features.run(features=str(place.file), registry=place.registry)
    assert not place.database.exists()


def test_an_output_that_cannot_be_written_is_mended_by_a_rerun(place: Workplace) -> None:
    """Where the feature set's folder cannot be, the run says so; with the way free the same run completes."""
    place.out.write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        place.run(DECLARED)
    place.out.unlink()
    assert changes(place.run(DECLARED)) == [(TEMP, 1, 1, "unchanged"), (WIND, 1, 1, "unchanged")]


def test_without_an_output_nothing_but_the_registry_is_written(place: Workplace) -> None:
    """From the command line and Python the feature set need not be kept."""
    place.file.write_text(DECLARED)
    manifest = register_features.run(features=str(place.file), registry=place.registry)
    assert len(changes(manifest)) == 2
    assert {path.name for path in place.root.iterdir()} == {"features.yaml", "jukebox.db"}


def test_the_readme_tells_of_every_parameter() -> None:
    """The table of parameters names what a pipeline gives to the component."""
    readme = (Path(register_features.__file__).parent / "README.md").read_text()
    assert all(f"| `{name}` |" in readme for name in ("features", "registry", "feature_set"))
