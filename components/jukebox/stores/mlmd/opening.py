"""Opening an MLMD store by its URI, whatever is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.stores.mlmd.addresses import GRPC, parse

if TYPE_CHECKING:
    from jukebox.stores.mlmd.connection import Store


def connect(uri: str, *, create: bool) -> Store:
    """Return the store at ``uri``; ``create`` opens it for writing, and makes a file or database that is not there.

    Raises InvalidValue for a URI that is none, and StorageError for what cannot be opened, or is no MLMD store.
    """
    if uri.startswith("mlmd+sqlite:"):
        from jukebox.stores.mlmd.files import open_file, path_of

        return open_file(path_of(uri), create=create)
    address = parse(uri)
    if address.scheme == GRPC:
        from jukebox.stores.mlmd.remote import open_remote

        return open_remote(address)
    from jukebox.stores.mlmd.databases import open_database

    return open_database(address, create=create)
