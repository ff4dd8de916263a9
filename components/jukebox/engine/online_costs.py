"""What a load into Bigtable costs: an estimate, before compression and discounts.

The prices are list prices of Cloud Bigtable for SSD in us-central1, as known in 2026; Google changes them, and they
differ by region, edition and contract: whoever needs more than an order of magnitude gives their own. Google's page on
performance tells of up to 14,000 rows of 1 KB a second that a node writes; here it is taken to write 10,000. Nodes are
provisioned, and billed for an hour at least: node-seconds are the share of them that the load takes up.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW = 1_024  # bytes
_GIB = 2**30


@dataclass(frozen=True)
class Prices:
    """USD a node and hour, USD a GiB and month, and the rows of 1 KB that a node writes in a second."""

    node_hour: float = 0.65
    gib_month: float = 0.17
    rows_a_second: float = 10_000


@dataclass(frozen=True)
class Cost:
    """Node-seconds and USD of writing, and USD a month of keeping."""

    node_seconds: float
    writing: float
    storing: float


def prices_of(given: Mapping[str, Any]) -> Prices:
    """Return list prices with those that are given in their place.

    >>> prices_of({"node_hour": 0.52}).node_hour
    0.52

    Raises InvalidValue for another name, and for what is no positive number.
    """
    listed = asdict(Prices())
    for name, value in given.items():
        if name not in listed:
            raise InvalidValue(f"'{name}' is no price; there are {', '.join(listed)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise InvalidValue(f"{name} is {value!r}; it is a number above 0")
    return Prices(**{**listed, **given})


def cost(rows: int, size: int, prices: Prices | None = None) -> Cost:
    """Return what so many rows of so many bytes in all cost; a row larger than 1 KB counts as several.

    >>> cost(36_000_000, 2**30).writing
    0.65
    """
    known = Prices() if prices is None else prices
    seconds = max(rows, size / ROW) / known.rows_a_second
    return Cost(seconds, seconds / 3600 * known.node_hour, size / _GIB * known.gib_month)
