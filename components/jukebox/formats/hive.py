"""Folders called ``key=value``, as Hive and Spark lay a table out: its files, and the columns that the names hold.

Values are written as in a URL, and ``__HIVE_DEFAULT_PARTITION__`` is a null. Whole numbers are int64 and dates
date32 where all values of a key are, other values are text; declared types go before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from jukebox.errors import CorruptData, InvalidType, InvalidValue, NoPartition, StorageError
from jukebox.formats.files import MANIFEST, files_in, is_data
from jukebox.storage import Remote, each, place_of
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.storage import Place, Where

NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Found:
    """A file, and what the folders that it lies in say: a text, or None for a null, by column."""

    path: Place
    keys: tuple[tuple[str, str | None], ...] = ()


def found_files(path: Where) -> list[Found]:
    """Return the file ``path``, a folder's files by name, or those of its ``key=value`` folders.

    Of a partition that Jukebox wrote, the file that its manifest names is the only one. Raises NoPartition where there
    is no file, InvalidValue where folders do not agree in their keys, StorageError where one cannot be listed.
    """
    source = place_of(path)
    if source.is_file():
        return [Found(source)]
    found = [Found(file) for file in files_in(source) if is_data(file.name)]
    parted = any(True for _ in source.glob("*=*"))
    if found and parted:
        raise InvalidValue(
            f"{source} holds '{found[0].path.name}' beside folders called key=value; one of both is too much"
        )
    found = _below(source) if parted else found
    if not found:
        raise NoPartition(f"{source} holds no data files" if source.exists() else f"{source} does not exist")
    return found


def _below(source: Place) -> list[Found]:
    below: Any = source  # a file and its folder are of one kind
    files: list[Any] = (
        below.files_below() if isinstance(below, Remote) else [p for p in below.rglob("*") if p.is_file()]
    )
    steps = {file: file.relative_to(below).parts for file in sorted(files)}
    steps = {file: parts for file, parts in steps.items() if not any(part.startswith(("_", ".")) for part in parts)}
    told = [file.parent for file in steps if file.name == MANIFEST and file.parent != below]
    named = dict(zip(told, each(_data_of, told, remote=isinstance(below, Remote)), strict=True))
    whole = [file for file in steps if file.name != MANIFEST and named.get(file.parent) in {None, file.name}]
    found = [Found(file, tuple(_key(file, part) for part in steps[file][:-1])) for file in whole]
    for one in found:
        if [name for name, _ in one.keys] != [name for name, _ in found[0].keys]:
            raise InvalidValue(f"{one.path} lies in folders of other keys than {found[0].path}")
    return found


def _data_of(folder: Place) -> str | None:
    """Return the name of a partition's file, None where the folder holds something else."""
    try:
        data = Manifest.read(folder).details.get("data")
    except (CorruptData, StorageError):
        return None
    return None if data is None else str(data)


def _key(file: Place, folder: str) -> tuple[str, str | None]:
    name, separator, value = folder.partition("=")
    if not separator or not name:
        raise InvalidValue(f"{file} lies in the folder '{folder}', which is not called key=value as those beside it")
    return unquote(name), None if value == NULL else unquote(value)


def key_columns(
    found: Sequence[Found], declared: Mapping[str, pa.DataType]
) -> tuple[pa.Schema, list[dict[str, pa.Scalar]]]:
    """Return the columns that the names of folders hold, and each file's values; InvalidType where one is no such."""
    names = [name for name, _ in found[0].keys]
    texts = [dict(one.keys) for one in found]
    kinds = {name: declared.get(name) or _kind([row[name] for row in texts]) for name in names}
    rows = [{name: _scalar(one, name, kinds[name]) for name in names} for one in found]
    return pa.schema(list(kinds.items())), rows


def _kind(values: Sequence[str | None]) -> pa.DataType:
    there = [value for value in values if value is not None]
    if there and all(_WHOLE.fullmatch(value) for value in there):
        return pa.int64()
    return pa.date32() if there and all(map(_date, there)) else pa.string()


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _scalar(one: Found, name: str, kind: pa.DataType) -> pa.Scalar:
    text = dict(one.keys)[name]
    try:
        if text is None or not pa.types.is_date(kind):
            return pa.array([text], pa.string()).cast(kind)[0]
        return pa.scalar(date.fromisoformat(text), kind)  # which older pyarrow cannot cast
    except (ValueError, pa.ArrowNotImplementedError) as exc:
        raise InvalidType(f"{one.path} lies in '{name}={text}', which is no {kind}") from exc
