"""One peer of the online benchmark in a process of its own: it loads the rows and tells CPU and wall seconds."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import warnings

warnings.simplefilter("ignore")

from online_data import INSTANCE, PROJECT, START, rows_of  # noqa: E402

PATH = f"projects/{PROJECT}/instances/{INSTANCE}/tables/"
ROWS_AT_ONCE = 4_000


def bare(count: int, seed: int):
    """Requests of ready keys and cells, built from protos in a loop; answers are counted and no more."""
    table = made("bare")
    keys, cells = ready(count, seed)
    from jukebox.stores.bigtable.connection import Connection, MutateRows
    from jukebox.stores.bigtable.places import Place

    connection = Connection(Place(PROJECT, INSTANCE, table))

    def load():
        for start in range(0, count, ROWS_AT_ONCE):
            request = MutateRows(table_name=PATH + table)
            for key, value in zip(keys[start : start + ROWS_AT_ONCE], cells[start : start + ROWS_AT_ONCE], strict=True):
                entry = request.entries.add()
                entry.row_key = key
                cell = entry.mutations.add().set_cell
                cell.family_name, cell.column_qualifier = "f", b"t@1"
                cell.timestamp_micros, cell.value = START * 1_000, value
            answered = 0
            for answer in connection.call("MutateRows", request, 60):
                answered += len(answer.entries)
            assert answered == min(ROWS_AT_ONCE, count - start)

    return load


def jukebox(count: int, seed: int, *, options: str = "", created: bool = False, version: int | None = None):
    """The store's own write, from Arrow to checked statuses."""
    from jukebox.stores import open_online

    rows = rows_of(count, seed)
    if created:
        rows = rows.append_column("made", rows["at"])
    name = f"jukebox{len(options)}{created:d}"
    store = open_online(f"bigtable://{PROJECT}/{INSTANCE}/{name}{options}")
    about = {"keys": ["user"], "event_time": "at", "created_time": "made" if created else None}
    versions = itertools.count(1)

    def load():
        # Into an empty version each time, unless it is to stand already.
        store.write("features", rows, **about, version=version or next(versions))

    return load


def jukebox_columns(count: int, seed: int):
    """A cell for every feature."""
    return jukebox(count, seed, options="?cells=columns")


def jukebox_created(count: int, seed: int):
    """Rows with a created time into an empty table: what stands is asked for, and is nothing."""
    return jukebox(count, seed, created=True)


def jukebox_again(count: int, seed: int):
    """The same when all of the rows stand already."""
    return jukebox(count, seed, created=True, version=1)


def library(count: int, seed: int):
    """The client library's objects, with the same packed cells."""
    from google.cloud.bigtable.data import BigtableDataClient, RowMutationEntry, SetCell

    table = BigtableDataClient(project=PROJECT).get_table(INSTANCE, made("library"))
    keys, cells = ready(count, seed)

    def load():
        with table.mutations_batcher() as batcher:
            for key, value in zip(keys, cells, strict=True):
                batcher.append(RowMutationEntry(key, [SetCell("f", b"t@1", value, timestamp_micros=START * 1_000)]))

    return load


def feast(count: int, seed: int):
    """Feast's own Bigtable store, in its environment; see ``online_feast``."""
    from online_feast import loader

    return loader(rows_of(count, seed))


def made(name: str) -> str:
    """Make a table with the family that the peers write to, and return its name."""
    from jukebox.stores.bigtable import making
    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place

    making.make(Connection(Place(PROJECT, INSTANCE, name)))
    return name


def ready(count: int, seed: int) -> tuple[list[bytes], list[bytes]]:
    """Return the row keys and packed cells of the rows."""
    from jukebox.core.coordinates import coordinates
    from jukebox.core.layouts import layout_of
    from jukebox.core.ragged import of_binary

    rows = rows_of(count, seed)
    layout = layout_of(rows.schema, keys=["user"], event_time="at")
    [batch] = layout.fitted(rows).combine_chunks().to_batches()
    return coordinates(layout, rows).keys, of_binary(layout.cells(batch)).to_bytes()


def main() -> None:
    """Run one peer: name, rows, seed, repeats; print a line of JSON with the seconds of each repeat."""
    name, count, seed, repeats = sys.argv[1], *map(int, sys.argv[2:])
    load = globals()[name](count, seed)
    found = []
    for _ in range(repeats + 1):
        cpu, wall = time.process_time(), time.perf_counter()
        load()
        found.append({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall})
    sys.stdout.write(json.dumps({"host": os.environ["BIGTABLE_EMULATOR_HOST"], "runs": found[1:]}) + "\n")


if __name__ == "__main__":
    main()
