"""A gRPC server of a metadata store: where it listens, who may ask, how its health is told and how it stops."""

from __future__ import annotations

import hmac
import os
import signal
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from jukebox.errors import InvalidValue, MissingDependency, StorageError
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.mlmd.remote import is_loopback
from jukebox.stores.mlmd.serving import NAME, Service

try:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
except ImportError as exc:
    raise MissingDependency.of("grpcio-health-checking", "mlmd") from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRACE = 10.0  # seconds that calls under way have when the server stops
_THREADS = 16
_HEALTH = f"/{health.SERVICE_NAME}/"
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # else a second server on the port would take half of the calls
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True)
class Guard:
    """Who may ask: ``cert`` and ``key`` are PEM files for TLS, ``client_ca`` lets in the clients that it signed.

    ``token`` is what a client must show. MetadataStoreClientConfig has no field for a token but has one for a
    client's certificate.
    """

    cert: str | None = None
    key: str | None = None
    client_ca: str | None = None
    token: str | None = field(default=None, repr=False)


@contextmanager
def serving(uri: str, *, host: str, port: int, guard: Guard) -> Iterator[str]:
    """Serve the store at ``uri`` for as long as the context lasts; yields the address, ``127.0.0.1:8080``.

    Port 0 is a free one. In the end calls under way have GRACE seconds. Raises InvalidValue for a guard that does not
    hold, and StorageError for a store that cannot be opened or an address that is taken.
    """
    credentials = _credentials(guard, host)
    service = Service(connect(uri, create=True))
    interceptors = [] if guard.token is None else [_Doorman(guard.token)]
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), interceptors=interceptors, options=_OPTIONS)
    checked = _Health(service)
    health_pb2_grpc.add_HealthServicer_to_server(checked, server)
    server.add_generic_rpc_handlers((service.handlers(),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        listen = server.add_insecure_port if credentials is None else server.add_secure_port
        bound = listen(address, *([] if credentials is None else [credentials]))
    except RuntimeError as exc:
        raise StorageError(f"no server can listen at {address}: it is taken, or not of this machine") from exc
    server.start()
    try:
        yield f"{address.rpartition(':')[0]}:{bound}"
    finally:
        checked.enter_graceful_shutdown()
        server.stop(GRACE).wait()


def until_stopped() -> None:
    """Return once this process is told to stop, by SIGTERM or Ctrl-C; to be called in its main thread."""
    # A pipe, for a handler that runs amid threading's own waiting may meet a lock which that holds; and written by the
    # interpreter itself, for a signal that the kernel gives to another thread would not end the read of this one.
    hearing, telling = os.pipe()
    os.set_blocking(telling, False)
    told = signal.set_wakeup_fd(telling)
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        while os.read(hearing, 1)[0] not in before:
            pass
    finally:
        signal.set_wakeup_fd(told)
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(hearing)
        os.close(telling)


class _Health(health.HealthServicer):  # type: ignore[misc]
    """Tells the health of the store: asked each time, for a database may go while its server stays."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        state = health_pb2.HealthCheckResponse
        for name in (health.OVERALL_HEALTH, NAME):
            self.set(name, state.SERVING if self._service.answers() else state.NOT_SERVING)
        return super().Check(request, context)


class _Doorman(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets in who shows the token; health may be asked by anyone, for probes have none."""

    def __init__(self, token: str) -> None:
        self._due = f"Bearer {token}".encode()

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        shown = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if handler_call_details.method.startswith(_HEALTH) or hmac.compare_digest(str(shown).encode(), self._due):
            return continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_: Any, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "this metadata server wants a token, and this is not it")


def _credentials(guard: Guard, host: str) -> grpc.ServerCredentials | None:
    if (guard.cert is None) != (guard.key is None):
        raise InvalidValue("TLS takes both a certificate and its key")
    if guard.token is not None and not (guard.token.isascii() and guard.token.isprintable() and guard.token.strip()):
        raise InvalidValue("the token is empty, or holds what a header cannot; take printable ASCII")
    if guard.cert is None or guard.key is None:
        if guard.client_ca is not None:
            raise InvalidValue("clients show certificates over TLS alone, which takes a certificate and its key")
        if guard.token is not None and not is_loopback(host):
            raise InvalidValue(f"the token would travel to {host} unencrypted; a certificate and its key make it TLS")
        return None
    authority = None if guard.client_ca is None else _pem(guard.client_ca)
    pair = (_pem(guard.key), _pem(guard.cert))
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _pem(path: str) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError as exc:
        raise StorageError(f"{path} cannot be read: {exc.strerror}") from exc
    if b"-----BEGIN " not in data:
        raise InvalidValue(f"{path} is no PEM file")
    return data
