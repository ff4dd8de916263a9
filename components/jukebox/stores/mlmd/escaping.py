r"""Strings for MLMD on PostgreSQL, which must hold no backslash.

ml-metadata 1.16 has libpq escape each string and then cuts off the first and the last character, the quotes. A string
with a backslash comes back as ``E'…'`` with a blank before it, so that what follows is no longer inside quotes: at
best the query breaks, and at worst the string is run as SQL. Here ``\`` is written ``␛/``, and ``␛`` twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

_MARK = "\N{SYMBOL FOR ESCAPE}"
_WRITTEN = {"\\": f"{_MARK}/", _MARK: _MARK * 2}
_READ = {written: meant for meant, written in _WRITTEN.items()}


def escape(message: Message) -> None:
    """Leave no backslash in any string of ``message``."""
    if _holds(message, b"\\", _MARK.encode()):
        _rewrite(message, lambda text: re.sub(rf"[\\{_MARK}]", lambda found: _WRITTEN[found[0]], text))


def unescape(message: Message) -> None:
    """Make the strings of ``message`` what they were before ``escape``."""
    if _holds(message, _MARK.encode()):
        _rewrite(message, lambda text: re.sub(rf"{_MARK}[/{_MARK}]", lambda found: _READ[found[0]], text))


def _holds(message: Message, *marks: bytes) -> bool:
    data = message.SerializeToString()
    return any(mark in data for mark in marks)


def _rewrite(message: Any, change: Callable[[str], str]) -> None:
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rewrite_map(value, change)
        elif field.message_type is not None:
            for each in value if field.label == field.LABEL_REPEATED else [value]:
                _rewrite(each, change)
        elif field.type == field.TYPE_STRING and field.label == field.LABEL_REPEATED:
            value[:] = [change(text) for text in value]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, change(value))


def _rewrite_map(entries: Any, change: Callable[[str], str]) -> None:
    for key in list(entries):
        if hasattr(entries[key], "ListFields"):
            _rewrite(entries[key], change)
        other = change(key) if isinstance(key, str) else key
        if other == key:
            continue
        if hasattr(entries[key], "ListFields"):
            entries[other].CopyFrom(entries[key])
        else:
            entries[other] = entries[key]
        del entries[key]
