"""Writing runs into MLMD: executions with their events, in one transaction, beside what TFX writes of itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from jukebox.stores.mlmd.kinds import artifact_type, execution_type, set_texts, storable
from jukebox.stores.mlmd.library import pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.nouns import Recorded

_Edge: TypeAlias = tuple[int, int | None, pb.Event]  # as put_lineage_subgraph wants them: by index, or by id

_UNDER_WAY = (pb.Execution.NEW, pb.Execution.RUNNING)
# No channels of a component are called so.
_FEATURES, _MADE = "registered_features", "recorded_outputs"


@dataclass(frozen=True)
class Named:
    """The feature artifacts that a run names, by id: those that it reads, and those that it makes."""

    reads: Sequence[int]
    makes: Sequence[int]


def running(store: Store, execution: str | None) -> int | None:
    """Return the id of the orchestrator's execution, if this store has it, under way and of a Jukebox component."""
    if execution is None or not (execution.isascii() and execution.isdigit()):
        return None
    found = store.call("get_executions_by_id", [int(execution)])
    if not found or found[0].last_known_state not in _UNDER_WAY:
        return None
    (kind,) = store.call("get_execution_types_by_id", [found[0].type_id])
    return int(found[0].id) if kind.name.startswith("jukebox.") else None


def tie(store: Store, execution: int, named: Named, made: Sequence[Recorded] = ()) -> None:
    """Tie features, and what was ``made`` elsewhere, to an execution that another writes; again without effect."""
    # TFX takes each OUTPUT of an execution for a folder that must exist before it reuses the execution's results.
    events = _events(named, made=pb.Event.DECLARED_OUTPUT)
    ids = dict.fromkeys(_there(store, each) for each in made)
    events += [_event(pb.Event.DECLARED_OUTPUT, _MADE, at, artifact) for at, artifact in enumerate(ids)]
    for event in events:
        event.execution_id = execution
    there = {(e.artifact_id, e.type) for e in store.call("get_events_by_execution_ids", [execution])}
    missing = [event for event in events if (event.artifact_id, event.type) not in there]
    if missing:
        store.call("put_events", missing)


def write(
    store: Store,
    component: str,
    named: Named,
    *,
    inputs: Sequence[Recorded],
    outputs: Sequence[Recorded],
    made: Sequence[Recorded] = (),
) -> None:
    """Write a run that is over as an execution of our own, with its artifacts and events, in one transaction.

    What was ``made`` elsewhere is the artifact that is there at its URI, of whatever type.
    """
    kind = execution_type(store, f"jukebox.{component}")
    run = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)

    def attempt() -> None:
        artifacts: dict[str, pb.Artifact] = {}
        edges: list[_Edge] = [(0, None, event) for event in _events(named, made=pb.Event.OUTPUT)]
        edges += _edges(store, inputs, artifacts, pb.Event.INPUT, "inputs")
        edges += _edges(store, outputs, artifacts, pb.Event.OUTPUT, "outputs")
        edges += _edges(store, made, artifacts, pb.Event.OUTPUT, _MADE)
        store.call("put_lineage_subgraph", [run], list(artifacts.values()), [], edges)

    store.unmet(attempt)


def _events(named: Named, *, made: int) -> list[pb.Event]:
    pairs = [(pb.Event.INPUT, named.reads), (made, named.makes)]
    listed = [(kind, i, each) for kind, ids in pairs for i, each in enumerate(dict.fromkeys(ids))]
    return [_event(kind, _FEATURES, i, artifact) for kind, i, artifact in listed]


def _edges(
    store: Store, recorded: Sequence[Recorded], new: dict[str, pb.Artifact], kind: int, path: str
) -> list[_Edge]:
    edges: dict[object, _Edge] = {}
    for each in recorded:
        there = _known(store, each, of_any_type=path != "outputs")
        if there is not None:
            edges[there] = (0, None, _event(kind, path, len(edges), there))
            continue
        identity = _identity(each)
        if identity not in new:
            new[identity] = _artifact(store, each, identity)
        edges[identity] = (0, list(new).index(identity), _event(kind, path, len(edges)))
    return list(edges.values())


def _there(store: Store, recorded: Recorded) -> int:
    """Return the artifact at the URI, of whatever type, which is made where there is none."""

    def attempt() -> int:
        known = _known(store, recorded, of_any_type=True)
        if known is None:
            (known,) = store.call("put_artifacts", [_artifact(store, recorded, _identity(recorded))])
        return int(known)

    return store.unmet(attempt)


def _known(store: Store, recorded: Recorded, *, of_any_type: bool) -> int | None:
    """Return the artifact at the URI: of the same type, or for an input of any, the newest."""
    found = sorted(store.call("get_artifacts_by_uri", recorded.uri), key=lambda artifact: artifact.id)
    types = store.call("get_artifact_types_by_id", sorted({artifact.type_id for artifact in found}))
    same = {kind.id for kind in types if kind.name == recorded.type}
    fitting = [artifact.id for artifact in found if artifact.type_id in same]
    fitting = fitting or [artifact.id for artifact in found if of_any_type]
    return fitting[-1] if fitting else None


def _artifact(store: Store, recorded: Recorded, identity: str) -> pb.Artifact:
    uri = storable("URI", recorded.uri)
    artifact = pb.Artifact(type_id=artifact_type(store, recorded.type), uri=uri, state=pb.Artifact.LIVE)
    artifact.external_id = identity
    name = {"name": recorded.name} if recorded.name else {}
    set_texts(artifact, {**name, **dict(recorded.properties)})
    return artifact


def _identity(recorded: Recorded) -> str:
    # Unique in the whole store: two runs that record one artifact at once cannot both make it.
    return f"jukebox:{hashlib.sha256(f'{recorded.type} {recorded.uri}'.encode()).hexdigest()}"


def _event(kind: int, path: str, index: int, artifact: int | None = None) -> pb.Event:
    event = pb.Event(type=kind, artifact_id=artifact)
    event.path.steps.add().key = path
    event.path.steps.add().index = index
    return event
