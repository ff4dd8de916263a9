"""Opening an MLMD store on PostgreSQL or MySQL, through MLMD's own ConnectionConfig."""

from __future__ import annotations

import os
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jukebox.errors import StorageError
from jukebox.stores.mlmd.addresses import POSTGRESQL, Address, flag
from jukebox.stores.mlmd.connection import Store
from jukebox.stores.mlmd.escaping import escape, unescape
from jukebox.stores.mlmd.library import MetadataStore, pb, status
from jukebox.stores.mlmd.patience import patience, patiently
from jukebox.stores.mlmd.statuses import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDED = (
    "; its collation takes names that differ in case alone for one, "
    "which a database made with COLLATE utf8mb4_bin does not"
)
# Others open the same empty database at the same moment, and make the same tables.
_MAKING = re.compile(
    r"already exists|duplicate key|Duplicate|deadlock|subset of tables|concurrent|tuple concurrently|does not exist"
    r"|doesn't exist|try restarting",
    re.IGNORECASE,
)

# PostgreSQL's library says no more than this, of a wrong password and of a server that is busy for a moment alike.
_REFUSED, _REFUSALS = "connection pointer is NULL", 7


def open_database(address: Address, *, create: bool) -> Store:
    """Return the store at ``address``; ``create`` makes the database too, and tables are made where none are.

    Raises StorageError for a server that does not answer, one that refuses user or password, a database that is not
    there and one of another schema version, which is not migrated.
    """
    opening = _postgresql if address.scheme == POSTGRESQL else _mysql

    def patient() -> MetadataStore:
        _require_server(address)
        refusals = iter(range(_REFUSALS))

        def passes(exc: Exception) -> bool:
            refused = _REFUSED in str(exc) and next(refusals, None) is not None
            return refused or _MAKING.search(str(exc)) is not None

        try:
            return patiently(lambda: opening(address, create=create), passes)
        except RuntimeError as exc:
            raise StorageError(f"{address} cannot be opened: {_told(address, exc)}") from exc

    store = Store(str(address), patient)
    if address.scheme != POSTGRESQL and store.once(_folds_case):
        store.hint = _FOLDED
    return store


class _Backslashless(MetadataStore):  # type: ignore[misc]
    """A MetadataStore whose PostgreSQL never sees a backslash."""

    def _pywrap_cc_call(self, method: Any, request: Any, response: Any) -> None:
        sent = type(request)()
        sent.CopyFrom(request)
        escape(sent)
        super()._pywrap_cc_call(method, sent, response)
        unescape(response)


def _postgresql(address: Address, *, create: bool) -> MetadataStore:
    config = _config()
    postgresql = config.postgresql
    postgresql.host, postgresql.port, postgresql.dbname = address.host, str(address.port), address.database
    postgresql.skip_db_creation = not create
    if address.user:
        postgresql.user = address.user
    if "passfile" in address.options:
        postgresql.passfile = address.options["passfile"]
    for option in ("sslmode", "sslcert", "sslkey", "sslrootcert"):
        if option in address.options:
            setattr(postgresql.ssloption, option, address.options[option])
    with _libpq(address):
        return _Backslashless(config)


def _mysql(address: Address, *, create: bool) -> MetadataStore:
    config = _config()
    mysql = config.mysql
    # By localhost its client means a socket file.
    mysql.host = "127.0.0.1" if address.host == "localhost" else address.host
    mysql.port, mysql.database, mysql.user = address.port, address.database, address.user
    mysql.password, mysql.skip_db_creation = address.password, not create
    if "socket" in address.options:
        mysql.socket = address.options["socket"]
    for option in ("ca", "cert", "key"):
        if f"ssl_{option}" in address.options:
            setattr(mysql.ssl_options, option, address.options[f"ssl_{option}"])
            mysql.ssl_options.verify_server_cert = flag(address, "ssl_verify", default=True)
    return MetadataStore(config)


def _config() -> pb.ConnectionConfig:
    config = pb.ConnectionConfig()
    config.retry_options.max_num_retries = 1  # its own retries sleep for seconds; ours are in Store
    return config


@contextmanager
def _libpq(address: Address) -> Iterator[None]:
    # What ml-metadata has no field for, or pastes without quotes, libpq takes from the environment as it connects.
    milliseconds = round(patience() * 1000)
    wanted = {
        "PGCONNECT_TIMEOUT": str(max(2, round(patience()))),
        "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} -c lock_timeout={milliseconds}".strip(),
        **({"PGPASSWORD": address.password} if address.password else {}),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _require_server(address: Address) -> None:
    # ml-metadata keeps to itself why it cannot connect, and does not stop trying a host that is silent.
    if "socket" in address.options:
        return
    try:
        socket.create_connection((address.host, address.port), timeout=patience()).close()
    except OSError as exc:
        raise StorageError(f"{address} does not answer: {exc.strerror or exc}") from exc


def _told(address: Address, exc: RuntimeError) -> str:
    said = first_line(exc)
    if "pointer is NULL" in said or "real_connect failed" in said or said.rstrip(": ").endswith("source error"):
        made = " (no release of ml-metadata so far has it)"
        if address.scheme != POSTGRESQL:
            made = " (ml-metadata's works with ssl_verify=0 alone), or its plug-in is not mysql_native_password"
        return (
            f"the server is there and refuses the user '{address.user}', its password, the database or TLS{made}; "
            "with GLOG_minloglevel=0 in the environment ml-metadata prints what it was told"
        )
    if "is older than library version" in said:
        return f"{said.split('. ', 1)[0]}; it is not migrated here: upgrade it, or a copy of it, with ML Metadata"
    return said.replace(address.password, "***") if address.password else said


def _folds_case(raw: MetadataStore) -> bool:
    # Every store has this type, spelled mlmd.Dataset.
    try:
        raw.get_artifact_type("MLMD.DATASET")
    except status.NotFoundError:
        return False
    return True
