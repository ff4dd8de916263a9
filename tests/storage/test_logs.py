"""Logs of served features in object stores."""

from __future__ import annotations

import pytest

from jukebox.engine.served_logs import open_log
from jukebox.errors import StorageError
from jukebox.serving.feature_log import FeatureLog
from tests.serving.logs import in_each_format, served


@in_each_format
def test_a_log_is_written_into_a_bucket_and_read_from_it(bucket: str, storage: str) -> None:
    """By the folder of all dates, of one, and by the file."""
    log = FeatureLog(f"{bucket}/served", storage_format=storage)
    with pytest.raises(LookupError, match="there is no log of served features"):
        open_log(f"{bucket}/served")
    log(served({"user": 1}, {"user": 2}))
    assert log.close()
    assert (log.counts.written, log.counts.error) == (2, None)
    whole = open_log(f"{bucket}/served")
    [file] = whole.files
    for found in (whole, open_log(str(file.parent)), open_log(str(file))):
        batches = found.read(["key:user:integer"])
        assert [user for batch in batches for user in batch.column(0).to_pylist()] == [1, 2]
        assert (found.count_rows(), found.fingerprint()) == (2, whole.fingerprint())


def test_a_bucket_that_is_not_there_is_an_error_at_the_start(bucket: str) -> None:
    """Before anything is served."""
    with pytest.raises(StorageError, match="cannot be written"):
        FeatureLog(f"{bucket}-none/served")
