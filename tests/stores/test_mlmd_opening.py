"""Opening an MLMD store by URI."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores import open_lineage, open_registry
from jukebox.stores.mlmd.files import upgrade
from tests.stores.mlmd_writers import as_of_schema_8, feature, raw


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


def test_an_older_store_is_refused_for_writing_and_not_migrated(tmp_path):
    """The error says which version was found and which command makes an upgraded copy; the file stays as it is."""
    path = tmp_path / "old.db"
    as_of_schema_8(path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"old.db cannot be opened: MLMD database version 8 .*metadata upgrade"):
        open_registry(f"mlmd+sqlite://{path}")
    assert path.read_bytes() == before


def test_an_older_store_is_read_by_way_of_a_copy(tmp_path, monkeypatch):
    """Its lineage is there, the file stays as it is, and the copy goes with the reader."""
    path, copies = tmp_path / "old.db", tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    as_of_schema_8(path)
    before = path.read_bytes()
    lineage = open_lineage(f"mlmd+sqlite://{path}")
    assert [node.type for node in lineage.nodes_at("data/1")] == ["Examples"]
    assert path.read_bytes() == before
    assert list(copies.iterdir())
    del lineage
    gc.collect()
    assert not list(copies.iterdir())


def test_an_upgraded_copy_is_a_registry_and_the_store_stays(tmp_path):
    """The copy has all that was there; what is at its place already is not replaced, and nothing else is left."""
    path, out = tmp_path / "old.db", tmp_path / "new" / "new.db"
    as_of_schema_8(path)
    before = path.read_bytes()
    upgrade(path, out)
    assert [node.uri for node in open_lineage(f"mlmd+sqlite://{out}").nodes_at("data/1")] == ["data/1"]
    assert open_registry(f"mlmd+sqlite://{out}").register([feature()])[0].change == "new"
    assert path.read_bytes() == before
    assert [each.name for each in out.parent.iterdir()] == ["new.db"]
    with pytest.raises(StorageError, match=r"new.db is there already"):
        upgrade(path, out)


def test_what_is_no_store_is_not_upgraded(tmp_path):
    """A missing file, a text file and another database are named, and no copy is left."""
    (tmp_path / "notes.db").write_text("a note " * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    for name, match in (("no", "there is no metadata store"), ("notes", "is no ML M"), ("other", "it holds songs")):
        with pytest.raises(StorageError, match=match):
            upgrade(tmp_path / f"{name}.db", tmp_path / "out.db")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.db", "other.db"]


def test_a_newer_store_is_refused(tmp_path):
    """The error says which version was found, for writing and for reading; the store keeps it."""
    path = tmp_path / "new.db"
    open_registry(f"mlmd+sqlite://{path}")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE MLMDEnv SET schema_version = 99")
    for opener in (open_registry, open_lineage):
        with pytest.raises(StorageError, match=r"new.db cannot be opened: MLMD database version 99"):
            opener(f"mlmd+sqlite://{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT schema_version FROM MLMDEnv").fetchall() == [(99,)]


def test_a_locked_file_is_waited_for_up_to_the_time_limit(tmp_path, monkeypatch):
    """The error says for how long, of opening, reading and writing; with the lock it goes."""
    path = tmp_path / "locked.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    registry.register([feature()])
    monkeypatch.setenv("JUKEBOX_METADATA_TIMEOUT", "0.2")
    with locked(path):
        for use in (registry.features, lambda: registry.register([feature("other")])):
            with pytest.raises(StorageError, match=r"locked.db has been locked by another process for 0\.2 seconds"):
                use()
        with pytest.raises(StorageError, match=r"locked.db cannot be read: database is locked"):
            open_lineage(f"mlmd+sqlite://{path}")
    assert len(registry.register([feature("other")])) == 1
    assert len(registry.features()) == 2


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file for another process; within one process SQLite's libraries do not see each other's locks."""
    code = (
        "import sqlite3, sys\ndatabase = sqlite3.connect(sys.argv[1])\ndatabase.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()


def test_a_store_that_goes_while_it_is_open_is_an_error_of_ours(tmp_path):
    """A file that another program has put in its place, and which is none, is named."""
    path = tmp_path / "gone.db"
    open_registry(f"mlmd+sqlite://{path}").register([feature()])
    path.write_bytes(path.read_bytes()[:5000] + b"x" * 5000)
    with pytest.raises(StorageError, match=r"gone.db"):
        open_registry(f"mlmd+sqlite://{path}").features()


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
