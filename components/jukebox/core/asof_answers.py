"""The end of a pass: each slot's greatest row so far answers its label, unless it is too old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_ages import ages
from jukebox.core.asof_gather import Places, Sinks, places_of, sink_of
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_proof import ColumnProof, Proof, ages_told, newer_unknown
from jukebox.core.asof_slots import EVENT, POSITION
from jukebox.core.asof_values import column_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from jukebox.core.asof_keys import Codes
    from jukebox.core.asof_pass import Pass, Race
    from jukebox.core.asof_proof import Ages
    from jukebox.core.asof_times import Integers, Mask, Truths


@dataclass(frozen=True)
class Answers:
    """What a race came to: ``labels[i]`` has the row of slot ``slots[i]``, at ``positions[i]`` of the table.

    ``young`` says for each output which of these are within its max_age; None where all are.
    """

    race: Race
    labels: Integers
    slots: Codes
    positions: Integers
    young: Mapping[str, Mask]
    told: Mapping[str, Ages]
    newer_unknown: int

    def mask(self, output: str, labels: int) -> Truths:
        """Return which of all labels the output has an answer for."""
        young, mask = self.young[output], np.zeros(labels, np.bool_)
        mask[self.labels if young is None else self.labels[young]] = True
        return mask


def answers_of(under_way: Pass, race: Race) -> Answers:
    """Return the answers of a race that is over."""
    labels, asked, slots = under_way.labels, under_way.asked, under_way.slots
    chosen = slots.answers(race.winners)
    known = np.flatnonzero(chosen != NONE)
    won = chosen[known]
    event = race.winners[won, EVENT]
    age = ages(slots.times[known], event, labels.clock, under_way.event_clock)
    young: dict[str, Mask] = {}
    told: dict[str, Ages] = {}
    for limit in dict.fromkeys(asked.limit(output) for output in race.outputs):
        old = None if limit is None else age.above(limit)
        fresh = None if old is None or not old.any() else ~old
        outputs = [output for output in race.outputs if asked.limit(output) == limit]
        young.update(dict.fromkeys(outputs, fresh))
        if under_way.rules.proof is not None:
            used = age if fresh is None else age.among(fresh)
            timeless, mergeable = asked.event_time is None, under_way.rules.mergeable
            told.update(dict.fromkeys(outputs, ages_told(used, timeless=timeless, fine=mergeable)))
    newer = _newer(under_way, race, chosen)
    return Answers(race, slots.rows[known], won, race.winners[won, POSITION], young, told, newer)


def _newer(under_way: Pass, race: Race, chosen: Codes) -> int:
    examined = under_way.examined
    if examined is None or race.hidden is None or len(examined.slots) == 0:
        return 0
    used = chosen[examined.of]
    return newer_unknown(examined, race.hidden, used != NONE, race.winners[used, EVENT])


def fetched_by(answered: Answers, asked: Mapping[str, str], schema: pa.Schema, labels: int) -> tuple[Places, Sinks]:
    """Return the places to fetch values from, and a sink for each feature column; rows too old for all stay behind."""
    masks = list(answered.young.values())
    rows, positions = answered.labels, answered.positions
    if all(mask is not None for mask in masks):
        wanted = np.logical_or.reduce([mask for mask in masks if mask is not None])
        rows, positions = rows[wanted], positions[wanted]
    places = places_of(rows, positions, labels)
    names = dict.fromkeys(asked[output] for output in answered.race.outputs)
    return places, {name: sink_of(schema.field(name).type, places) for name in names}


def kept_columns(under_way: Pass, answered: Answers) -> dict[str, pa.ChunkedArray]:
    """Return the output columns out of the values that the race's store kept."""
    store, labels = answered.race.store, len(under_way.labels)
    columns: dict[str, pa.ChunkedArray] = {}
    if store is None:
        return columns
    for output in answered.race.outputs:
        young = slice(None) if answered.young[output] is None else answered.young[output]
        at = np.full(labels, NONE)
        at[answered.labels[young]] = store.place[answered.slots[young]]
        columns[output] = column_of(store, under_way.asked.values[output], at)
    return columns


def proof_of(under_way: Pass, answered: list[Answers], columns: Mapping[str, pa.ChunkedArray]) -> Proof:
    """Return the proof of a table from its races' answers and its output columns."""
    labels = len(under_way.labels)
    examined = 0 if under_way.examined is None else under_way.examined.count
    proofs, fine = {}, {}
    for race in answered:
        known = len(race.labels)
        for output, told in race.told.items():
            if told.fine is not None:
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
