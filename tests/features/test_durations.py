"""Durations: every one has a spelling, and every spelling one duration."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.errors import InvalidType, InvalidValue
from jukebox.features import format_duration, parse_duration


@given(st.timedeltas(min_value=timedelta(0)))
def test_what_is_written_reads_back(duration: timedelta) -> None:
    """Writing a duration and reading it again gives the same, to the microsecond."""
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1d12h", timedelta(hours=36)),
        ("5ms", timedelta(milliseconds=5)),
        ("1m5us", timedelta(minutes=1, microseconds=5)),
        ("0s", timedelta(0)),
    ],
)
def test_units_mean_what_they_say(text: str, duration: timedelta) -> None:
    """Every unit is read, alone and with others."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "1.5h", "2H", "2h\n", "٢h", "1w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A text that spells no duration is refused, and the error shows how one is written."""
    with pytest.raises(InvalidValue, match="it is written as 90s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1000000000d", "9" * 400 + "d", "9" * 5000 + "s"])
def test_a_duration_past_the_longest_is_refused(text: str) -> None:
    """A duration that Python cannot hold is refused, not an overflow."""
    with pytest.raises(InvalidValue, match="too long"):
        parse_duration(text)


def test_a_duration_is_text() -> None:
    """A number has no unit and is refused with its type."""
    with pytest.raises(InvalidType, match="not as int 5"):
        parse_duration(5)  # type: ignore[arg-type]


def test_a_negative_duration_has_no_spelling() -> None:
    """What could not be read back is not written."""
    with pytest.raises(InvalidValue, match="not negative"):
        format_duration(timedelta(seconds=-1))
