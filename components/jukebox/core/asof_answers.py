"""The end of a pass: each slot's greatest row so far answers its label, unless it is too old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_gather import Places, Sink, places_of, sink_of
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_proof import ColumnProof, Proof, ages_told, newer_unknown
from jukebox.core.asof_slots import EVENT, POSITION
from jukebox.core.asof_times import Age, ages, too_old
from jukebox.core.asof_values import column_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from jukebox.core.asof_pass import Pass, Race
    from jukebox.core.asof_proof import Ages
    from jukebox.core.asof_times import Integers, Mask, Truths


@dataclass(frozen=True)
class Answers:
    """What a race came to: each label's slot of the winner and its position, -1 for none, and by output its limit.

    ``young`` says for each output which labels are answered within its max_age; None where all that have a row are.
    """

    race: Race
    slots: Integers
    positions: Integers
    young: Mapping[str, Mask]
    told: Mapping[str, Ages]
    newer_unknown: int


def answers_of(under_way: Pass, race: Race) -> Answers:
    """Return the answers of a race that is over."""
    labels, asked = under_way.labels, under_way.asked
    chosen = np.full(len(labels), NONE)
    chosen[under_way.slots.rows] = under_way.slots.answers(race.winners)
    known = chosen != NONE
    rows = np.flatnonzero(known)
    event = race.winners[chosen[rows], EVENT]
    age = ages(labels.times[rows], event, labels.clock, under_way.event_clock)
    young: dict[str, Mask] = {}
    told: dict[str, Ages] = {}
    limits = dict.fromkeys(asked.limit(output) for output in race.outputs)
    for limit in limits:
        fresh = None if limit is None else ~too_old(age, limit)
        mask = None if fresh is None or fresh.all() else _spread(rows, fresh, len(labels))
        outputs = [output for output in race.outputs if asked.limit(output) == limit]
        young.update(dict.fromkeys(outputs, mask))
        if under_way.rules.proof is not None:
            used = age if mask is None or fresh is None else Age(age.seconds[fresh], age.nanoseconds[fresh])
            told.update(dict.fromkeys(outputs, ages_told(used)))
    positions = np.full(len(labels), NONE)
    positions[rows] = race.winners[chosen[rows], POSITION]
    return Answers(race, chosen, positions, young, told, _newer(under_way, race, known, rows, event))


def _spread(rows: Integers, fresh: Truths, labels: int) -> Truths:
    mask = np.zeros(labels, np.bool_)
    mask[rows[fresh]] = True
    return mask


def _newer(under_way: Pass, race: Race, known: Truths, rows: Integers, event: Integers) -> int:
    if under_way.examined is None or race.hidden is None:
        return 0
    events = np.zeros(len(known), np.int64)
    events[rows] = event
    return newer_unknown(under_way.examined, race.hidden, known, events)


def fetched_by(answered: Answers, asked: Mapping[str, str], schema: pa.Schema) -> tuple[Places, dict[str, Sink]]:
    """Return the places to fetch values from, and a sink for each feature column; rows too old for all stay behind."""
    positions = answered.positions
    masks = list(answered.young.values())
    if masks and all(mask is not None for mask in masks):
        wanted = np.logical_or.reduce([mask for mask in masks if mask is not None])
        positions = np.where(wanted, positions, NONE)
    places = places_of(positions)
    names = dict.fromkeys(asked[output] for output in answered.race.outputs)
    return places, {name: sink_of(schema.field(name).type, places) for name in names}


def kept_columns(under_way: Pass, answered: Answers) -> dict[str, pa.ChunkedArray]:
    """Return the output columns out of the values that the race's store kept."""
    store = answered.race.store
    columns: dict[str, pa.ChunkedArray] = {}
    if store is None:
        return columns
    places = np.where(answered.slots == NONE, NONE, np.append(store.place, NONE)[answered.slots])
    for output in answered.race.outputs:
        mask = answered.young[output]
        at = places if mask is None else np.where(mask, places, NONE)
        columns[output] = column_of(store, under_way.asked.values[output], at)
    return columns


def proof_of(under_way: Pass, answered: list[Answers], columns: Mapping[str, pa.ChunkedArray]) -> Proof:
    """Return the proof of a table from its races' answers and its output columns."""
    labels = len(under_way.labels)
    examined = 0 if under_way.examined is None else len(under_way.examined.labels)
    proofs, fine = {}, {}
    for race in answered:
        known = int(np.count_nonzero(race.positions != NONE))
        for output, told in race.told.items():
            fine[output] = told.fine
            proofs[output] = ColumnProof(
                column=output,
                labels=labels,
                answered=told.answered,
                null_values=columns[output].null_count - (labels - told.answered),
                unanswered_no_history=labels - known,
                unanswered_too_old=known - told.answered,
                greatest_age_us=told.greatest,
                median_age_us=told.median,
                age_histogram=told.histogram,
                examined=examined,
                newer_unknown=race.newer_unknown,
            )
    return Proof(tuple(proofs[output] for output in under_way.asked.values if output in proofs), fine)
