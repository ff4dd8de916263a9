"""The rule of ages for one value at a time, the same as the point-in-time join's for columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


def is_too_old(age: int, max_age: timedelta | None) -> bool:
    """Return whether ``age``, in nanoseconds, is above the limit; an age equal to it is not, and None is no limit."""
    if max_age is None:
        return False
    seconds = max_age.days * 86_400 + max_age.seconds
    return age > (seconds * 1_000_000 + max_age.microseconds) * 1_000
