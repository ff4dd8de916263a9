"""Deployments in MLMD: artifacts made of a model, with ``endpoint`` and ``active``, whoever wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.core.uses import DEPLOYMENT, served_by
from jukebox.errors import NotRegistered
from jukebox.stores.mlmd.kinds import set_texts, text_of
from jukebox.stores.mlmd.lineage import MlmdLineage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.mlmd.library import pb


def end(store: Store, model: str, endpoint: str) -> None:
    """Make a model serve at an endpoint no longer; raises NotRegistered where it does not."""
    found = [each for each in _deployments(store, model, endpoint) if text_of(each, "active").lower() == "true"]
    if not found:
        active = [a for a in store.call("get_artifacts_by_type", DEPLOYMENT) if text_of(a, "active").lower() == "true"]
        known = ", ".join(sorted({text_of(each, "endpoint") for each in active})[:5]) or "none"
        raise NotRegistered(f"the model at '{model}' does not serve at '{endpoint}'; models serve at: {known}")
    _set(store, found, active=False)


def resume(store: Store, model: str, endpoint: str) -> bool:
    """Make a recorded deployment active; return whether there is one."""
    found = _deployments(store, model, endpoint)[-1:]
    _set(store, found, active=True)
    return bool(found)


def _deployments(store: Store, model: str, endpoint: str) -> Sequence[pb.Artifact]:
    source = MlmdLineage(store)
    models = {node.id for node in source.nodes_at(model)}
    artifacts = sorted(store.call("get_artifacts_by_type", DEPLOYMENT), key=lambda artifact: artifact.id)
    of_endpoint = {artifact.id: artifact for artifact in artifacts if text_of(artifact, "endpoint") == endpoint}
    nodes = source.artifacts(list(of_endpoint))
    kept = {node.id for node in nodes if not models.isdisjoint(each.id for each in served_by(source, node))}
    return [artifact for i, artifact in of_endpoint.items() if i in kept]


def _set(store: Store, deployments: Sequence[pb.Artifact], *, active: bool) -> None:
    changed = [each for each in deployments if (text_of(each, "active").lower() == "true") is not active]
    for artifact in changed:
        set_texts(artifact, {"active": str(active).lower()})
    if changed:
        store.call("put_artifacts", changed)
