"""Opening an MLMD store by URI."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores import open_lineage, open_registry
from tests.stores.mlmd_writers import feature, raw


def test_a_registry_is_made_where_none_is(tmp_path):
    """The file and its folders are there afterwards, and nothing beside the file."""
    open_registry(f"mlmd+sqlite://{tmp_path}/deep/er/jukebox.db")
    assert [each.name for each in (tmp_path / "deep" / "er").iterdir()] == ["jukebox.db"]


def test_a_relative_uri_is_below_the_working_folder(tmp_path, monkeypatch):
    """Two slashes begin a relative path, three an absolute one."""
    monkeypatch.chdir(tmp_path)
    open_registry("mlmd+sqlite://here.db").register([feature()])
    assert len(open_registry(f"mlmd+sqlite://{tmp_path}/here.db").features()) == 1


def test_lineage_is_not_made_where_none_is(tmp_path):
    """Reading a store that is not there names its path and leaves no file."""
    with pytest.raises(StorageError, match=f"there is no metadata store at {tmp_path}/no.db"):
        open_lineage(f"mlmd+sqlite://{tmp_path}/no.db")
    assert not list(tmp_path.iterdir())


def test_another_sqlite_database_is_refused_by_name(tmp_path):
    """The tables that were there are named, and none is added."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StorageError, match=r"other.db is no ML Metadata store; it holds songs"):
        open_registry(f"mlmd+sqlite://{path}")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    """A text file is named, and stays what it was."""
    path = tmp_path / "notes.db"
    path.write_text("a note " * 100)
    with pytest.raises(StorageError, match=r"notes.db is no ML Metadata store"):
        open_registry(f"mlmd+sqlite://{path}")
    assert path.read_text() == "a note " * 100


@pytest.mark.parametrize("version", [8, 99])
def test_another_schema_version_is_refused_and_not_migrated(tmp_path, version):
    """The error says which version was found; the store keeps it."""
    path = tmp_path / "old.db"
    open_registry(f"mlmd+sqlite://{path}")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE MLMDEnv SET schema_version = ?", (version,))
    with pytest.raises(StorageError, match=f"old.db cannot be opened: MLMD database version {version}"):
        open_registry(f"mlmd+sqlite://{path}")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT schema_version FROM MLMDEnv").fetchall() == [(version,)]


def test_a_folder_that_is_a_file_is_an_error_of_ours(tmp_path):
    """A path below a file cannot be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/jukebox.db cannot be made"):
        open_registry(f"mlmd+sqlite://{tmp_path}/file/jukebox.db")


def test_a_folder_in_the_file_s_place_is_refused(tmp_path):
    """A folder is no store."""
    with pytest.raises(StorageError, match="cannot be read"):
        open_registry(f"mlmd+sqlite://{tmp_path}")


def test_a_uri_without_a_path_is_refused():
    """The error says how a URI is written."""
    with pytest.raises(InvalidValue, match="names no file"):
        open_registry("mlmd+sqlite://")


def test_lineage_writes_nothing(tmp_path):
    """A store of TFX's, opened for lineage, is byte for byte what it was."""
    raw(tmp_path / "tfx.db")
    before = (tmp_path / "tfx.db").read_bytes()
    with pytest.raises(LookupError):
        open_lineage(f"mlmd+sqlite://{tmp_path}/tfx.db").feature_nodes("/airport/weather/temp")
    assert (tmp_path / "tfx.db").read_bytes() == before


def test_a_registry_needs_neither_arrow_nor_tensorflow(tmp_path):
    """Opening and listing imports nothing that is slow to import."""
    code = (
        "import sys\nfrom jukebox.stores import open_lineage, open_registry\n"
        f"open_registry('mlmd+sqlite://{tmp_path}/a.db').features()\nopen_lineage('mlmd+sqlite://{tmp_path}/a.db')\n"
        "print(sorted({'pyarrow', 'numpy', 'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
