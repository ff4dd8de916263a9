"""``jukebox metadata``: what it prints and refuses; how the server behaves is told in tests/stores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.stores.backends import server_process
from tests.stores.mlmd_writers import as_of_schema_8

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal


DECLARED = (
    "endpoints:\n  - {name: w, uri: w.csv, format: csv, static: true,"
    " keys: [{column: o, primitive_entity: airport, identifier: iata}]}\n"
    "features:\n  - {name: /airport/w/temp, endpoint: w, column: temp, data_type: float64}\n"
)


def test_an_older_store_is_refused_with_the_command_that_upgrades_a_copy(jukebox: Terminal) -> None:
    """The command that the error names works as it stands, and its result is a registry."""
    as_of_schema_8(jukebox.root / "old.db")
    (jukebox.root / "features.yaml").write_text(DECLARED)
    refused = jukebox.refused("register", "features.yaml", registry="mlmd+sqlite://old.db")
    command = refused.split("`jukebox ")[1].split("`")[0].replace("NEW", "new.db").split()
    assert jukebox.done(*command) == "new.db is an upgraded copy of old.db\n"
    assert jukebox("features", registry="mlmd+sqlite://new.db").code == 0
    with closing(sqlite3.connect(jukebox.root / "old.db")) as database:
        assert database.execute("SELECT schema_version FROM MLMDEnv").fetchall() == [(8,)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--host", "0.0.0.0", "--token", "s3cret"], "would travel to 0.0.0.0 unencrypted"),
        (["--tls-cert", "no.pem"], "both a certificate and its key"),
        (["--tls-cert", "no.pem", "--tls-key", "no.key"], "no.key cannot be read"),
        (["--store", "mlmd+sqlite://notes.txt"], "notes.txt is no ML Metadata store"),
        (["--store", "mlmd+mysql://ann:s3cret@127.0.0.1:1/db"], "mlmd+mysql://ann@127.0.0.1:1/db does not answer"),
        (["--store", "mysql://ann:s3cret@127.0.0.1/db"], "mysql://ann:***@127.0.0.1/db' is no metadata store"),
        (["--store", "file://registry.yaml"], "is no metadata store"),
    ],
)
def test_what_cannot_be_served_is_refused(jukebox: Terminal, options: list[str], match: str) -> None:
    """One message, without a secret, and no file that was not there."""
    (jukebox.root / "notes.txt").write_text("a note " * 100)
    before = sorted(jukebox.root.iterdir())
    told = jukebox.refused("metadata", "serve", "--port", "0", *options, registry="mlmd+sqlite://new.db")
    assert match in told
    assert "s3cret" not in told
    assert sorted(jukebox.root.iterdir()) == before


def test_doctor_prints_no_password(jukebox: Terminal) -> None:
    """Neither as text nor as JSON; it says what is wrong with the registry."""
    uri = "mlmd+postgresql://ann:s3cret@127.0.0.1:1/db"
    for ran in (jukebox("doctor", registry=uri), jukebox("doctor", "--json", registry=uri)):
        assert "s3cret" not in ran.out + ran.err
        assert "ann@127.0.0.1:1/db does not answer: Connection refused" in ran.out


def test_every_command_works_at_a_server(jukebox: Terminal) -> None:
    """Registered there and listed from there; the URI may stand in the environment."""
    (jukebox.root / "features.yaml").write_text(DECLARED)
    with server_process(f"mlmd+sqlite://{jukebox.root}/served.db") as (_, address):
        assert jukebox("register", "features.yaml", registry=address).code == 0
        assert "/airport/w/temp" in jukebox("features", registry=address).out
        assert jukebox("lineage", "--feature", "/airport/w/temp", registry=address).code == 0
