"""Where a store lies, written so that it holds from any folder."""

from __future__ import annotations

from pathlib import Path

from jukebox.stores import place


def test_places_hold_from_any_folder() -> None:
    """Paths and stores in files become absolute, and what lies elsewhere stays as it is."""
    here = Path.cwd()
    assert place("tables/weather/") == str(here / "tables/weather")
    assert place("/a/b") == "/a/b"
    assert place("sqlite://online.db") == f"sqlite://{here}/online.db"
    assert place("sqlite:///a/online.db") == "sqlite:///a/online.db"
    assert place("file:///a/b") == "/a/b"
    assert place("s3://bucket/tables/?region=eu-west-1") == "s3://bucket/tables?region=eu-west-1"
    for uri in ("gs://bucket/tables", "bigtable://project/instance", "sqlite://", ""):
        assert place(uri) == uri
