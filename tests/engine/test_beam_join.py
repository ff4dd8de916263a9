"""The join on Beam: several processes, runners and file systems, and what a failure leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.local_job_service import LocalJobServicer

from jukebox.core.asof import Features, join_proven
from jukebox.core.asof_pieces import TablePiece
from jukebox.engine import beam_files, joining
from jukebox.engine.beam_join import join_files
from jukebox.errors import CorruptData, InvalidType, InvalidValue, JobFailed, NoPartition, StorageError
from jukebox.formats import Options, tfrecord
from tests.engine.join_engines import drawn, in_files, on, without_medians, written
from tests.engine.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from jukebox.core.asof import Piece

REPOSITORY = Path(__file__).parents[2]
PROCESSES = ["--direct_running_mode=multi_processing"]
LABELS, FEATURES = drawn(11)
RULES = {"label_time": "at", "proof": "full"}
# Examples know no time: what they hold comes back as it is declared.
KINDS = {field.name: field.type for field in LABELS.schema}


def whole() -> pa.Table:
    """Return what the join in memory answers."""
    return join_proven(LABELS, FEATURES, **RULES)[0]


@dataclass(frozen=True)
class Watched:
    """A table in four pieces; whoever reads one leaves the number of its process, and does ``then``."""

    table: pa.Table
    seen: Path
    then: str = "read"

    @property
    def schema(self) -> pa.Schema:
        """The table's schema."""
        return self.table.schema

    def pieces(self) -> Sequence[Piece]:
        """Return the pieces."""
        size = -(-self.table.num_rows // 4)
        return [WatchedPiece(self, number * size, size) for number in range(4)]


@dataclass(frozen=True)
class WatchedPiece:
    """Rows of a watched table."""

    of: Watched
    start: int
    rows: int

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows; but the second piece may be corrupt, or end its reader's process."""
        self.of.seen.mkdir(exist_ok=True)
        (self.of.seen / str(os.getpid())).touch()
        if self.start > 0 and self.of.then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.start > 0 and self.of.then == "fail":
            raise CorruptData("part-2.parquet is cut off")
        yield from TablePiece(tuple(self.of.table.slice(self.start, self.rows).to_batches())).read(columns, encoded)

    def bounds(self, column: str) -> None:
        """Return that nothing is known."""


def watched(folder: Path, then: str = "read") -> list[Features]:
    """Return the request with its first table watched."""
    first, *others = FEATURES
    return [replace(first, table=Watched(first.table, folder / "seen", then)), *others]


def test_workers_in_processes_of_their_own_give_the_same(tmp_path: Path) -> None:
    """Two worker processes read the pieces, this one none; three shards, and the proof, are those of the whole."""
    out = tmp_path / "out.parquet"
    flags = [*PROCESSES, "--direct_num_workers=2"]
    labels = written(LABELS, tmp_path / "labels.parquet")
    proofs = join_files(labels, watched(tmp_path), str(out), label_rows=80, beam_pipeline_args=flags, **RULES)
    assert pq.read_table(out).equals(whole())
    assert without_medians(proofs) == without_medians(join_proven(LABELS, FEATURES, **RULES)[1])
    readers = {int(path.name) for path in (tmp_path / "seen").iterdir()}
    assert readers != set()
    assert os.getpid() not in readers


def test_a_worker_that_is_killed_half_way_leaves_nothing(tmp_path: Path) -> None:
    """The runner gives up, which is told as JobFailed; an output of before stays as it was."""
    out = tmp_path / "out.parquet"
    out.write_bytes(b"of before")
    flags = [*PROCESSES, "--direct_num_workers=1"]
    labels = written(LABELS, tmp_path / "labels.parquet")
    with pytest.raises(JobFailed, match="the Beam pipeline did not finish"):
        join_files(labels, watched(tmp_path, "die"), str(out), beam_pipeline_args=flags, **RULES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "out.parquet", "seen"]
    assert out.read_bytes() == b"of before"


def test_a_join_that_is_killed_itself_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    """What it had begun lies in a folder that no reader looks into."""
    home = tmp_path / "out"
    home.mkdir()
    written(LABELS, tmp_path / "labels.parquet")
    code = (
        "from pathlib import Path; from tests.engine.test_beam_join import RULES, join_files, watched;"
        f"folder = Path({str(tmp_path)!r});"
        "join_files(f'{folder}/labels.parquet', watched(folder, 'die'), f'{folder}/out/out.parquet', **RULES)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in home.iterdir()] == [".out."]
    with pytest.raises(NoPartition):
        beam_files.files_at(str(home))


@pytest.mark.parametrize("flags", [[], ["portable"]], ids=["here", "portable"])
def test_an_error_of_a_piece_is_the_joins_own(flags: list[str], portable: list[str], tmp_path: Path) -> None:
    """Its kind and sentence come back from whichever worker; nothing is left."""
    labels, out = written(LABELS, tmp_path / "labels.parquet"), tmp_path / "out.parquet"
    with pytest.raises(CorruptData) as caught:
        join_files(labels, watched(tmp_path, "fail"), str(out), beam_pipeline_args=portable if flags else [], **RULES)
    assert str(caught.value) == "part-2.parquet is cut off"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "seen"]


@pytest.fixture(scope="module")
def portable() -> Iterator[list[str]]:
    """Return the flags of a portable runner: Beam's own job service, whose worker is this process."""
    service = LocalJobServicer()
    port = service.start_grpc_server(0)
    yield ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}", "--environment_type=LOOPBACK"]
    service.stop()


def test_a_portable_runner_gives_the_same(portable: list[str], tmp_path: Path) -> None:
    """The pipeline goes to a job service and comes back joined."""
    labels, out = written(LABELS, tmp_path / "labels.parquet"), tmp_path / "out.parquet"
    features = in_files(FEATURES, tmp_path)
    join_files(labels, features, str(out), label_rows=120, beam_pipeline_args=portable, **RULES)
    assert pq.read_table(out).equals(whole())


@pytest.mark.skipif(shutil.which("prism") is None, reason="Prism: build Beam's sdks/go/cmd/prism, put it on PATH")
def test_prism_gives_the_same(tmp_path: Path) -> None:
    """Beam's local runner in Go joins in several stages at once."""
    labels, out = written(LABELS, tmp_path / "labels.parquet"), tmp_path / "out.parquet"
    flags = ["--runner=PrismRunner", f"--prism_location={shutil.which('prism')}", "--environment_type=LOOPBACK"]
    join_files(labels, in_files(FEATURES, tmp_path), str(out), label_rows=120, beam_pipeline_args=flags, **RULES)
    assert pq.read_table(out).equals(whole())


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Return an object store, empty and open to all."""
    monkeypatch.setattr(Shelf, "root", tmp_path / "shelf", raising=False)
    monkeypatch.setattr(Shelf, "refused", "\0")
    (tmp_path / "shelf").mkdir()
    return Shelf(None)


@pytest.mark.parametrize("label_rows", [None, 70])
@pytest.mark.parametrize("ending", [".parquet", ".tfrecord.gz", ".tfrecord"])
@pytest.mark.parametrize("home", ["shelf://bucket/a", "{folder}"], ids=["scheme", "path"])
def test_any_format_is_read_and_written_on_any_file_system(
    home: str, ending: str, label_rows: int | None, shelf: Shelf, tmp_path: Path
) -> None:
    """Labels and features in folders of two files, in one format, and the output: only that is new when it is done."""
    home = home.format(folder=tmp_path)
    tables = {"labels": LABELS, "0": FEATURES[0].table, "1": FEATURES[1].table}
    for name, table in tables.items():
        for part, rows in enumerate((table[:90], table[90:])):
            if home == str(tmp_path):
                (tmp_path / name).mkdir(exist_ok=True)
            beam_files.put(f"{home}/{name}/part-{part}{ending}", rows.to_batches(), table.schema)
        with beam_files.created(f"{home}/{name}/_SUCCESS") as empty:
            empty.write(b"no rows")
    before = {*shelf.names(), *map(str, tmp_path.glob("*"))}
    out = f"{home}/joined{ending}"
    labels = beam_files.pieces_at([f"{home}/labels"], KINDS)
    features = [on(f"{home}/{number}", asked) for number, asked in enumerate(FEATURES)]
    join_files(labels, features, out, label_rows=label_rows, **RULES)
    assert {*shelf.names(), *map(str, tmp_path.glob("*"))} - before == {out}
    [file] = beam_files.files_at(out)
    types = {field.name: field.type for field in whole().schema}
    with beam_files.local_copy(file) as path:
        read = (
            pq.read_table(path)
            if ending == ".parquet"
            else pa.Table.from_batches(tfrecord.read(path, options=Options(types=types)))
        )
    assert read.to_pydict() == whole().to_pydict()


def test_a_file_system_that_refuses_is_named(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither reading nor writing gives another library's error; that is found before any row is joined."""
    labels = written(LABELS, tmp_path / "labels.parquet")
    monkeypatch.setattr(Shelf, "refused", "joined")
    with pytest.raises(StorageError, match=r"shelf://a/\.joined\.parquet\.\w+/begun cannot be written"):
        join_files(labels, FEATURES, "shelf://a/joined.parquet", **RULES)
    assert shelf.names() == []
    with pytest.raises(StorageError, match="shelf://a/joined cannot be listed"):
        join_files("shelf://a/joined", FEATURES, "shelf://a/out.parquet", **RULES)
    with pytest.raises(NoPartition, match="shelf://a/nothing holds no data files, or does not exist"):
        join_files("shelf://a/nothing", FEATURES, "shelf://a/out.parquet", **RULES)
    with pytest.raises(InvalidValue, match="does not tell the format to write"):
        join_files(labels, FEATURES, "shelf://a/out.csv", **RULES)
    assert shelf.names() == []


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (["--runner=Nowhere"], InvalidValue, "beam_pipeline_args cannot be used: Unexpected pipeline runner: Nowhere"),
        (["--runner=no.such.Runner"], InvalidValue, "beam_pipeline_args cannot be used: No module named 'no'"),
        (["--runner=DataflowRunner"], InvalidValue, "Missing required option: project"),
        (["--direct_num_workers=two"], InvalidValue, "--direct_num_workers: invalid int value: 'two'"),
        (["--direct_running_mode=sideways"], InvalidValue, "invalid choice: 'sideways'"),
        ("--runner=DirectRunner", InvalidType, "beam_pipeline_args is '--runner=DirectRunner'; it must be a list"),
        ([1], InvalidType, "it must be a list of texts"),
    ],
)
def test_flags_that_no_pipeline_takes_are_refused_before_anything_is_there(
    flags: list[str], error: type[Exception], message: str, tmp_path: Path
) -> None:
    """The flag, or what is missing, is named."""
    labels = written(LABELS, tmp_path / "labels.parquet")
    with pytest.raises(error, match=message.replace("(", r"\(")):
        join_files(labels, FEATURES, f"{tmp_path}/out.parquet", beam_pipeline_args=flags, **RULES)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.parquet"]


def test_label_times_that_are_null_are_counted_over_all_shards(tmp_path: Path) -> None:
    """The number of rows, and the rows themselves, are those of the labels, not of a shard."""
    times = pa.array([None if row in (1, 150) else 0 for row in range(LABELS.num_rows)], LABELS["at"].type)
    labels = written(LABELS.set_column(2, "at", times), tmp_path / "labels.parquet")
    with pytest.raises(InvalidValue, match="label time 'at' is null in 2 of 200 rows: 1, 150"):
        join_files(labels, FEATURES, f"{tmp_path}/out.parquet", label_rows=50, **RULES)


def test_a_stream_cannot_be_sent_to_workers(tmp_path: Path) -> None:
    """It is refused by its place in the request."""
    stream = pa.RecordBatchReader.from_batches(FEATURES[1].table.schema, FEATURES[1].table.to_batches())
    labels = written(LABELS, tmp_path / "labels.parquet")
    asked = [FEATURES[0], replace(FEATURES[1], table=stream)]
    with pytest.raises(InvalidType, match="feature table 1 is a stream; workers need a table, or pieces"):
        join_files(labels, asked, f"{tmp_path}/out.parquet", **RULES)


@pytest.mark.parametrize("join", [join_files, joining.join_files])
@pytest.mark.parametrize("rows", [0, -5])
def test_a_shard_without_rows_is_refused(rows: int, join: Callable[..., object], tmp_path: Path) -> None:
    """The number is named, and nothing is there, on Beam and in this process."""
    labels = written(LABELS, tmp_path / "labels.parquet")
    with pytest.raises(InvalidValue, match=f"label_rows is {rows}; a shard holds at least one row"):
        join(labels, FEATURES, f"{tmp_path}/out.parquet", label_rows=rows, **RULES)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.parquet"]


def test_an_output_that_cannot_take_its_name_is_refused(tmp_path: Path) -> None:
    """A folder of that name stays, and nothing of the job does."""
    labels = written(LABELS, tmp_path / "labels.parquet")
    (tmp_path / "out.parquet").mkdir()
    with pytest.raises(StorageError, match=r"out\.parquet cannot be written"):
        join_files(labels, FEATURES, f"{tmp_path}/out.parquet", **RULES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "out.parquet"]
