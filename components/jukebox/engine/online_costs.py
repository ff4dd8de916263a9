"""What a load into Bigtable costs, by its list prices: an estimate, before compression and discounts.

Cloud Bigtable, us-central1, SSD, 2026: 0.65 USD a node and hour, 0.17 USD a GiB and month. A node is taken to write
10,000 rows of about 1 KB a second (Google's page on performance tells of up to 14,000).
"""

from __future__ import annotations

from dataclasses import dataclass

NODE_HOUR, GIB_MONTH = 0.65, 0.17  # USD
ROWS_A_SECOND, ROW = 10_000, 1_024
_GIB = 2**30


@dataclass(frozen=True)
class Cost:
    """Node-seconds and USD of writing, and USD a month of keeping."""

    node_seconds: float
    writing: float
    storing: float


def cost(rows: int, size: int) -> Cost:
    """Return what so many rows of so many bytes in all cost; a row larger than 1 KB counts as several.

    >>> cost(36_000_000, 2**30).writing
    0.65
    """
    seconds = max(rows, size / ROW) / ROWS_A_SECOND
    return Cost(seconds, seconds / 3600 * NODE_HOUR, size / _GIB * GIB_MONTH)
