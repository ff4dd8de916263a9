"""The online store on Cloud Bigtable: one row a key of an entity, one packed cell a version of a feature set.

A Bigtable table holds any number of online tables, those of one entity side by side in its rows::

    row key                       family f                                               family m
    salt|artist|0OdUWJ0sBjDrqHyg  flights.weather-1a2b3c4d@1   =  packed cell @ event    (nothing)
    0x00 jukebox                  (nothing)                                              layouts, current versions

``core.coordinates`` says what row keys, timestamps and qualifiers are made of, ``core.cells`` what a cell is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.stores.bigtable.places import parsed
from jukebox.stores.bigtable.store import BigtableStore

if TYPE_CHECKING:
    from jukebox.stores.bigtable.places import Place

__all__ = ["BigtableStore", "open_online"]


def open_online(uri: str) -> BigtableStore:
    """Return the store at ``bigtable://project/instance/table``; its table is made by the first write."""
    place: Place = parsed(uri)
    return BigtableStore(place)
