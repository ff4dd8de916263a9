"""A whole graph without its texts, in arrays: for questions about all features at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jukebox.core.lineage_nodes import NodeId

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Census:
    """All artifacts and executions, and the events between them.

    ``artifacts`` and ``executions`` hold type and state by id. ``events`` has a row for each event: the position of
    its artifact and of its execution among these, and 1 where the execution wrote it.
    """

    artifacts: Mapping[NodeId, tuple[str, str]]
    executions: Mapping[NodeId, tuple[str, str]]
    events: Integers


def taken(
    artifacts: Mapping[NodeId, tuple[str, str]],
    executions: Mapping[NodeId, tuple[str, str]],
    events: Iterable[tuple[NodeId, NodeId, bool]],
) -> Census:
    """Return the census of a graph whose events name ids; one whose artifact or execution is not there is left out."""
    place = {i: at for at, i in enumerate(artifacts)}
    run = {i: at for at, i in enumerate(executions)}
    rows = [(place[a], run[x], output) for a, x, output in events if a in place and x in run]
    return Census(artifacts, executions, np.array(rows, np.int64).reshape(-1, 3))


def taken_sorted(
    artifacts: Mapping[NodeId, tuple[str, str]], executions: Mapping[NodeId, tuple[str, str]], events: Integers
) -> Census:
    """Return the same where all ids are integers that ascend, and ``events`` are rows of them."""
    ids = [np.fromiter(nodes, np.int64, len(nodes)) for nodes in (artifacts, executions)]
    places = [np.searchsorted(known, events[:, column]) for column, known in enumerate(ids)]
    there = np.ones(len(events), np.bool_)
    for column, known in enumerate(ids):
        inside = places[column] < len(known)
        there &= inside
        there[inside] &= known[places[column][inside]] == events[inside, column]
    return Census(artifacts, executions, np.stack([*places, events[:, 2]], axis=1)[there])
