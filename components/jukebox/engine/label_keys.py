"""How the ids in label columns are written, and the labels with those that a join needs in another way beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import identifiers
from jukebox.engine.keys import require
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash
from jukebox.features.spellings import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from jukebox.features import Key

_FIELDS = ("column", "primitive_entity", "identifier")


@dataclass(frozen=True)
class Written:
    """How the ids of a label column are written, and what they name, where that was said."""

    identifier: str
    primitive_entity: str | None = None


@dataclass(frozen=True)
class Converted:
    """A label column whose ids are written as ``source``, as a join needs it: as ``target``."""

    label: str
    source: str
    target: str

    @property
    def column(self) -> str:
        """The name of the converted column, which no training set shows."""
        return f"{self.label} ({self.source} as {self.target})"


def parted(keys: Any, whose: str) -> tuple[dict[str, str], dict[str, Written]]:
    """Return label column to key column, and how those are written of which it is said.

    ``keys`` maps a label column to a key column, or to ``{"column", "primitive_entity", "identifier"}``: the column is
    by default of the label column's name. Raises InvalidType and InvalidValue, which say ``whose`` keys they are.
    """
    if not isinstance(keys, Mapping) or not all(_is_told(label, value) for label, value in keys.items()):
        raise InvalidType(f"{whose} has the keys {keys!r}; they map label columns to key columns")
    columns: dict[str, str] = {}
    written: dict[str, Written] = {}
    for label, value in keys.items():
        told: dict[str, str] = {"column": value} if isinstance(value, str) else canonical(dict(value))
        unknown = [field for field in told if field not in _FIELDS]
        if unknown:
            raise InvalidValue(f"{whose} has '{unknown[0]}' for the key '{label}'; it may have {', '.join(_FIELDS)}")
        columns[label] = told.get("column", str(label))
        if "identifier" in told:
            written[label] = Written(told["identifier"], told.get("primitive_entity"))
        elif "primitive_entity" in told:
            raise InvalidValue(f"{whose} says what the key '{label}' names and not its identifier")
    return columns, written


def _is_told(label: Any, value: Any) -> bool:
    texts = [label, *(value.values() if isinstance(value, Mapping) else [value])]
    return all(isinstance(text, str) for text in texts)


def together(told: Iterable[Mapping[str, Written]]) -> dict[str, Written]:
    """Return all that was told of label columns; raises InvalidValue where it is not one and the same."""
    found: dict[str, Written] = {}
    for some in told:
        for label, written in some.items():
            if found.setdefault(label, written) != written:
                raise InvalidValue(
                    f"column '{label}' is said to hold {found[label].identifier} and {written.identifier}"
                )
    return found


def require_one_meaning(met: Mapping[str, Collection[Key]], told: Mapping[str, Written]) -> None:
    """Raise InvalidValue where a label column would name two things, or be written in two ways.

    ``met`` has the keys that each label column is joined to. Ids are converted only from what was told.
    """
    for label, keys in met.items():
        entities = sorted({key.primitive_entity for key in keys} | _named(told.get(label)))
        if len(entities) > 1:
            raise InvalidValue(f"column '{label}' would name {' and '.join(entities)}; a column names one thing")
        written = sorted({key.identifier for key in keys})
        if label not in told and len(written) > 1:
            raise InvalidValue(
                f"column '{label}' meets keys that are written as {' and as '.join(written)}; say which of them "
                f'it holds: keys {{"{label}": {{"column": …, "identifier": …}}}}'
            )


def _named(written: Written | None) -> set[str]:
    return set() if written is None or written.primitive_entity is None else {written.primitive_entity}


def conversions(role: Mapping[str, str], keys: Iterable[Key], told: Mapping[str, Written]) -> tuple[Converted, ...]:
    """Return the label columns of a role, label column to key column, that are to be converted for its keys.

    Raises InvalidValue where there is no conversion.
    """
    target = {key.column: key.identifier for key in keys}
    found = []
    for label, key in role.items():
        source = told[label].identifier if label in told else target[key]
        require(source, target[key], f"column '{label}'")
        if source != target[key]:
            found.append(Converted(label, source, target[key]))
    return tuple(found)


def widened(schema: pa.Schema, converted: Iterable[Converted]) -> pa.Schema:
    """Return the labels' schema with the converted columns after it; raises MissingColumn and NameClash."""
    for each in converted:
        if each.label not in schema.names:
            raise MissingColumn(f"column '{each.label}' is not in the labels; they have {', '.join(schema.names)}")
        if each.column in schema.names:
            raise NameClash(f"the labels have a column '{each.column}', by which name a join converts '{each.label}'")
        schema = schema.append(pa.field(each.column, pa.string()))
    return schema


def with_ids(batches: Iterable[pa.RecordBatch], converted: Collection[Converted]) -> Iterator[pa.RecordBatch]:
    """Yield the labels with the converted columns after theirs; raises InvalidValue with the rows that hold no id."""
    first_row = 0
    for batch in batches:
        arrays = [
            identifiers.convert(batch.column(c.label), c.source, c.target, column=c.label, first_row=first_row)
            for c in converted
        ]
        yield pa.RecordBatch.from_arrays([*batch.columns, *arrays], schema=widened(batch.schema, converted))
        first_row += batch.num_rows
