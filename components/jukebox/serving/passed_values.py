"""Values that a caller passes, held against the type that they are to have: nothing is cut, wrapped or guessed."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.errors import InvalidType, reason

if TYPE_CHECKING:
    from collections.abc import Callable


_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")


def named_type(text: str) -> pa.DataType | None:
    """Return the plain Arrow type that a manifest's text names; None for a list, a decimal, and no type at all."""
    time = _TIMESTAMP.fullmatch(text)
    if time is not None:
        return pa.timestamp(*time.groups())
    try:
        return pa.type_for_alias(text)
    except ValueError:
        return None


def checked_value(value: Any, of: pa.DataType | None, what: str, declared: str | None = None) -> Any:
    """Return a value as Arrow gives it back, None as it is; without a type any will do.

    Raises InvalidType, which calls the value ``what`` and its type ``declared``, where it is of another.
    """
    if value is None or of is None:
        return value
    value, wanted = value.item() if isinstance(value, np.generic) else value, f"{what} takes {declared or of}"
    if not _fits(value, of):
        raise InvalidType(f"{wanted}, not {value!r}")
    try:
        return pa.scalar(value, of).as_py()
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
        raise InvalidType(f"{wanted}, which does not hold {value!r}: {reason(exc)}") from exc


_TESTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], bool]], ...] = (
    (pa.types.is_boolean, lambda value, _: isinstance(value, bool)),
    (pa.types.is_integer, lambda value, _: isinstance(value, int) and not isinstance(value, bool)),
    (pa.types.is_floating, lambda value, _: isinstance(value, int | float) and not isinstance(value, bool)),
    (pa.types.is_string, lambda value, _: isinstance(value, str)),
    (pa.types.is_binary, lambda value, _: isinstance(value, bytes)),
    (
        pa.types.is_timestamp,
        lambda value, of: isinstance(value, datetime) and (value.tzinfo is None) == (of.tz is None),
    ),
    (pa.types.is_date, lambda value, _: isinstance(value, date) and not isinstance(value, datetime)),
    (pa.types.is_decimal, lambda value, _: isinstance(value, int | Decimal) and not isinstance(value, bool)),
)


def _fits(value: Any, of: pa.DataType) -> bool:
    if pa.types.is_list(of) or pa.types.is_fixed_size_list(of):
        listed = isinstance(value, list | tuple | np.ndarray)
        items = value.tolist() if isinstance(value, np.ndarray) else value
        return listed and all(item is None or _fits(item, of.value_type) for item in items)
    return any(fits(value, of) for is_one, fits in _TESTS if is_one(of))
