"""Which dates a load is for."""

from __future__ import annotations

from datetime import date, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.engine.dates import dates_between, end_of
from jukebox.errors import InvalidValue


def test_one_date_is_itself() -> None:
    """A leap day too."""
    assert dates_between(on="2024-02-29", start=None, end=None) == (date(2024, 2, 29),)


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.integers(0, 800))
def test_a_range_has_every_day_from_its_start_to_its_end(first: date, more: int) -> None:
    """Both ends included, none left out and none twice."""
    last = date.fromordinal(first.toordinal() + more)
    days = dates_between(on=None, start=str(first), end=str(last))
    assert [day.toordinal() for day in days] == list(range(first.toordinal(), last.toordinal() + 1))


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ((None, None, None), "a range from … to …, not neither"),
        (("2024-01-01", "2024-01-01", None), "not date and from"),
        (("2024-01-01", "2024-01-01", "2024-01-01"), "not date and from and to"),
        ((None, "2024-01-01", None), "not from"),
        ((None, None, "2024-01-01"), "not to"),
        (("", None, None), "'' is no date; it is written 2013-01-31"),
        (("2023-02-29", None, None), "'2023-02-29' is no date"),
        (("01/02/2024", None, None), "'01/02/2024' is no date"),
        ((20240101, None, None), "'20240101' is no date"),
        ((None, "2024-01-02", "2024-01-01"), "runs backwards, from 2024-01-02 to 2024-01-01"),
    ],
)
def test_anything_else_is_refused(given_: tuple[str | None, ...], said: str) -> None:
    """Neither way, both ways, half a range, no date, a range that runs backwards."""
    on, start, end = given_
    with pytest.raises(InvalidValue, match=said):
        dates_between(on=on, start=start, end=end)


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]))
def test_a_date_ends_where_the_next_begins(day: date, zone: str) -> None:
    """A day and no second more or less than clocks there count, between 23 and 25 hours."""
    length = end_of(day + timedelta(days=1), zone) - end_of(day, zone)
    assert timedelta(hours=23) <= length <= timedelta(hours=25)
    assert end_of(day, zone, timedelta(hours=6)) == end_of(day, zone) + timedelta(hours=6)
    assert end_of(day, zone).tzinfo is timezone.utc


def test_the_last_date_has_no_end() -> None:
    """There is no instant for it."""
    with pytest.raises(InvalidValue, match="the end of 9999-12-31"):
        end_of(date(9999, 12, 31), "UTC")
