"""The scalar rule of ages is the join's."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core.ages import is_too_old
from jukebox.core.asof_ages import ages
from jukebox.core.asof_times import Clock


@given(st.integers(0, 2**62), st.timedeltas(timedelta(0), timedelta(days=40_000)), st.integers(-1, 1))
def test_one_age_is_judged_as_a_column_of_ages_is(age: int, limit: timedelta, beside: int) -> None:
    """Around the limit and anywhere else the two give the same answer."""
    edge = (limit // timedelta(microseconds=1)) * 1_000 + beside
    for nanoseconds in {age, max(edge, 0)}:
        clock = Clock("zoned", 1)
        column = ages(np.array([nanoseconds]), np.array([0]), clock, clock)
        assert is_too_old(nanoseconds, limit) == bool(column.above(limit)[0])
    assert not is_too_old(age, None)
