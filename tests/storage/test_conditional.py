"""Objects that are replaced only where nobody has replaced them since."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jukebox.errors import StorageError, TimedOut
from jukebox.storage import Remote
from jukebox.storage.conditional import read_generation, write_if
from tests.storage.servers import new_bucket


@pytest.fixture
def place(gs: str, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Where no object is yet."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs)
    return Remote.parse(f"{new_bucket('gs', gs)}/folder/a name, #1.json")


def test_an_object_is_written_where_it_is_as_it_was_read(place: Remote) -> None:
    """None at first; then the one that was read; not the one before that."""
    assert read_generation(place) == (b"", 0)
    assert write_if(place, b"1", 0)
    body, first = read_generation(place)
    assert body == b"1"
    assert first > 0
    assert not write_if(place, b"2", 0)
    assert write_if(place, b"3", first)
    assert not write_if(place, b"4", first)
    assert read_generation(place)[0] == b"3" == place.read_bytes()


def test_what_was_removed_is_no_longer_there_to_be_replaced(place: Remote) -> None:
    """It can be made anew."""
    assert write_if(place, b"1", 0)
    _, first = read_generation(place)
    place.unlink()
    assert not write_if(place, b"2", first)
    assert write_if(place, b"2", 0)


def test_of_writers_at_once_one_wins(place: Remote) -> None:
    """Eight count together to two hundred, each from what it has read."""

    def count(_: int) -> int:
        body, generation = read_generation(place)
        return int(write_if(place, str(int(body or b"0") + 1).encode(), generation))

    with ThreadPoolExecutor(8) as pool:
        won = sum(pool.map(count, range(200)))
    assert 0 < won < 200
    assert int(place.read_bytes()) == won


def test_settings_of_the_uri_lead_to_the_server_too(gs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go before the variables, as they do for all else."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    place = Remote.parse(f"{new_bucket('gs', gs)}/one?endpoint_override={gs}&anonymous=true")
    assert write_if(place, b"1", 0)
    assert read_generation(place)[0] == b"1"


def test_a_bucket_that_is_not_there_is_told(gs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is written to."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs)
    with pytest.raises(StorageError, match="gs://nowhere/one cannot be written: the bucket does not exist"):
        write_if(Remote.parse("gs://nowhere/one"), b"1", 0)


def test_no_answer_and_a_busy_store_leave_it_open_whether_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal does not."""
    with _answering(429) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
        with pytest.raises(TimedOut, match="gs://bucket/one cannot be written: 429"):
            write_if(Remote.parse("gs://bucket/one"), b"1", 0)
    with pytest.raises(TimedOut, match="gs://bucket/one cannot be written"):
        write_if(Remote.parse("gs://bucket/one"), b"1", 0)
    with _answering(403) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
        with pytest.raises(StorageError, match="gs://bucket/one cannot be written: 403") as told:
            write_if(Remote.parse("gs://bucket/one"), b"1", 0)
        with pytest.raises(StorageError, match="gs://bucket/one cannot be read: 403"):
            read_generation(Remote.parse("gs://bucket/one"))
    assert not isinstance(told.value, TimedOut)


@contextmanager
def _answering(status: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
