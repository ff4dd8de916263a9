"""The one place that talks to Bigtable: raw stubs on the client library's channel, so that rows cost no objects."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jukebox.errors import NotRegistered, StorageError, TimedOut, importing, reason

with importing("google-cloud-bigtable", "bigtable"):
    import grpc
    from google.api_core.exceptions import GoogleAPICallError
    from google.api_core.gapic_v1 import client_info, routing_header
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.bigtable_v2.services.bigtable.transports import BigtableGrpcTransport
    from google.cloud.bigtable_v2.types import bigtable as messages

__all__ = ["CheckAndMutateRow", "Connection", "MutateRows", "ReadRows", "grpc", "translated"]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jukebox.stores.bigtable.places import Place

# Protobuf's own classes: the library's wrap each message in an object, at ten times the cost.
MutateRows: Any = messages.MutateRowsRequest.pb()
ReadRows: Any = messages.ReadRowsRequest.pb()
CheckAndMutateRow: Any = messages.CheckAndMutateRowRequest.pb()
_ANSWERS = {
    "MutateRows": (MutateRows, messages.MutateRowsResponse.pb()),
    "ReadRows": (ReadRows, messages.ReadRowsResponse.pb()),
    "CheckAndMutateRow": (CheckAndMutateRow, messages.CheckAndMutateRowResponse.pb()),
}
EMULATOR = "BIGTABLE_EMULATOR_HOST"
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # The thread that reads a stream waits for it itself: no other has to be woken for every message.
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
]
_CLIENT = client_info.ClientInfo(client_library_version="jukebox").to_grpc_metadata()


class Connection:
    """Channels to one Bigtable table, opened when first used, and again after a fork."""

    def __init__(self, place: Place, interceptors: Sequence[Any] = ()) -> None:
        self.place, self._interceptors = place, tuple(interceptors)
        self._lock = threading.Lock()
        self._channel: Any = None
        self._stubs: dict[str, Any] = {}
        self._process = 0
        names = [("table_name", place.path), ("app_profile_id", place.app_profile)]
        self._metadata = [routing_header.to_grpc_metadata(names), _CLIENT]

    def call(self, method: str, request: Any, timeout: float | None) -> Any:
        """Start a call and return it: a stream of answers, or for CheckAndMutateRow the answer.

        Raises gRPC's errors, and StorageError where another thread closes the connection meanwhile.
        """
        call = self._stub(method)
        try:
            return call(request, timeout=timeout, metadata=self._metadata)
        except ValueError as exc:
            # So gRPC says that a channel is closed.
            raise StorageError(f"the connection to Bigtable was closed: {reason(exc)}") from exc

    def admin(self) -> Any:
        """Return a client for tables; the caller closes nothing."""
        with importing("google-cloud-bigtable", "bigtable"):
            from google.cloud.bigtable_admin_v2 import BigtableTableAdminClient
            from google.cloud.bigtable_admin_v2.services.bigtable_table_admin import transports

        if EMULATOR not in os.environ:
            return BigtableTableAdminClient()
        self._stub("ReadRows")
        return BigtableTableAdminClient(transport=transports.BigtableTableAdminGrpcTransport(channel=self._channel))

    def use(self, channel: Any) -> None:
        """Talk over a channel of the caller's; ``close`` closes it."""
        for method, (request, answer) in _ANSWERS.items():
            kind = channel.unary_unary if method == "CheckAndMutateRow" else channel.unary_stream
            self._stubs[method] = kind(
                f"/google.bigtable.v2.Bigtable/{method}",
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )
        self._channel, self._process = channel, os.getpid()

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        with self._lock:
            if self._channel is not None and self._process == os.getpid():
                self._channel.close()
            self._channel, self._stubs = None, {}

    def _stub(self, method: str) -> Any:
        stubs = self._stubs
        if method not in stubs or self._process != os.getpid():
            with self._lock:
                if method not in self._stubs or self._process != os.getpid():
                    self._open()
                stubs = self._stubs
        return stubs[method]

    def _open(self) -> None:
        host = os.environ.get(EMULATOR)
        if host is not None:
            channel = grpc.insecure_channel(host, options=_OPTIONS)
        else:
            channel = BigtableGrpcTransport.create_channel(options=_OPTIONS)
        self.use(grpc.intercept_channel(channel, *self._interceptors))


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turn what gRPC and the client library raise into NotRegistered, TimedOut and StorageError."""
    try:
        yield
    except grpc.RpcError as exc:
        raise _error(place, exc.code().name, exc.details()) from exc
    except GoogleAPICallError as exc:
        code = exc.grpc_status_code
        raise _error(place, "UNKNOWN" if code is None else code.name, exc.message) from exc
    except GoogleAuthError as exc:
        raise StorageError(f"{place} cannot be used: {reason(exc)}") from exc


def _error(place: Place, code: str, details: str | None) -> Exception:
    if code == "NOT_FOUND":
        return NotRegistered(f"{place} is not there: {details}; `jukebox load-online` makes it")
    if code == "DEADLINE_EXCEEDED":
        return TimedOut(f"{place} did not answer in time")
    return StorageError(f"{place} cannot be used: {code}: {details}")
