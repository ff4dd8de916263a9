"""Placing features in the MLMD contexts of their family, their entity and their data endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.stores.mlmd.kinds import ENDPOINT, ENTITY, FAMILY, context_type, node_name
from jukebox.stores.mlmd.library import pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.nouns import RegisteredFeature

_PLACES: dict[str, Callable[[RegisteredFeature], str]] = {
    FAMILY: lambda registered: registered.name.family,
    ENTITY: lambda registered: registered.name.entity,
    ENDPOINT: lambda registered: registered.feature.endpoint.name,
}


def place(store: Store, features: Mapping[int, RegisteredFeature]) -> None:
    """Attribute feature artifacts, by id, to their contexts; those that are there already stay."""
    ties: list[pb.Attribution] = []
    for kind, of in _PLACES.items():
        contexts = _contexts(store, kind, {node_name(of(registered)) for registered in features.values()})
        ties += [
            pb.Attribution(context_id=contexts[node_name(of(registered))], artifact_id=artifact)
            for artifact, registered in features.items()
        ]
    store.call("put_attributions_and_associations", ties, [])


def _contexts(store: Store, kind: str, names: set[str]) -> dict[str, int]:
    type_id = context_type(store, kind)

    def attempt() -> dict[str, int]:
        found = {context.name: context.id for context in store.call("get_contexts_by_type", kind)}
        missing = sorted(names - found.keys())
        made = store.call("put_contexts", [pb.Context(type_id=type_id, name=name) for name in missing])
        return found | dict(zip(missing, made, strict=True))

    return store.unmet(attempt)
