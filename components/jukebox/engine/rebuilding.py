"""This day was wrong: what has to be made again, in which order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.core.lineage import VERDICTS, downstream
from jukebox.core.lineage_memory import Memory
from jukebox.core.lineage_merged import Merged
from jukebox.core.uses import uses
from jukebox.errors import CorruptData, InvalidValue, NotRegistered, StorageError
from jukebox.stores import place
from jukebox.stores.manifests import lineage_of
from jukebox.tables import Manifest, partition_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from jukebox.core.lineage_nodes import Graph, LineageSource, Node

TABLE = "jukebox.FeatureTable"
# A table is described anew when a partition is; whoever read its other partitions has nothing to do with this one.
_CLOSED = VERDICTS | {TABLE}


@dataclass(frozen=True)
class Step:
    """An artifact to make again, what made it, and how many steps have to be done before."""

    artifact: Node
    run: Node
    after: int


@dataclass(frozen=True)
class Rebuild:
    """What partitions touched: ``steps`` in an order in which they can be done, ``deployed`` the models that serve.

    ``unsure`` are artifacts made of the table whose manifests cannot be read; they and what was made of them are
    among the steps.
    """

    graph: Graph
    steps: tuple[Step, ...]
    deployed: tuple[Node, ...]
    unsure: tuple[Node, ...] = ()


def rebuild(source: LineageSource, table: str, days: Iterable[date]) -> Rebuild:
    """Return what was made of the partitions of a feature table for some days, and is wrong if they were.

    The store knows who read the table, and the manifests of what they made name the partitions. Raises InvalidValue
    for no day, and NotRegistered for a table that nobody has recorded.
    """
    folders = [place(str(partition_folder(table, day))) for day in days]
    if not folders:
        raise InvalidValue("a rebuild names at least one day")
    made = _made_of(source, source.nodes_at(table))
    read = {node.key: manifest for node in made if (manifest := _manifest(node.uri)) is not None}
    held = lineage_of("the manifests", [*read.values(), *filter(None, map(_manifest, folders))])
    unsure = tuple(node for node in made if node.key not in read and not _names_partitions(source, node))
    both = Merged(source, held)
    starts = [node for folder in folders for node in _at(both, folder)]
    starts += [node for each in unsure for node in both.nodes_at(each.uri)]
    graph = downstream(both, *starts, closed=_CLOSED)
    return Rebuild(graph, tuple(_steps(graph)), uses(graph).deployed, unsure)


def _made_of(source: LineageSource, tables: Sequence[Node]) -> list[Node]:
    memory = Memory(source, tables)
    users = memory.consumers([node.id for node in tables])
    made = memory.outputs(list(dict.fromkeys(run for runs in users.values() for run in runs)))
    return list({node.key: node for nodes in made.values() for node in nodes if node.uri}.values())


def _names_partitions(source: LineageSource, node: Node) -> bool:
    """Whether the source itself says which partitions an artifact was made of."""
    memory = Memory(source, [node])
    read = memory.inputs(memory.producers([node.id])[node.id])
    return any(each.type == "jukebox.Partition" for nodes in read.values() for each in nodes)


def _at(source: LineageSource, uri: str) -> Sequence[Node]:
    try:
        return source.nodes_at(uri)
    except NotRegistered:
        return ()


def _manifest(uri: str) -> Manifest | None:
    try:
        return Manifest.read(uri) if Path(uri).is_dir() else None
    except (StorageError, CorruptData):
        return None


def _steps(graph: Graph) -> Iterable[Step]:
    """Yield what was made, each after all that it was made of; runs of a cycle come as they were met."""
    makers = {made.key: (run, made) for run, made in graph.edges if run.kind == "execution"}
    read: dict[object, list[Node]] = defaultdict(list)
    for artifact, run in graph.edges:
        if run.kind == "execution":
            read[run.key].append(artifact)
    depth: dict[object, int] = {start.key: 0 for start in graph.starts}
    for _ in range(len(makers) + 1):
        deeper: dict[object, int] = {
            key: max((depth.get(each.key, 0) for each in read[run.key]), default=0) + 1
            for key, (run, _) in makers.items()
        }
        if deeper == {key: depth.get(key) for key in deeper} or max(deeper.values(), default=0) > len(makers):
            break
        depth.update(deeper)
    for key, (run, made) in sorted(makers.items(), key=lambda each: depth.get(each[0], 0)):
        yield Step(made, run, depth.get(key, 0))
