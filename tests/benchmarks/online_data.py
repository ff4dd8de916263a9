"""The rows that every peer of the online benchmark loads and reads: a user with ten features, made from a seed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

FEATURES = 10
PROJECT, INSTANCE = "benchmark", "instance"
START = 1_700_000_000_000  # milliseconds


def rows_of(count: int, seed: int) -> pa.Table:
    """Return ``count`` rows of user, event time in whole milliseconds, and ten features of three types."""
    random = np.random.default_rng(seed)
    columns = {
        "user": pa.array(np.arange(count)),
        "at": pa.array(START + random.integers(0, 86_400_000, count), pa.timestamp("ms", "UTC")),
    }
    for number in range(FEATURES):
        if number < 6:
            values = pa.array(random.normal(size=count))
        elif number < 9:
            values = pa.array(random.integers(0, 10**6, count))
        else:
            values = pa.array([f"genre-{n}" for n in random.integers(0, 1_000, count)])
        columns[f"f{number}"] = values
    return pa.table(columns)
