"""Lineage as OpenLineage tells it, ``openlineage://events.jsonl``: one event a line, by whomever it was written.

Written after the public specification of run events, version 2-0-2 (openlineage.io). The events of one run are taken
together: its inputs and outputs are those of all of them, and its state is what the last one says.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukebox.core.lineage_nodes import Event, Node
from jukebox.errors import InvalidFile, InvalidValue, StorageError, reason
from jukebox.stores.on_disk import OnDisk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import jsonschema

SCHEME = "openlineage://"
ARTIFACT, RUN = "jukebox_artifact", "jukebox_run"  # our own facets: what MLMD knows and the standard ones do not
_STATES = {"COMPLETE": "COMPLETE", "FAIL": "FAILED", "ABORT": "CANCELED", "START": "RUNNING", "RUNNING": "RUNNING"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OVER = frozenset({"COMPLETE", "FAIL", "ABORT"})
_MODEL = "MODEL"
_SHOWN = 20  # faults of one file


def open_lineage(uri: str) -> OnDisk:
    """Return the lineage of the events in a file, or in all ``*.jsonl``, ``*.ndjson`` and ``*.json`` of a folder.

    Raises InvalidValue for a URI without a path, StorageError where nothing is there, and InvalidFile with the line
    of each event that breaks the specification.
    """
    path = Path(uri.removeprefix(SCHEME))
    if str(path) in ("", "."):
        raise InvalidValue(f"'{uri}' names no file; it is written {SCHEME}events.jsonl")
    held = OnDisk(uri)
    for file in _files(path):
        for event in _events(file):
            _take(held, event)
    return held


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in {".jsonl", ".ndjson", ".json"})
    if not found:
        raise StorageError(f"there are no events in {path}; a file of them ends in .jsonl, .ndjson or .json")
    return found


def _events(file: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # names may hold other ends of lines
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(f"{file} cannot be read: {reason(exc)}") from exc
    faults, events = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                event = json.loads(line)
            except ValueError as exc:
                faults.append(f"line {number}: no JSON: {exc}")
                continue
            found = sorted(_validator().iter_errors(event), key=lambda error: error.json_path)
            faults += [f"line {number}: {error.json_path.removeprefix('$.')}: {error.message[:200]}" for error in found]
            events.append(event)
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise InvalidFile(str(file), [*faults[:_SHOWN], *more])
    yield from events


@cache
def _validator() -> jsonschema.protocols.Validator:
    import jsonschema

    schema = json.loads(resources.files("jukebox.stores").joinpath("openlineage.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


def _take(held: OnDisk, event: dict[str, Any]) -> None:
    if "run" not in event:
        return  # events of jobs and data sets alone tell of no run
    run = _run(held, event)
    for side, output in (("inputs", False), ("outputs", True)):
        for dataset in event.get(side, ()):
            node = _artifact(dataset)
            there = held.artifacts([node.id])
            # Of several events about one artifact, the one that says most of it counts.
            if not there or len(node.properties) >= len(there[0].properties):
                held.add(node)
            held.tie(Event(node.id, run.id, output))


def _run(held: OnDisk, event: dict[str, Any]) -> Node:
    run_id, at = str(event["run"]["runId"]), _milliseconds(event["eventTime"])
    own = event["run"].get("facets", {}).get(RUN, {})
    there = held.executions([run_id])
    state = own.get("state", _STATES.get(event.get("eventType", ""), ""))
    told = event.get("eventType") in _OVER or not there
    if there and not told:
        return there[0]
    name = f"{event['job']['namespace']}/{event['job']['name']}"
    kind, properties = own.get("type", event["job"]["name"]), _texts(own.get("properties"))
    node = Node("execution", run_id, kind, own.get("name", name), "", state, properties, at)
    held.add(node)
    return node


def _artifact(dataset: dict[str, Any]) -> Node:
    facets = dataset.get("facets", {})
    own = facets.get(ARTIFACT, {})
    namespace, name = dataset["namespace"], dataset["name"]
    model = facets.get("datasetType", {}).get("datasetType", "").upper() == _MODEL
    version = facets.get("version", {}).get("datasetVersion")
    told = own.get("properties", {} if version is None else {"version": version})
    return Node(
        "artifact",
        own.get("id", f"{namespace} {name}"),
        own.get("type", "Model" if model else "Dataset"),
        own.get("name", name),
        own["uri"] if "uri" in own else uri_of(namespace, name),
        own.get("state", "LIVE"),
        _texts(told),
    )


def uri_of(namespace: str, name: str) -> str:
    """Return the URI of a data set, after OpenLineage's rules of naming: a file's name is its path.

    >>> uri_of("file", "/data/set"), uri_of("gs://bucket", "set"), uri_of("s3://bucket", "/set")
    ('/data/set', 'gs://bucket/set', 's3://bucket/set')
    """
    if namespace == "file":
        return name
    return f"{namespace.rstrip('/')}/{name.lstrip('/')}"


def _texts(properties: Any) -> tuple[tuple[str, str], ...]:
    given: Iterable[tuple[str, Any]] = (properties or {}).items()
    return tuple(sorted((str(key), str(value)) for key, value in given))


def _milliseconds(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None  # Python before 3.11 reads fewer spellings of a time than the specification allows
    # By integers: 32.035 seconds, as a float, are 32,034 whole milliseconds.
    return ((time if time.tzinfo is not None else time.astimezone()) - _EPOCH) // timedelta(milliseconds=1)
