"""The MLMD types that hold the registry, and how a node's facts are written: as text, in custom properties."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue
from jukebox.stores.mlmd.library import pb, status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.stores.mlmd.connection import Store

FEATURE = "jukebox.Feature"
REVISION = "jukebox.FeatureRevision"
REGISTRATION = "jukebox.Registration"
FAMILY = "jukebox.FeatureFamily"
ENTITY = "jukebox.Entity"
ENDPOINT = "jukebox.DataEndpoint"
OFFLINE_SOURCE = "jukebox.OfflineSource"
ONLINE_SOURCE = "jukebox.OnlineSource"
ONLINE_CHANGE = "jukebox.OnlineChange"

# INTERNAL_OUTPUT is no making: TFX's resolvers tie what they chose to themselves with it.
OUTPUTS = frozenset({pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT})
EDGES = OUTPUTS | {pb.Event.INPUT, pb.Event.DECLARED_INPUT}

_LONGEST = 255  # what MLMD's tables hold of a name on a server; MySQL counts bytes


def artifact_type(store: Store, name: str) -> int:
    """Return the id of an artifact type, which is made if it is not there and else left as it is."""
    return _type(store, "artifact", pb.ArtifactType, name)


def execution_type(store: Store, name: str) -> int:
    """Return the id of an execution type, which is made if it is not there and else left as it is."""
    return _type(store, "execution", pb.ExecutionType, name)


def context_type(store: Store, name: str) -> int:
    """Return the id of a context type, which is made if it is not there and else left as it is."""
    return _type(store, "context", pb.ContextType, name)


def node_name(text: str) -> str:
    """Return ``text`` as an MLMD name: whole where it fits, else its beginning and its SHA-256; raises InvalidValue.

    >>> node_name("/airport/temp")
    '/airport/temp'
    >>> len(node_name("x" * 1000))
    255
    """
    data = storable("name", text).encode()
    if len(data) <= _LONGEST:
        return text
    digest = hashlib.sha256(data).hexdigest()
    return f"{data[: _LONGEST - 1 - len(digest)].decode(errors='ignore')}-{digest}"


def storable(what: str, text: str) -> str:
    """Return ``text``; raises InvalidValue, which names ``what`` it is, where MLMD would cut it off without a word."""
    if "\0" in text:
        raise InvalidValue(f"the {what} {text!r} holds a NUL character, at which ML Metadata would cut it off")
    return text


def set_texts(node: Any, texts: Mapping[str, str]) -> None:
    """Make ``texts`` custom properties of an MLMD node; raises InvalidValue for a NUL in one."""
    for key, text in texts.items():
        node.custom_properties[storable("key", key)].string_value = storable(key, text)


def text_of(node: Any, key: str) -> str:
    """Return a custom property that ``set_texts`` wrote."""
    return str(node.custom_properties[key].string_value)


def to_json(value: object) -> str:
    """Return the one JSON text of ``value``: equal values have equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def contexts_of(store: Store, artifact: int) -> Sequence[pb.Context]:
    """Return the contexts that an artifact is attributed to; MLMD itself takes none for an error."""
    try:
        return store.call("get_contexts_by_artifact", artifact)  # type: ignore[no-any-return]
    except status.NotFoundError:
        return ()


def _type(store: Store, node: str, kind: Any, name: str) -> int:
    # MLMD's tables let two writers at a database make a type of one name, but not of one external id.
    identity = node_name(f"jukebox:{node}:{name}")

    def attempt() -> int:
        try:
            found = store.call(f"get_{node}_type", name).id
        except status.NotFoundError:
            found = store.call(f"put_{node}_type", kind(name=name, external_id=identity))
        return int(found)

    return store.unmet(attempt)
