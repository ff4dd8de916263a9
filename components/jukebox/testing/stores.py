"""What the suites of online stores have in common: a store to test, rows to write, and what is read of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jukebox.stores import OnlineStore, Written

MOMENT = datetime(2024, 2, 29, 12, 0, 0, 123_456, tzinfo=timezone.utc)
_AT = pa.timestamp("us", "UTC")


def moments(*seconds: float | None) -> pa.Array:
    """Return times that lie ``seconds`` after one moment, None where there is none."""
    return pa.array([None if s is None else MOMENT + timedelta(seconds=s) for s in seconds], _AT)


def nanoseconds(seconds: int) -> int:
    """Return the time that lies ``seconds`` after the moment, in nanoseconds since 1970."""
    return (int(MOMENT.timestamp()) + seconds) * 10**9 + 123_456_000


class Suite:
    """A store to test, which ``store`` returns: an empty one, or one in which no test has written.

    ``counts`` says whether the store looks at what it holds before it writes, so that it can count what changed.
    """

    counts = True

    def store(self, tmp_path: Path) -> OnlineStore:
        """Return the store to test."""
        raise NotImplementedError

    def write(self, store: OnlineStore, table: str, rows: Sequence[tuple[Any, int, int | None, Any]]) -> Written:
        """Write rows of (user, seconds of the event, seconds of its creation, plays)."""
        users, events, created, plays = (list(column) for column in zip(*rows, strict=True))
        columns = {"user": pa.array(users), "at": moments(*events), "made": moments(*created), "plays": pa.array(plays)}
        return store.write(table, pa.table(columns), keys=["user"], event_time="at", created_time="made")

    def plays(self, store: OnlineStore, table: str, user: Any) -> Any:
        """Return the plays that the store holds for a user."""
        [row] = store.read(table, [{"user": user}])
        assert row is not None
        return row.values["plays"]


def raised(kind: type[Exception], call: Callable[[], object]) -> Exception:
    """Return the error of a kind that a call raises."""
    import pytest

    with pytest.raises(kind) as caught:
        call()
    return caught.value
