"""A training set is made again from its manifest: the same bytes, or an error that names what changed."""

from __future__ import annotations

import gzip

import pyarrow.parquet as pq
import pytest

from jukebox.engine.replaying import replay
from jukebox.errors import InvalidValue, NotReproduced, SourceChanged, StorageError
from jukebox.formats import parquet
from jukebox.tables import Manifest
from tests.components.place import DELAY, LATE, SEATS, TEMP, WIND, Place, at, files, labels, write
from tests.engine.tampering import cell, told

SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"), ("JFK", "02 06:59"), ("JFK", "02 07:30"), ("SFO", "03 12:00"))


def joined(here: Place) -> str:
    """Join the weather to labels in some other way than by default; return where the training set lies."""
    here.load()
    request = {TEMP: [None, {"column": "last", "last_non_null": True, "max_age": "1h"}], WIND: {"max_age": "90m"}}
    here.join(SPINE, request, split="hash:0.5:n", allow_exact=False, as_known=False, proof="full")
    return str(here.out)


def data(folder: str, here: Place) -> dict[str, bytes]:
    """Return the files of a training set without its manifest, which names places."""
    return {name: held for name, held in files(here.root / folder).items() if name != "manifest.json"}


def test_the_bytes_are_the_same_and_so_is_what_the_manifest_says(here: Place) -> None:
    """Parquet file and shards, rules, proof and fingerprints; without a folder nothing is left behind."""
    folder = joined(here)
    made = replay(folder, out=str(here.root / "again"))
    assert (made.other_bytes, len(made.files)) == ((), 3)
    assert data("again", here) == data("training_set", here)
    assert made.made == Manifest.read(here.out)
    before = files(here.root)
    assert replay(folder).other_bytes == ()
    assert files(here.root) == before


def test_every_kind_of_feature_is_made_again(here: Place) -> None:
    """Static, naive and composite ones, from tables of their own."""
    for endpoint in ("weather", "planes", "arrivals", "routes"):
        here.load(endpoint, out=str(here.root / "tables" / endpoint))
    spine = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"))
    for name, values in {"tail": ["N1", "N2"], "dest": ["SFO", "JFK"]}.items():
        spine = spine.append_column(name, [values])
    here.join(spine, [TEMP, WIND, SEATS, DELAY, LATE])
    assert replay(str(here.out)).other_bytes == ()


def test_a_partition_with_other_rows_is_named_and_nothing_is_written(here: Place) -> None:
    """Loaded again as it was it is the same; loaded again otherwise it is not."""
    folder = joined(here)
    here.load(date="2024-01-02")
    assert replay(folder).other_bytes == ()
    here.weather("2024-01-02", [("JFK", at("02 00:00"), at("02 01:00"), 5.0, 1.0)])
    here.load(date="2024-01-02")
    with pytest.raises(SourceChanged, match="date=2024-01-02"):
        replay(folder, out=str(here.root / "again"))
    assert not (here.root / "again").exists()


def test_labels_that_changed_are_named(here: Place) -> None:
    """Other labels are another training set."""
    folder = joined(here)
    write(here.root / "labels.parquet", SPINE.slice(1))
    with pytest.raises(SourceChanged, match=r"labels\.parquet"):
        replay(folder)


def test_a_partition_rewritten_in_place_is_named(here: Place) -> None:
    """Its manifest says what it said; the training set that comes out tells, and the file is found."""
    folder = joined(here)
    [path] = (here.table / "date=2024-01-02").glob("*.parquet")
    batches = list(parquet.read(path))
    parquet.write(path, [batch.slice(0, 2) for batch in batches], schema=batches[0].schema)
    with pytest.raises(SourceChanged, match=path.name):
        replay(folder)


def test_cells_and_records_that_no_longer_are_those_are_named(here: Place) -> None:
    """By column in the Parquet file, and by shard; a shard that is gone, too."""
    folder = joined(here)
    cell(here.out, "wind", 3, 99.5)
    with pytest.raises(NotReproduced, match=r"training_set\.parquet differs in 'wind'$"):
        replay(folder)
    joined(here)
    evaluated, trained = sorted(here.out.glob("Split-*/data_tfrecord-*.gz"))
    evaluated.write_bytes(trained.read_bytes())
    with pytest.raises(NotReproduced, match=rf"Split-eval/{evaluated.name} holds other records"):
        replay(folder)
    trained.unlink()
    with pytest.raises(NotReproduced, match=rf"Split-train/{trained.name} is missing"):
        replay(folder)


def test_a_manifest_that_names_another_content_is_not_reproduced(here: Place) -> None:
    """The files are right, and the manifest is not theirs."""
    folder = joined(here)
    told(here.out, fingerprint="0" * 64)
    with pytest.raises(NotReproduced, match="its manifest names another content"):
        replay(folder)


def test_other_bytes_of_the_same_rows_are_told_with_their_versions(here: Place) -> None:
    """Another library writes the same in other bytes: that is no error."""
    folder = joined(here)
    table = here.joined()
    pq.write_table(table, here.out / "training_set.parquet", compression="none")
    [shard] = here.out.glob("Split-train/*.gz")
    shard.write_bytes(gzip.compress(gzip.decompress(shard.read_bytes()), 9, mtime=0))
    told(here.out, code="0.0.9+0000000000000000")
    made = replay(folder)
    assert made.other_bytes == (f"Split-train/{shard.name}", "training_set.parquet")
    then, now = made.versions["jukebox"]
    assert (then, now) == ("0.0.9+0000000000000000", made.made.code)
    assert "parquet" in str(made.versions["parquet"][0])


def test_a_training_set_is_not_made_again_over_itself(here: Place) -> None:
    """Not by another name of the folder either; and what is none is refused."""
    folder = joined(here)
    with pytest.raises(InvalidValue, match="is the training set itself"):
        replay(folder, out=f"{folder}/../training_set")
    with pytest.raises(StorageError, match="holds no whole artifact"):
        replay(str(here.root))
    with pytest.raises(InvalidValue, match="holds a feature_table, not a training_set"):
        replay(str(here.table))
