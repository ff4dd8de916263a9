"""Where an MLMD store lies, read from its URI: user, host, port, database and options; secrets are never printed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from jukebox.errors import InvalidValue
from jukebox.stores.uris import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

POSTGRESQL, MYSQL, GRPC = "mlmd+postgresql", "mlmd+mysql", "mlmd+grpc"
PASSWORD = "JUKEBOX_METADATA_PASSWORD"  # noqa: S105 - the name of a variable
_PORTS = {POSTGRESQL: 5432, MYSQL: 3306, GRPC: 8080}
_WRITTEN = {
    POSTGRESQL: "mlmd+postgresql://user:password@host:5432/database",
    MYSQL: "mlmd+mysql://user:password@host:3306/database",
    GRPC: "mlmd+grpc://host:8080",
}
_OPTIONS = {
    POSTGRESQL: ("passfile", "sslmode", "sslcert", "sslkey", "sslrootcert"),
    MYSQL: ("socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify"),
    GRPC: ("tls", "ca", "cert", "key", "token"),
}

# ml-metadata pastes these parts of a PostgreSQL address into a connection string and a statement without quotes.
_PLAIN = re.compile(r"[^\s'\"\\;=]*")


@dataclass(frozen=True)
class Address:
    """A metadata store on a server; as text it has neither password nor options."""

    scheme: str
    host: str
    port: int
    database: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        database = f"/{self.database}" if self.database else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}{host}:{self.port}{database}"


def parse(uri: str) -> Address:
    """Return the address that a URI spells; a password that it leaves out is taken from the environment.

    Parts may be percent-encoded, and a password with ``@ : / ? #`` has to be. Raises InvalidValue for anything amiss.
    """
    split = urlsplit(uri)
    if split.scheme not in _PORTS:
        known = " or ".join(f"{scheme}://" for scheme in ("mlmd+sqlite", *_PORTS))
        raise InvalidValue(f"'{redacted(uri)}' is no metadata store; its URI starts with {known}")
    try:
        port = split.port
    except ValueError as exc:
        raise InvalidValue(f"'{redacted(uri)}' has no port that is a number up to 65535") from exc
    address = Address(
        scheme=split.scheme,
        host=split.hostname or "",
        port=_PORTS[split.scheme] if port is None else port,
        database=unquote(split.path.removeprefix("/")),
        user=unquote(split.username or ""),
        password=os.environ.get(PASSWORD, "") if split.password is None else unquote(split.password),
        options=_options(uri, split.scheme, split.query),
    )
    if not address.host or split.fragment or (address.database == "") != (split.scheme == GRPC):
        raise InvalidValue(f"'{redacted(uri)}' names no metadata store; it is written {_WRITTEN[split.scheme]}")
    for part in (address.host, address.user, address.database) if address.scheme == POSTGRESQL else ():
        if not _PLAIN.fullmatch(part):
            raise InvalidValue(f"{part!r} holds a blank, a quote, a backslash, ; or =; MLMD does not quote it")
    return address


def flag(address: Address, option: str, *, default: bool) -> bool:
    """Return what an option of an address says, 1 or 0; raises InvalidValue for anything else."""
    said = address.options.get(option, str(int(default))).lower()
    if said not in ("1", "true", "yes", "0", "false", "no"):
        raise InvalidValue(f"{option}={said} of {address} is neither 1 nor 0")
    return said in ("1", "true", "yes")


def _options(uri: str, scheme: str, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(_OPTIONS[scheme]))
    if unknown:
        known = ", ".join(_OPTIONS[scheme])
        raise InvalidValue(f"'{redacted(uri)}' has the option '{unknown[0]}'; a {scheme}:// URI takes {known}")
    return options
