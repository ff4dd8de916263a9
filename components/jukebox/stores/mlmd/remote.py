"""Opening an MLMD gRPC server, through MLMD's own MetadataStoreClientConfig: with TLS, and with a token."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores.mlmd.addresses import flag
from jukebox.stores.mlmd.connection import Store
from jukebox.stores.mlmd.library import MetadataStore, pb, status
from jukebox.stores.mlmd.patience import patience
from jukebox.stores.mlmd.statuses import first_line

if TYPE_CHECKING:
    from jukebox.stores.mlmd.addresses import Address

TOKEN = "JUKEBOX_METADATA_TOKEN"  # noqa: S105 - the name of a variable


def open_remote(address: Address) -> Store:
    """Return the store that a server at ``address`` holds.

    TLS is used with ``tls=1`` or a ``ca``, ``cert`` or ``key`` file among the options; the token is the option, or
    else what the environment holds. Raises InvalidValue for a token that would travel unencrypted to another machine,
    and StorageError for a server that does not answer in time, or refuses the token.
    """
    token = address.options.get("token", os.environ.get(TOKEN))
    config = _config(address)
    if token and not config.HasField("ssl_config") and not is_loopback(address.host):
        raise InvalidValue(f"a token for {address} would travel unencrypted; add ?tls=1, or ?ca=FILE")
    store = Store(str(address), lambda: _Client(config, token))
    try:
        store.once(lambda raw: raw.get_artifact_types())
    except status.StatusError as exc:
        raise StorageError(f"{address} {_why(exc)}") from exc
    return store


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this very machine, by address or as ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Client(MetadataStore):  # type: ignore[misc]
    """A MetadataStore that shows a server its token."""

    def __init__(self, config: pb.MetadataStoreClientConfig, token: str | None) -> None:
        self._token = token
        super().__init__(config)
        self._max_num_retries = 1  # its own retries sleep for seconds; ours are in Store

    def _get_channel(self, config: pb.MetadataStoreClientConfig) -> Any:
        channel = super()._get_channel(config)
        return grpc.intercept_channel(channel, _Bearer(self._token)) if self._token else channel


class _Bearer(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self._shown = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        shown = (*(client_call_details.metadata or ()), self._shown)
        return continuation(client_call_details._replace(metadata=shown), request)


def _config(address: Address) -> pb.MetadataStoreClientConfig:
    config = pb.MetadataStoreClientConfig()
    config.host = f"[{address.host}]" if ":" in address.host else address.host
    config.port, config.client_timeout_sec = address.port, patience()
    config.channel_arguments.max_receive_message_length = -1  # a whole registry is one answer
    files = {"ca": "custom_ca", "cert": "server_cert", "key": "client_key"}
    given = {name: field for name, field in files.items() if name in address.options}
    if flag(address, "tls", default=False) or given:
        config.ssl_config.SetInParent()
    for name, field in given.items():
        setattr(config.ssl_config, field, _text(address.options[name]))
    return config


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(f"{path} cannot be read as a PEM file: {exc}") from exc


def _why(exc: status.StatusError) -> str:
    if isinstance(exc, (status.UnavailableError, status.DeadlineExceededError)):
        return f"does not answer as a metadata store: {first_line(exc)}"
    if isinstance(exc, (status.UnauthenticatedError, status.PermissionDeniedError)):
        return f"refuses the token, which {TOKEN} holds: {first_line(exc)}"
    return f"is no metadata store: {first_line(exc)}"
