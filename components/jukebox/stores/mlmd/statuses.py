"""What an error of ml_metadata means: its databases' own troubles all arrive as INTERNAL, told apart by their words."""

from __future__ import annotations

import re

from jukebox.stores.mlmd.library import status

# As PostgreSQL 15, MariaDB 10.11 and SQLite 3 word them, through ml-metadata 1.16. Where another writer has just made
# an attribution, ml-metadata takes it for made and goes on, but PostgreSQL has aborted the transaction.
_BUSY = re.compile(
    r"deadlock|could not serialize access|lock timeout|tuple concurrently|database is locked|Lock wait timeout"
    r"|try restarting transaction|current transaction is aborted",
    re.IGNORECASE,
)
_TWICE = re.compile(r"duplicate key value|Duplicate entry|UNIQUE constraint failed")
# After its connection is lost ml-metadata says nothing but the name of the source.
_LOST = re.compile(
    r"server closed the connection|terminating connection|no connection to the server|connection pointer is NULL"
    r"|Lost connection|gone away|Can't connect|PostgreSQL metadata source error:\s*$"
)


def meant(error: status.StatusError) -> status.StatusError:
    """Return the error with the status that fits: ABORTED may be tried again, UNAVAILABLE lost its connection."""
    if not isinstance(error, status.InternalError):
        return error
    for words, kind in (
        (_BUSY, status.AbortedError),
        (_TWICE, status.AlreadyExistsError),
        (_LOST, status.UnavailableError),
    ):
        if words.search(error.message):
            return kind(error.message)
    return error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, which for a refused node is followed by the whole node."""
    return str(error).strip().split("\n", 1)[0].strip() or type(error).__name__
