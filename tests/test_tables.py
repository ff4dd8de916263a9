"""What lies on disk says itself whether it is whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest

from jukebox import tables
from jukebox.errors import CorruptData, InvalidValue, StorageError
from jukebox.tables import (
    Manifest,
    Source,
    code_fingerprint,
    combined,
    file_fingerprint,
    partition_folder,
    partitions,
    write_text,
    written_whole,
)

ABOUT = Manifest(
    kind="partition",
    rows=3,
    schema={"user": "string", "at": "timestamp[us]"},
    keys=("user",),
    event_time="at",
    fingerprint="f00d",
    inputs=(Source("a.csv", "beef"),),
    details={"date": "2024-01-01", "nested": {"none": None, "list": [1, 2.5, "é"]}},
)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every field, and the place and the code on top."""
    written = ABOUT.write(tmp_path / "new" / "folder")
    assert Manifest.read(tmp_path / "new" / "folder", "partition") == written
    assert (written.uri, written.code) == (str(tmp_path / "new" / "folder"), code_fingerprint())
    assert (written.keys, written.inputs, written.details) == (ABOUT.keys, ABOUT.inputs, ABOUT.details)


def test_the_place_is_no_part_of_a_manifest(tmp_path: Path) -> None:
    """A folder that was moved holds the same artifact."""
    written = ABOUT.write(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert Manifest.read(tmp_path / "b") == written
    assert str(tmp_path) not in (tmp_path / "b" / "manifest.json").read_text()


def test_what_an_orchestrator_shows_is_text() -> None:
    """Some turn integers into floats."""
    assert ABOUT.facts == {"kind": "partition", "rows": "3", "fingerprint": "f00d", "code": ""}


def test_a_folder_without_a_manifest_is_not_whole(tmp_path: Path) -> None:
    """Nor is one that is not there, or below a file."""
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(StorageError, match=f"{folder} holds no whole artifact"):
            Manifest.read(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"text"',
        "null",
        "{}",
        '{"jukebox_manifest": 1}',
        '{"jukebox_manifest": 1, "inputs": [], "keys": 3}',
        '{"jukebox_manifest": 1, "inputs": [{"path": "x"}], "keys": [], "kind": "x"}',
        '{"jukebox_manifest": 1, "inputs": [], "keys": [], "kind": "x", "colour": "red"}',
    ],
)
def test_a_manifest_that_is_none_is_corrupt(tmp_path: Path, text: str) -> None:
    """Half a file, other JSON and unknown fields are all one error, which names the file."""
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CorruptData, match=r"manifest\.json is no manifest"):
        Manifest.read(tmp_path)


def test_bytes_that_are_no_text_are_corrupt_too(tmp_path: Path) -> None:
    """As a disk leaves them."""
    (tmp_path / "manifest.json").write_bytes(b"\xff\x00\xff")
    with pytest.raises(CorruptData, match="is no manifest"):
        Manifest.read(tmp_path)


def test_another_format_of_manifest_is_refused_by_its_number(tmp_path: Path) -> None:
    """An artifact of a later version is not misread."""
    ABOUT.write(tmp_path)
    body = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**body, "jukebox_manifest": 2}))
    with pytest.raises(CorruptData, match=r"manifest\.json has the format 2; this version of Jukebox reads 1$"):
        Manifest.read(tmp_path)


def test_an_artifact_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A partition is no training set."""
    ABOUT.write(tmp_path)
    with pytest.raises(InvalidValue, match="holds a partition, not a training_set"):
        Manifest.read(tmp_path, "training_set")


def test_partitions_are_told_by_date_and_only_whole_ones(tmp_path: Path) -> None:
    """Without a manifest a folder is not one; other folders and files do not count."""
    days = [date(2024, 2, 1), date(2023, 12, 31)]
    for day in days:
        ABOUT.write(partition_folder(tmp_path, day))
    partition_folder(tmp_path, date(2024, 1, 1)).mkdir()
    (tmp_path / "other").mkdir()
    assert list(partitions(tmp_path)) == sorted(days)
    assert partitions(tmp_path / "nowhere") == {}


def test_a_partition_without_a_date_is_corrupt(tmp_path: Path) -> None:
    """It is there and whole, and nobody knows when it belongs."""
    ABOUT.write(tmp_path / "date=yesterday")
    with pytest.raises(CorruptData, match="date=yesterday is no partition; one is called date=2013-01-31"):
        partitions(tmp_path)


def test_the_fingerprint_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    """The SHA-256, whatever the file is called and however long it is."""
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    (tmp_path / "b").write_bytes(b"abc" * 1_000_000)
    (tmp_path / "empty").touch()
    assert file_fingerprint(tmp_path / "a") == file_fingerprint(tmp_path / "b") != file_fingerprint(tmp_path / "empty")
    assert file_fingerprint(tmp_path / "empty").startswith("e3b0c44298fc1c14")


def test_the_fingerprint_of_a_folder_is_that_of_its_files_and_their_names(tmp_path: Path) -> None:
    """Folders within count too; a file that moves shows."""
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a").write_text("1")
    first = file_fingerprint(tmp_path / "x")
    (tmp_path / "x" / "y" / "a").rename(tmp_path / "x" / "a")
    assert file_fingerprint(tmp_path / "x") != first


def test_a_file_that_cannot_be_read_has_no_fingerprint(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(StorageError, match="nowhere cannot be read"):
        file_fingerprint(tmp_path / "nowhere")


def test_fingerprints_combine_in_their_order() -> None:
    """Where one ends and the next begins counts as well."""
    assert len({combined(parts) for parts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], [])}) == 5


def test_a_file_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    """After an error the old file is there, and nothing beside it."""
    write_text(tmp_path / "deep" / "file", "old")

    def broken() -> None:
        with written_whole(tmp_path / "deep" / "file") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep" / "file").read_text() == "old"
    write_text(tmp_path / "deep" / "file", "new")
    assert (tmp_path / "deep" / "file").read_text() == "new"
    assert (tmp_path / "deep" / "file").stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Below a file, in the kernel's tree, or a folder already: file modes would not stop root."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", "/proc/jukebox/x", tmp_path / "folder"):
        with pytest.raises(StorageError, match=f"{path} cannot be written"):
            write_text(path, "text")


def test_a_full_disk_is_an_error_that_leaves_the_old_file(tmp_path: Path) -> None:
    """What takes no byte is /dev/full."""
    write_text(tmp_path / "file", "old")

    def fill() -> None:
        with written_whole(tmp_path / "file") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            temporary.write_text("new")

    with pytest.raises(StorageError, match=r"file cannot be written: .*no space left on device"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """What it leaves beside it begins with a dot, which no reader of folders takes for data."""
    write_text(tmp_path / "file", "old")
    writer = (
        "import os, signal, sys\nfrom jukebox.tables import written_whole\n"
        "with written_whole(sys.argv[1]) as path:\n path.write_text('half')\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", writer, tmp_path / "file"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_text() == "old"
    assert all(name == "file" or name.startswith(".") for name in (path.name for path in tmp_path.iterdir()))


def test_a_lock_is_one_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    """Four processes count in turns; what one that was killed left behind holds up nobody, and is taken away."""
    (tmp_path / ".lock").touch()
    (tmp_path / "count").write_text("0")
    program = (
        "import sys\nfrom pathlib import Path\nfrom jukebox.tables import locked\nfolder = Path(sys.argv[1])\n"
        "for _ in range(200):\n    with locked(folder):\n        seen = int((folder / 'count').read_text())\n"
        "        (folder / 'count').write_text(str(seen + 1))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [each.wait() for each in running] == [0] * 4
    assert (tmp_path / "count").read_text() == "800"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_the_fingerprint_of_the_code_covers_python_and_c_and_nothing_else(tmp_path: Path) -> None:
    """What is compiled of the sources, and what only describes them, does not count."""
    copy = tmp_path / "jukebox"
    shutil.copytree(Path(tables.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    asked = [sys.executable, "-c", "from jukebox.tables import code_fingerprint; print(code_fingerprint())"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = [subprocess.check_output(asked, text=True, env=environment)]
    for name in ("core/asof.py", "core/_kernel.c", "core/_kernel.h", "py.typed", "core/_kernel.so"):
        with (copy / name).open("a") as file:
            file.write("\n")
        found.append(subprocess.check_output(asked, text=True, env=environment))
    assert found[0].startswith(metadata.version("jukebox") + "+")
    assert len(set(found[:4])) == 4
    assert set(found[4:]) == {found[3]}
