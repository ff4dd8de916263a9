"""Where files lie: on this machine as ``pathlib.Path``, elsewhere as ``Remote``, which answers to the same names.

Everything remote goes through ``pyarrow.fs``, which is there already and reads Parquet without Python's lock, but for
what is written only if nobody else was first: ``conditional``.
A plain path and ``file://`` are local; ``s3://bucket/key``, ``gs://bucket/key`` and ``hdfs://host:port/path`` are not.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from jukebox.errors import InvalidValue
from jukebox.storage.drivers import SCHEMES as SCHEMES
from jukebox.storage.remote import Place as Place
from jukebox.storage.remote import Remote as Remote
from jukebox.storage.remote import Where as Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_AT_ONCE = 16

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def place_of(where: Where, *parts: str) -> Place:
    """Return the place that a path or URI names, and ``parts`` below it.

    Raises InvalidValue for a scheme that is not known and for a URI that names no place.
    """
    found = _place(where)
    return found.joinpath(*parts) if parts else found


def _place(where: Where) -> Place:
    if isinstance(where, (Path, Remote)):
        return where
    text = os.fspath(where)
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme.isalnum():
        return Path(text)
    if scheme == "file":
        host, _, path = rest.partition("/")
        if host not in {"", "localhost"}:
            raise InvalidValue(f"'{text}' names the machine '{host}'; a file of this one is file:///{path}")
        return Path("/" + unquote(path))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *SCHEMES))
        raise InvalidValue(f"'{text}' lies where Jukebox cannot read; the schemes known are {known}")
    return Remote.parse(text)


def is_remote(where: Where) -> bool:
    """Return whether a path or URI lies on another system than this machine's."""
    return isinstance(place_of(where), Remote)


def readable(place: Place, *, unpacked: bool = False) -> Any:
    """Return what pyarrow reads fastest: the path of a local file, an open file for another; raises StorageError.

    Where it is to be ``unpacked``, a file called ``….gz`` gives what was packed: pyarrow does so with paths itself.
    """
    if not isinstance(place, Remote):
        return str(place)
    if unpacked and place.suffix == ".gz":
        import pyarrow as pa

        return pa.input_stream(place.open(), compression="gzip")
    return place.open()


def each(work: Callable[[Asked], Answer], things: Iterable[Asked], *, remote: bool) -> Iterator[Answer]:
    """Yield what ``work`` returns for each thing, in order; sixteen at once where every one waits for a network."""
    if not remote:
        yield from map(work, things)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(work, things)
