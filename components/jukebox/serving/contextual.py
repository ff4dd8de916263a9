"""Contextual features: known only in the request, such as the device; passed by the caller and checked for type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.errors import MissingColumn
from jukebox.features.data_types import arrow_type
from jukebox.serving.passed_values import checked_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

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
        what, declared = f"'{self.registered.name}'", self.registered.feature.data_type
        for passed in (entity, context):
            for name in self.names:
                if name in passed:
                    return checked_value(passed[name], self.type, what, declared)
        there = ", ".join(map(repr, [*context, *entity])) or "nothing"
        raise MissingColumn(f"{what} is known only in the request: pass it as '{self.names[-1]}'; there is {there}")


def given(name: str, column: str, registered: RegisteredFeature) -> Given:
    """Return how a contextual feature is passed: as it was asked for, by its names, or by its column."""
    names = (name, registered.versioned, str(registered.name), registered.name.short, registered.feature.column, column)
    return Given(column, registered, tuple(dict.fromkeys(names)), arrow_type(registered.feature.data_type))
