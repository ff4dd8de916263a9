"""MLMD's own gRPC service over a store of ours, for MetadataStoreClientConfig clients and for ``mlmd+grpc://``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc

from jukebox.stores.mlmd.library import service_pb, status
from jukebox.stores.mlmd.statuses import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.mlmd.library import MetadataStore

NAME = service_pb.DESCRIPTOR.services_by_name["MetadataStoreService"].full_name
_METHODS = tuple(method.name for method in service_pb.DESCRIPTOR.services_by_name["MetadataStoreService"].methods)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# gRPC carries an error's text among the headers, which 8 kB may hold: a whole refused artifact would not come through.
_LONGEST = 1000


class Service:
    """Answers MLMD's requests from one store, one after the other.

    ml_metadata holds Python's lock during a call, so that more stores would be no faster.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._turn = store, threading.Lock()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the handlers of all methods of the service."""
        return grpc.method_handlers_generic_handler(NAME, {method: self._handler(method) for method in _METHODS})

    def answers(self) -> bool:
        """Return whether the store answers; opens a lost connection again."""
        request = service_pb.GetArtifactTypesByIDRequest()
        try:
            self._exchange("GetArtifactTypesByID", request, service_pb.GetArtifactTypesByIDResponse(), lambda: True)
        except (OSError, status.StatusError):
            return False
        return True

    def _handler(self, method: str) -> grpc.RpcMethodHandler:
        response_of = getattr(service_pb, f"{method}Response")

        def answer(request: Message, context: grpc.ServicerContext) -> Message:
            response: Message = response_of()
            try:
                self._exchange(method, request, response, context.is_active)
            except status.StatusError as exc:
                context.abort(_CODES[exc.error_code], str(exc)[:_LONGEST])
            except OSError as exc:
                context.abort(grpc.StatusCode.UNAVAILABLE, first_line(exc)[:_LONGEST])
            except NotImplementedError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not in this release of ml-metadata")
            return response

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=getattr(service_pb, f"{method}Request").FromString,
            response_serializer=response_of.SerializeToString,
        )

    def _exchange(self, method: str, request: Any, response: Any, is_awaited: Callable[[], bool]) -> None:
        exchange = _OF_SEVERAL.get(method, _exchange)
        with self._turn:
            # Who gave up while waiting for a turn takes the write for not done.
            if is_awaited():
                self._store.once(lambda raw: exchange(raw, method, request, response))


def _exchange(raw: MetadataStore, method: str, request: Any, response: Any) -> None:
    """Fill ``response`` from the store; raises MLMD's errors, and NotImplementedError for a method it has not."""
    try:
        raw._call_method(method, request, response)  # noqa: SLF001 - what its public methods call, messages in and out
    except AttributeError as exc:
        raise NotImplementedError(method) from exc


def _parents_of_several(raw: MetadataStore, _: str, request: Any, response: Any) -> None:
    for context in request.context_ids:
        found = service_pb.GetParentContextsByContextResponse()
        one = service_pb.GetParentContextsByContextRequest(context_id=context)
        _exchange(raw, "GetParentContextsByContext", one, found)
        response.contexts[context].parent_contexts.extend(found.contexts)


def _children_of_several(raw: MetadataStore, _: str, request: Any, response: Any) -> None:
    for context in request.context_ids:
        found = service_pb.GetChildrenContextsByContextResponse()
        one = service_pb.GetChildrenContextsByContextRequest(context_id=context)
        _exchange(raw, "GetChildrenContextsByContext", one, found)
        response.contexts[context].children_contexts.extend(found.contexts)


# The Python library leaves these out; MLMD's own server has them.
_OF_SEVERAL = {
    "GetParentContextsByContexts": _parents_of_several,
    "GetChildrenContextsByContexts": _children_of_several,
}
