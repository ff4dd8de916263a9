"""Deriving label rows of a training set again, by brute force from its sources, and comparing cell by cell."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.by_rule import Question, Search
from jukebox.core.by_rule_origins import Origins
from jukebox.core.by_rule_values import cells, mark
from jukebox.core.fingerprints import Fingerprint, fingerprint_of
from jukebox.core.sampling import scattered
from jukebox.engine.feature_tables import read_partitions
from jukebox.engine.label_keys import widened, with_ids
from jukebox.engine.labels import label_schema, read_labels
from jukebox.engine.plans import plan_of
from jukebox.engine.training_files import WHOLE
from jukebox.engine.verification import (
    EITHER,
    FUTURE,
    LABEL,
    NOWHERE,
    PAST,
    Mismatch,
    Verification,
    checked,
    readable,
)
from jukebox.errors import CorruptData, InvalidValue, JukeboxError, SourceChanged, StorageError
from jukebox.formats import parquet, tfexample
from jukebox.formats.files import source_files
from jukebox.formats.framing import records
from jukebox.storage import place_of
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from jukebox.engine.catalog import Partition
    from jukebox.engine.plans import Plan, PlannedTable
    from jukebox.engine.verification import Checked

    Cells = dict[tuple[int, str], Any]


def verify(training_set: str, *, rows: int = 1000, seed: int = 0) -> Verification:
    """Return what is right and wrong of the training set at ``training_set``, by ``rows`` of its labels.

    Its files and the sources that its manifest names are first held against their fingerprints. Then the rules are
    applied to the labels' file and the partitions once more, by search and without the join's code, for labels that
    ``seed`` scatters over all of them. All is read as a stream; what is held grows with the labels looked at.

    Raises InvalidValue for no rows, a negative seed or what is no training set, StorageError and CorruptData.
    """
    if rows < 1:
        raise InvalidValue(f"rows is {rows}; a verification looks at one label or more")
    if seed < 0:
        raise InvalidValue(f"the seed is {seed}; it is 0 or more")
    made = Manifest.read(training_set, "training_set")
    found, numbers, faults = _found(made, scattered(made.rows, rows, seed))
    faults += _faults_of_splits(made, found)
    try:
        plan = plan_of(made)
        require_whole(plan)
    except SourceChanged as exc:
        return Verification(training_set, 0, made.rows, changed=exc.sources, faults=(str(exc), *faults))
    schema = label_schema(plan.labels, plan.label_time, plan.label_keys)
    labels = _picked(read_labels(plan.labels, schema), numbers, schema)
    columns, more = _compared(plan, labels, found, numbers)
    return Verification(training_set, len(numbers), made.rows, tuple(columns), faults=(*faults, *more))


def _found(made: Manifest, chosen: NDArray[Any]) -> tuple[pa.Table, NDArray[Any], list[str]]:
    path = place_of(made.uri) / WHOLE
    schema = parquet.schema(path)
    content = Fingerprint(schema)
    found = _picked(_watched(parquet.read(path), content), chosen, schema)
    faults = []
    if content.hexdigest() != made.fingerprint:
        faults.append(f"{WHOLE} does not hold what the training set's manifest says")
    return found, chosen[: found.num_rows], faults


def _watched(batches: Iterable[pa.RecordBatch], content: Fingerprint) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        content.update(batch)
        yield batch


def _picked(batches: Iterable[pa.RecordBatch], chosen: NDArray[Any], schema: pa.Schema) -> pa.Table:
    """Return the rows of the ``chosen`` numbers, ascending, as far as there are as many."""
    parts, start = [], 0
    for batch in batches:
        low, high = chosen.searchsorted([start, start + batch.num_rows])
        if low < high:
            parts.append(batch.take(pa.array(chosen[low:high] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(parts, schema)


def _faults_of_splits(made: Manifest, found: pa.Table) -> list[str]:
    """Return what is wrong of the TFRecords: their number, and rows of the Parquet file that are not among them."""
    lost = {row for batch in found.to_batches() for row in tfexample.encode(batch).to_pylist()}
    faults = []
    for split, rows in made.details["splits"].items():
        count = 0
        try:
            for file in source_files(place_of(made.uri) / f"Split-{split}"):
                for some in records(file):
                    count += len(some)
                    lost.difference_update(some)
        except JukeboxError as exc:
            faults.append(f"split '{split}' cannot be read, {exc}")
            continue
        if count != rows:
            faults.append(f"split '{split}' holds {count} records, the manifest says {rows}")
    if sum(made.details["splits"].values()) != made.rows:
        faults.append(f"the splits {made.details['splits']} do not add up to the {made.rows} labels")
    return [*faults, *([f"{len(lost)} of the rows looked at are in no split"] if lost and not faults else [])]


def require_whole(plan: Plan) -> None:
    """Raise SourceChanged unless every partition's file holds what the manifest beside it says."""
    changed = [str(part.path) for part in plan.partitions if not _is_whole(part)]
    if changed:
        raise SourceChanged(f"{', '.join(changed)} no longer hold what their manifests say", sources=changed)


def _is_whole(part: Partition) -> bool:
    try:
        found = fingerprint_of(parquet.read(part.path), parquet.schema(part.path))
    except (CorruptData, StorageError):
        return False
    return found == part.manifest.fingerprint


def _compared(plan: Plan, labels: pa.Table, found: pa.Table, numbers: NDArray[Any]) -> tuple[list[Checked], list[str]]:
    expected = {name: (labels.schema.field(name).type, cells(labels[name])) for name in labels.column_names}
    spine = pa.Table.from_batches(with_ids(labels.to_batches(), plan.converted), widened(labels.schema, plan.converted))
    roles = _by_partitions(plan)
    for tables in roles:
        expected |= _derived(plan, tables, spine)
    order = [*labels.column_names, *(member.column for member in plan.members)]
    faults = [fault for name in order if (fault := _fault(name, expected[name][0], found.schema)) is not None]
    theirs = {name: cells(found[name]) for name in order if name in found.column_names}
    wrong: Cells = {
        (row, name): values[row]
        for name, values in theirs.items()
        for row, right in enumerate(expected[name][1])
        if mark(right) != mark(values[row])
    }
    origins = _origins(plan, roles, spine, wrong)
    mismatches = defaultdict(list)
    for (row, name), value in wrong.items():
        kind = found.schema.field(name).type
        right = readable(expected[name][1][row], expected[name][0] or kind)
        origin = LABEL if name in labels.column_names else origins.get((row, name), NOWHERE)
        mismatches[name].append(Mismatch(int(numbers[row]), right, readable(value, kind), origin))
    return [checked(name, len(numbers), mismatches[name]) for name in theirs], faults


def _fault(name: str, kind: pa.DataType | None, found: pa.Schema) -> str | None:
    if name not in found.names:
        return f"column '{name}' is not in {WHOLE}"
    there = found.field(name).type
    return f"column '{name}' is {there} in {WHOLE} and {kind} at its source" if kind not in (None, there) else None


def _by_partitions(plan: Plan) -> list[list[PlannedTable]]:
    """Return the tables of the plan so that those of the same partitions, in several roles, are read once."""
    roles = defaultdict(list)
    for table in plan.tables:
        roles[tuple(part.path for part in table.partitions)].append(table)
    return list(roles.values())


def _question(plan: Plan, table: PlannedTable) -> Question:
    return Question(label_time=plan.label_time, allow_exact=plan.allow_exact, as_known=plan.as_known, **table.terms)


def _read(tables: Sequence[PlannedTable], readers: Sequence[Search | Origins]) -> pa.Schema:
    """Give every row of the tables' partitions to the readers; return the schema, one of no column without rows."""
    columns = list(dict.fromkeys(name for reader in readers for name in reader.question.columns()))
    schema = pa.schema([])
    for batch in read_partitions(tables[0].partitions, columns):
        schema = batch.schema
        for reader in readers:
            reader.read(batch)
    return schema


def _derived(plan: Plan, tables: Sequence[PlannedTable], labels: pa.Table) -> dict[str, tuple[Any, list[Any]]]:
    """Return the type and the cells that the rules give for each column of the tables; None for a type not known."""
    searches = [Search(labels, _question(plan, table)) for table in tables]
    schema = _read(tables, searches)
    types = dict(zip(schema.names, schema.types, strict=True))
    return {
        output: (types.get(column), [answer.value for answer in search.answers(output)])
        for search in searches
        for output, column in search.question.values.items()
    }


def _origins(
    plan: Plan, roles: Sequence[Sequence[PlannedTable]], labels: pa.Table, wrong: Cells
) -> dict[tuple[int, str], str]:
    found: dict[tuple[int, str], str] = {}
    for tables in roles:
        concerned = [table for table in tables if any(name == m.column for m in table.members for _, name in wrong)]
        readers = [Origins(labels, _question(plan, table), wrong) for table in concerned]
        if readers:
            _read(concerned, readers)
        for reader in readers:
            found |= {cell: EITHER if cell in reader.unknown else PAST for cell in reader.known}
            found |= dict.fromkeys(reader.unknown - reader.known, FUTURE)
    return found
