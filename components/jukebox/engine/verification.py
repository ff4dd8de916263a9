"""What a verification says: which cells differ from what the rules give, and where their values came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.errors import LeakFound, NotReproduced, SourceChanged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.errors import JukeboxError

FUTURE = "a row not known then"
PAST = "a row known then, not the one that counts"
EITHER = "rows known and rows not known then"
NOWHERE = "no row of its key"
LABEL = "no label"
EXAMPLES = 5


@dataclass(frozen=True)
class Mismatch:
    """A cell that differs; ``row`` counts from 0, ``origin`` says which rows of its key hold what was found."""

    row: int
    expected: Any
    found: Any
    origin: str


@dataclass(frozen=True)
class Checked:
    """What became of one column: cells that differ, how many of these hold the future, and the first ones."""

    column: str
    cells: int
    differing: int = 0
    leaked: int = 0
    examples: tuple[Mismatch, ...] = ()


@dataclass(frozen=True)
class Verification:
    """What was found about the training set at ``uri``, of which ``rows`` of ``of_rows`` labels were looked at.

    ``changed`` names the sources that are gone or hold something else than when it was made; then nothing can be
    derived again and there are no ``columns``. ``faults`` are sentences on what is wrong beside cells.
    """

    uri: str
    rows: int
    of_rows: int
    columns: tuple[Checked, ...] = ()
    changed: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells were compared."""
        return sum(column.cells for column in self.columns)

    @property
    def differing(self) -> tuple[Checked, ...]:
        """The columns in which cells differ."""
        return tuple(column for column in self.columns if column.differing > 0)

    @property
    def leaked(self) -> int:
        """How many cells hold what was not known at their label's time."""
        return sum(column.leaked for column in self.columns)

    @property
    def error(self) -> JukeboxError | None:
        """What is to be raised, None where the training set is what its sources and rules give."""
        if self.changed:
            return SourceChanged(f"{self.uri} cannot be verified: {self._told()}", sources=self.changed)
        if self.leaked > 0:
            return LeakFound(f"{self.uri} holds what was not known at the label's time: {self._told()}")
        if self.differing or self.faults:
            return NotReproduced(f"{self.uri} is not what its sources and rules give: {self._told()}")
        return None

    def _told(self) -> str:
        cells = (f"{column.differing} of {column.cells} cells of {_first(column)}" for column in self.differing)
        return "; ".join([*cells, *self.faults])

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON holds it, values that JSON has no type for as text."""
        columns = [asdict(column) for column in self.columns]
        for column in columns:
            column["examples"] = [{**each, **_plain(each)} for each in column["examples"]]
        about = {name: getattr(self, name) for name in ("rows", "of_rows", "cells", "leaked")}
        return {**about, "columns": columns, "changed": list(self.changed), "faults": list(self.faults)}


def _first(column: Checked) -> str:
    first = column.examples[0]
    told = f"row {first.row} has {first.found!r}, the value of {first.origin}, where {first.expected!r} is right"
    return f"'{column.column}' ({told})"


def _plain(example: dict[str, Any]) -> dict[str, Any]:
    values = {name: example[name] for name in ("expected", "found")}
    return {n: v if v is None or isinstance(v, bool | int | str) else repr(v) for n, v in values.items()}


def readable(value: Any, kind: pa.DataType) -> Any:
    """Return the value of a cell as people write it: times in ISO 8601 with all of their digits.

    >>> readable(1_700_000_000_000_000_001, pa.timestamp("ns"))
    '2023-11-14T22:13:20.000000001'
    """
    if value is None or not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return value
    unit = kind.unit if pa.types.is_timestamp(kind) else "D" if pa.types.is_date32(kind) else "ms"
    return str(np.datetime64(value, unit))


def checked(column: str, cells: int, mismatches: Iterable[Mismatch]) -> Checked:
    """Return what became of a column of ``cells`` cells of which ``mismatches`` differ, the future first."""
    wrong = sorted(mismatches, key=lambda each: (each.origin != FUTURE, each.row))
    leaked = sum(each.origin == FUTURE for each in wrong)
    return Checked(column, cells, len(wrong), leaked, tuple(wrong[:EXAMPLES]))
