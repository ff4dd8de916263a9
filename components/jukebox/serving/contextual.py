"""Contextual features: known only in the request, such as the device; passed by the caller and checked for type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.errors import InvalidType, MissingColumn, reason
from jukebox.features.data_types import arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jukebox.stores import RegisteredFeature


@dataclass(frozen=True)
class Given:
    """A contextual feature of a request, and the names that its value goes by: the first that is there counts."""

    name: str
    registered: RegisteredFeature
    names: tuple[str, ...]
    type: pa.DataType | None

    def value(self, entity: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        """Return the value that was passed, from the entity before the context all entities share; it may be None.

        Raises MissingColumn where there is none, InvalidType where it is not of the registered type.
        """
        for passed in (entity, context):
            for name in self.names:
                if name in passed:
                    return self._checked(passed[name])
        there = ", ".join(map(repr, [*context, *entity])) or "nothing"
        raise MissingColumn(
            f"'{self.registered.name}' is known only in the request: pass it as '{self.names[-1]}'; there is {there}"
        )

    def _checked(self, value: Any) -> Any:
        if value is None or self.type is None:
            return value
        value = value.item() if isinstance(value, np.generic) else value
        if not _fits(value, self.type):
            raise InvalidType(f"{self._wanted()}, not {value!r}")
        try:
            return pa.scalar(value, self.type).as_py()
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
            raise InvalidType(f"{self._wanted()}, which does not hold {value!r}: {reason(exc)}") from exc

    def _wanted(self) -> str:
        return f"'{self.registered.name}' takes {self.registered.feature.data_type}"


def given(name: str, column: str, registered: RegisteredFeature) -> Given:
    """Return how a contextual feature is passed: as it was asked for, by its names, or by its column."""
    names = (name, registered.versioned, str(registered.name), registered.name.short, registered.feature.column, column)
    return Given(column, registered, tuple(dict.fromkeys(names)), arrow_type(registered.feature.data_type))


_TESTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], bool]], ...] = (
    (pa.types.is_boolean, lambda value: isinstance(value, bool)),
    (pa.types.is_integer, lambda value: isinstance(value, int) and not isinstance(value, bool)),
    (pa.types.is_floating, lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    (pa.types.is_string, lambda value: isinstance(value, str)),
    (pa.types.is_binary, lambda value: isinstance(value, bytes)),
    (pa.types.is_timestamp, lambda value: isinstance(value, datetime) and value.tzinfo is not None),
    (pa.types.is_date, lambda value: isinstance(value, date) and not isinstance(value, datetime)),
    (pa.types.is_decimal, lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool)),
)


def _fits(value: Any, of: pa.DataType) -> bool:
    if pa.types.is_list(of) or pa.types.is_fixed_size_list(of):
        listed = isinstance(value, list | tuple | np.ndarray)
        items = value.tolist() if isinstance(value, np.ndarray) else value
        return listed and all(item is None or _fits(item, of.value_type) for item in items)
    return any(fits(value) for is_one, fits in _TESTS if is_one(of))
