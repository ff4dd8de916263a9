"""Places on object stores: they answer as paths do, hold whole files only, and say in one sentence what is wrong."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.errors import CorruptData, InvalidValue, MissingDependency, StorageError
from jukebox.formats import parquet, tfrecord
from jukebox.storage import Remote, place_of
from jukebox.tables import Manifest, file_fingerprint, partitions, write_text, written_whole
from tests.storage.servers import CREDENTIALS, new_bucket, s3_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE = pa.table({"key": [1, 2, None], "text": ["a", None, "ü"], "vector": pa.array([[1.0], [], None])})


def test_a_place_answers_as_a_path_does(bucket: str, tmp_path: Path) -> None:
    """The same files, here and there, are listed, matched, fingerprinted and removed alike."""
    names = ["a.txt", "date=2013-01-01/manifest.json", "date=2013-01-01/part-1.parquet", "deep/er/b b.txt", "empty"]
    answers = []
    for root in (place_of(tmp_path), place_of(bucket, "below")):
        for name in names:
            write_text(root.joinpath(*name.split("/")), name if name != "empty" else "")
        (root / "deep/er/b b.txt").unlink()
        answers.append(
            {
                "exists": [(root / name).exists() for name in (*names, "date=2013-01-01", "dat", "none/x")],
                "is_dir": [(root / name).is_dir() for name in ("date=2013-01-01", "a.txt", "none")],
                "glob": [sorted(str(p.relative_to(root)) for p in root.glob(g)) for g in ("*.txt", "date=*/*", "x*/*")],
                "text": (root / "date=2013-01-01/manifest.json").read_text(),
                "size": (root / "a.txt").stat().st_size,
                "empty": (root / "empty").stat().st_size,
                "names": ((root / "a.txt").name, (root / "a.txt").suffix, (root / "a.txt").parent == root),
                "bytes": file_fingerprint(root / "date=2013-01-01"),
            }
        )
    assert answers[0] == answers[1]
    (root / "a.txt").unlink(missing_ok=True)
    (root / "a.txt").unlink(missing_ok=True)
    assert not (root / "a.txt").exists()


@pytest.mark.parametrize("reader", [parquet, tfrecord])
def test_tables_are_written_and_read_in_a_bucket(bucket: str, reader: object) -> None:
    """A single file and a folder, by URI and by place."""
    folder = place_of(bucket, "table")
    for number in range(3):
        reader.write(folder / f"part-{number}{reader.SUFFIX}", TABLE.to_batches(), schema=TABLE.schema)
    found = pa.Table.from_batches(reader.read(str(folder), columns=["key"]))
    assert found.column("key").to_pylist() == [1, 2, None] * 3
    alone = pa.Table.from_batches(reader.read(folder / f"part-1{reader.SUFFIX}", columns=["text"], rows=(1, 3)))
    assert alone.column("text").null_count == 1
    assert alone.num_rows == 2


def test_what_breaks_off_leaves_nothing(bucket: str) -> None:
    """An object store completes what is begun, so nothing is begun before all is there."""
    for error in (ValueError, KeyboardInterrupt):

        def batches(error: type[BaseException] = error) -> Iterator[pa.RecordBatch]:
            yield TABLE.to_batches()[0]
            raise error

        with pytest.raises(error):
            parquet.write(place_of(bucket, "t.parquet"), batches(), schema=TABLE.schema)
    assert list(place_of(bucket).glob("*")) == []


def test_what_is_there_is_replaced_whole(bucket: str) -> None:
    """A large file, in parts, takes the place of a small one."""
    place = place_of(bucket, "f")
    for content in (b"small", os.urandom(1 << 20) * 40):
        with written_whole(place) as temporary:
            temporary.write_bytes(content)
        assert place.read_bytes() == content


def test_a_file_takes_the_name_of_another(bucket: str) -> None:
    """What had the name is gone, and so is the old name; then all of a folder goes, and nothing beside it."""
    folder = place_of(bucket, "a")
    for name in ("old", "new", "deep/er", "../ab"):
        write_text(place_of(bucket, "ab") if name == "../ab" else folder.joinpath(name), name)
    (folder / "old").rename(folder / "new")
    assert [place.name for place in folder.files_below()] == ["er", "new"]
    assert (folder / "new").read_text() == "old"
    with pytest.raises(StorageError, match="none/file cannot be written"):
        (folder / "old").rename(folder / "none" / "file")
    folder.remove()
    assert [str(place) for place in place_of(bucket).files_below()] == [f"{bucket}/ab"]


def test_a_place_travels(bucket: str) -> None:
    """Workers read what the driver of a job found."""
    parquet.write(place_of(bucket, "t.parquet"), TABLE.to_batches(), schema=TABLE.schema)
    (piece,) = pickle.loads(pickle.dumps(parquet.ParquetPieces([place_of(bucket, "t.parquet")]).pieces()))
    assert pa.Table.from_batches(piece.read(["text"])).column("text").to_pylist() == ["a", None, "ü"]


@pytest.mark.parametrize(
    "work",
    [
        lambda uri: place_of(uri).read_bytes(),
        lambda uri: place_of(uri).stat(),
        lambda uri: place_of(uri).unlink(),
        Manifest.read,
    ],
)
def test_what_is_not_there_is_one_sentence(bucket: str, work: Callable[[str], object]) -> None:
    """The error names the object, and neither classes nor codes of a library."""
    with pytest.raises(StorageError, match=f"{bucket}/none.*such file") as caught:
        work(f"{bucket}/none")
    assert "\n" not in str(caught.value)
    assert "Status(" not in str(caught.value)


def test_a_bucket_that_is_not_there_holds_nothing_and_takes_nothing(bucket: str) -> None:
    """Looking finds nothing; writing says that the bucket is missing."""
    missing = place_of(f"{bucket}-gone", "folder")
    assert not missing.exists()
    assert partitions(missing) == {}
    with pytest.raises(StorageError, match=r"cannot be written: .*bucket does not exist"):
        write_text(missing / "x", "text")


def test_truncated_parquet_in_a_bucket_is_corrupt(bucket: str, tmp_path: Path) -> None:
    """What the bytes lack is told apart from a store that does not answer."""
    parquet.write(tmp_path / "t.parquet", TABLE.to_batches(), schema=TABLE.schema)
    with written_whole(place_of(bucket, "t.parquet")) as temporary:
        temporary.write_bytes((tmp_path / "t.parquet").read_bytes()[:-3])
    with pytest.raises(CorruptData, match=f"{bucket}/t.parquet is not whole Parquet"):
        parquet.schema(f"{bucket}/t.parquet")


def test_a_store_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading what was found before the server stopped is a StorageError, not corrupt data."""
    with s3_server() as address:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        place = place_of(new_bucket("s3", address), "t.parquet")
        parquet.write(place, TABLE.to_batches(), schema=TABLE.schema)
        (piece,) = parquet.ParquetPieces([place]).pieces()
        batches = parquet.read(place)
    for work in (lambda: next(batches), lambda: next(piece.read(["key"])), place.exists, lambda: write_text(place, "")):
        with pytest.raises(StorageError, match=r"s3://.* cannot be (read|written): .*connect"):
            work()


def test_refused_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that knows no such key says so."""
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")  # the bucket is made without
    code = (
        "import os, sys; from jukebox.storage import place_of; from jukebox.errors import StorageError\n"
        "from tests.storage.servers import s3_server, new_bucket\n"
        "with s3_server() as address:\n"
        "    os.environ['AWS_ENDPOINT_URL'] = address; bucket = new_bucket('s3', address)\n"
        "    try: print(place_of(bucket, 'x').exists())\n"
        "    except StorageError as exc: print(exc)\n"
    )
    environment = {**os.environ, **CREDENTIALS, "AWS_REGION": "us-east-1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("s3://jukebox-"), done.stdout
    assert "cannot be read" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif("CLASSPATH" in os.environ, reason="Hadoop seems to be installed here")
def test_hdfs_without_its_driver_says_what_to_install() -> None:
    """Neither Java nor libhdfs comes with a Python package."""
    with pytest.raises(MissingDependency, match="JAVA_HOME and HADOOP_HOME"):
        place_of("hdfs://namenode:8020/tables").exists()


def test_a_pyarrow_without_a_driver_says_what_to_install() -> None:
    """Some builds leave S3 and Google out."""
    code = (
        "import sys; sys.modules['pyarrow._s3fs'] = sys.modules['pyarrow._gcsfs'] = None\n"
        "from jukebox.storage import place_of; from jukebox.errors import MissingDependency\n"
        "for uri in ('s3://b/x', 'gs://b/x'):\n"
        "    try: place_of(uri).exists()\n"
        "    except MissingDependency as exc: print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "was built without s3://; pip install pyarrow" in done.stdout
    assert "was built without gs://; pip install pyarrow" in done.stdout


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/x", "schemes known are file://, s3://, gs://, hdfs://"),
        ("s3:///x", "names no bucket"),
        ("s3://key:secret@bucket/x", "credentials come from the environment"),
        ("s3://bucket/x?acess=1", "no setting 'acess'; there are endpoint_override, region"),
        ("s3://bucket/x?", None),
        ("gs://bucket/a/../b", "no way up"),
        ("file://other/x", "names the machine 'other'"),
    ],
)
def test_a_uri_that_names_no_place_is_refused(uri: str, said: str | None) -> None:
    """The error shows what an address looks like, and no secret."""
    if said is None:
        assert str(place_of(uri)) == "s3://bucket/x"
        return
    with pytest.raises(InvalidValue, match=said) as caught:
        place_of(uri)
    assert "secret" not in str(caught.value)


def test_settings_of_a_uri_hold_for_what_lies_below() -> None:
    """They stay at its end, and go before the variables of the environment."""
    place = place_of("s3://bucket/a//b/?region=eu-west-1&endpoint_override=http://127.0.0.1:9")
    assert str(place / "c") == "s3://bucket/a/b/c?region=eu-west-1&endpoint_override=http://127.0.0.1:9"
    assert place_of(str(place / "c")).parent == place
    assert isinstance(place, Remote)
    assert place.files.region == "eu-west-1"


def test_paths_of_this_machine_are_paths(tmp_path: Path) -> None:
    """With and without a scheme; only a scheme makes them anything else."""
    assert place_of(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert place_of("a/b") == Path("a/b")
    assert place_of(tmp_path, "a", "b") == tmp_path / "a" / "b"
