"""Spellings that are not canonical: those that are read all the same, and what is offered for the others."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALIASES = {"STORAGE_FORMAT_TF_EXAMPLE": "tfrecord", "STORAGE_FORMAT_JSON": "jsonl"}
_PREFIXES = {
    "primitive_entity": ("PRIMITIVE_ENTITY_",),
    "identifier": ("IDENTIFIER_",),
    "format": ("STORAGE_FORMAT_",),
    "data_type": ("DATA_TYPE_",),
    "scope": ("SCOPE_",),
    "life_cycle": ("LIFECYCLE_", "LIFE_CYCLE_"),
}


def canonical(value: Any, field: str = "") -> Any:
    """Return ``value``, the value of ``field``, with every constant name within as YAML writes it.

    >>> canonical({"primitive_entity": "PRIMITIVE_ENTITY_ARTIST", "format": "STORAGE_FORMAT_TF_EXAMPLE"})
    {'primitive_entity': 'artist', 'format': 'tfrecord'}
    """
    if isinstance(value, dict):
        return {name: canonical(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    if not isinstance(value, str) or field not in _PREFIXES:
        return value
    for prefix in _PREFIXES[field]:
        if value.startswith(prefix):
            return _ALIASES.get(value, value.removeprefix(prefix).lower())
    return value


def offer(text: str, known: Iterable[str]) -> str:
    """Return ``; nearest: …`` with up to three of the ``known`` names that look like ``text``, or nothing."""
    near = difflib.get_close_matches(text, sorted(known), n=3, cutoff=0.6)
    return f"; nearest: {', '.join(near)}" if near else ""
