"""A lineage written as OpenLineage events, one a line: what other catalogues read, and ``openlineage://`` reads back.

Facets are the standard ones where there are such (jobType, processing_engine, datasetType, version), and beside them
two of our own, with what MLMD knows of a run and of an artifact: its type, name, URI, state and properties.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING, Any

from jukebox.core.lineage import FEATURE, MODELS
from jukebox.stores.openlineage import ARTIFACT, RUN
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jukebox.core.lineage_nodes import LineageSource, Node, NodeId

_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
_FACETS = "https://openlineage.io/spec/facets"
_ENDS = {"FAILED": "FAIL", "CANCELED": "ABORT", "COMPLETE": "COMPLETE", "CACHED": "COMPLETE", "UNKNOWN": "COMPLETE"}
_UNDER_WAY = frozenset({"NEW", "RUNNING"})
_BATCH = 1_000


def write(source: LineageSource, path: str | Path, *, origin: str) -> int:
    """Make ``path`` hold all runs of a lineage, whole or not at all; return how many.

    ``origin`` is the URI of the source, without secrets: it keeps the runs of one store apart from another's. Raises
    StorageError.
    """
    runs = 0
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for run, inputs, outputs in _runs(source):
            runs += 1
            for event in events_of(run, inputs, outputs, origin=origin):
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
    return runs


def events_of(run: Node, inputs: Sequence[Node], outputs: Sequence[Node], *, origin: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a run: its start, and its end where it has come to one."""
    at = datetime.now(timezone.utc) if run.at is None else datetime.fromtimestamp(run.at / 1e3, timezone.utc)
    whole = {
        "eventTime": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "producer": _producer(),
        "schemaURL": f"{_SPEC}/RunEvent",
        "run": {"runId": _run_id(run.id, origin), "facets": _run_facets(run)},
        "job": {"namespace": "jukebox", "name": run.type or "run", "facets": _job_facets()},
        "inputs": [_dataset(node, origin) for node in inputs],
        "outputs": [_dataset(node, origin) for node in outputs],
    }
    yield {"eventType": "START", **whole}
    if run.state not in _UNDER_WAY:
        yield {"eventType": _ENDS.get(run.state, "COMPLETE"), **whole}


def _runs(source: LineageSource) -> Iterator[tuple[Node, list[Node], list[Node]]]:
    ids = list(source.census().executions)
    for first in range(0, len(ids), _BATCH):
        batch = ids[first : first + _BATCH]
        events = source.events_of_executions(batch)
        artifacts = {n.id: n for n in source.artifacts(list(dict.fromkeys(event.artifact for event in events)))}
        ends: dict[tuple[NodeId, bool], dict[NodeId, Node]] = {}
        for event in events:
            if event.artifact in artifacts:
                ends.setdefault((event.execution, event.output), {})[event.artifact] = artifacts[event.artifact]
        for run in source.executions(batch):
            yield run, list(ends.get((run.id, False), {}).values()), list(ends.get((run.id, True), {}).values())


def _dataset(node: Node, origin: str) -> dict[str, Any]:
    namespace, name = name_of(node)
    told = dict(node.properties)
    own = {"id": f"{origin} {node.id}", "type": node.type, "name": node.name, "uri": node.uri, "state": node.state}
    facets = {ARTIFACT: {**_facet(f"{_SPEC}/DatasetFacet"), **own, "properties": told}}
    if node.type in MODELS:
        model = {"datasetType": "MODEL"}
        facets["datasetType"] = {**_facet(f"{_FACETS}/1-0-0/DatasetTypeDatasetFacet.json"), **model}
    if "fingerprint" in told:
        version = {"datasetVersion": told["fingerprint"]}
        facets["version"] = {**_facet(f"{_FACETS}/1-0-0/DatasetVersionDatasetFacet.json"), **version}
    return {"namespace": namespace, "name": name, "facets": facets}


def name_of(node: Node) -> tuple[str, str]:
    """Return the namespace and the name of an artifact, after OpenLineage's rules of naming: by where it lies."""
    if node.type == FEATURE or not node.uri:
        return "jukebox", node.name or f"{node.type}/{node.id}"
    scheme, separator, rest = node.uri.partition("://")
    if not separator:
        return "file", node.uri
    authority, slash, path = rest.partition("/")
    return (f"{scheme}://{authority}", path) if slash and path else (scheme, rest or node.uri)


def _run_id(run: NodeId, origin: str) -> str:
    try:
        return str(uuid.UUID(str(run)))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{origin} {run}"))


def _run_facets(run: Node) -> dict[str, Any]:
    own = {"type": run.type, "name": run.name, "state": run.state, "properties": dict(run.properties)}
    engine = {"name": "jukebox", "version": metadata.version("jukebox")}
    return {
        RUN: {**_facet(f"{_SPEC}/RunFacet"), **own},
        "processing_engine": {**_facet(f"{_FACETS}/1-1-0/ProcessingEngineRunFacet.json"), **engine},
    }


def _job_facets() -> dict[str, Any]:
    kind = {"processingType": "BATCH", "integration": "JUKEBOX", "jobType": "TASK"}
    return {"jobType": {**_facet(f"{_FACETS}/2-0-3/JobTypeJobFacet.json"), **kind}}


def _facet(schema: str) -> dict[str, str]:
    return {"_producer": _producer(), "_schemaURL": schema}


def _producer() -> str:
    return f"urn:jukebox:{metadata.version('jukebox')}"
