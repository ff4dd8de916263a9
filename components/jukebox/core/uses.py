"""What was made of features: training sets, models, online tables, and which of the models serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.core.lineage import MODELS, downstream
from jukebox.core.lineage_memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.core.lineage_nodes import Graph, LineageSource, Neighbours, Node

DEPLOYMENT = "jukebox.Deployment"  # an artifact with the properties `endpoint` and `active`, made of a model
ONLINE_TABLE = "jukebox.OnlineTable"
# The components that make training sets; a face's run has a type that begins so.
JOINS = ("jukebox.point_in_time_join", "jukebox.log_training_set")
ONLINE_LOAD = "jukebox.online_load"
EXAMPLES = frozenset({"Examples", "jukebox.TrainingSet", "system.Dataset"})


@dataclass(frozen=True)
class Uses:
    """What lies downstream of features; ``deployed`` are the models that a deployment serves now."""

    training_sets: tuple[Node, ...] = ()
    models: tuple[Node, ...] = ()
    online_tables: tuple[Node, ...] = ()
    deployed: tuple[Node, ...] = ()


def uses_of(source: LineageSource, feature: str) -> Uses:
    """Return what was made of a feature, of all its versions or of one, ``…@2``; raises UnknownFeature."""
    return uses(downstream(source, *source.feature_nodes(feature)))


def uses(graph: Graph) -> Uses:
    """Return the uses that a walk downstream met, each once, in the order of their discovery."""
    return Uses(
        training_sets=_once(after for before, after in graph.edges if _joined(before, after)),
        models=graph.artifacts(MODELS),
        online_tables=graph.artifacts({ONLINE_TABLE}),
        deployed=_deployed(graph),
    )


def is_active(deployment: Node) -> bool:
    """Whether a deployment serves now."""
    return dict(deployment.properties).get("active", "").lower() == "true"


def served_by(source: Neighbours, deployment: Node) -> tuple[Node, ...]:
    """Return the models that a deployment was made of."""
    memory = Memory(source, [deployment])
    runs = memory.producers([deployment.id])[deployment.id]
    read = memory.inputs(runs)
    return _once(node for run in runs for node in read[run] if node.type in MODELS)


def _joined(run: Node, made: Node) -> bool:
    # TFX's Transform makes Examples too, and these are no training set of ours.
    return run.kind == "execution" and run.type.startswith(JOINS) and made.type in EXAMPLES


def _deployed(graph: Graph) -> tuple[Node, ...]:
    runs = {run.key for run, made in graph.edges if made.type == DEPLOYMENT and is_active(made)}
    return _once(model for model, run in graph.edges if run.key in runs and model.type in MODELS)


def _once(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple({node.key: node for node in nodes}.values())
