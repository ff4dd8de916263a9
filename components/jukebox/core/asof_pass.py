"""One feature table's pass: its rows stream by the labels' slots, and its columns come out with their proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.core.asof_keys import UNKNOWN, CompositeKeys, Keys, composite, keys_of
from jukebox.core.asof_proof import (
    ColumnProof,
    Hidden,
    Proof,
    column_proofs,
    hidden_of,
    look_at,
    newer_unknown,
)
from jukebox.core.asof_rules import clock_of
from jukebox.core.asof_slots import NONE, Slots, Winners, answers, find, reduce, slots_of, winners_of
from jukebox.core.asof_stream import pieces
from jukebox.core.asof_times import LOWEST, Age, Clock, ages, threshold, ticks, too_old
from jukebox.core.asof_values import Store, column_of, keep

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from jukebox.core.asof import Features
    from jukebox.core.asof_times import Integers, Truths


@dataclass(frozen=True)
class Rules:
    """What holds for all tables of a join; ``proof`` is None, "sample" or "full"."""

    allow_exact: bool
    as_known: bool
    proof: str | None


@dataclass(frozen=True)
class Labels:
    """The labels with what is worked out of them once and shared by the tables."""

    table: pa.Table
    times: Integers
    clock: Clock
    by_time: Integers
    columns: dict[str, tuple[Keys, Integers]] = field(default_factory=dict)
    orders: dict[tuple[str, ...], tuple[CompositeKeys, Slots]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One feature table under way."""

    labels: Labels
    asked: Features
    rules: Rules
    keys: CompositeKeys
    slots: Slots
    winners: Winners
    store: Store
    hidden: Hidden | None
    event_clock: Clock
    created_clock: Clock | None


def answered(
    labels: Labels, asked: Features, rules: Rules, *, schema: pa.Schema, batches: Iterable[Any], whose: str
) -> tuple[list[pa.ChunkedArray], Proof]:
    """Return the output columns of one feature table, in the order asked, and their proof."""
    under_way = _begun(labels, asked, rules, schema, whose)
    seen = 0
    for piece in pieces(batches, asked.columns(), schema, whose):
        _take_in(under_way, piece, seen)
        seen += piece.num_rows
    return _finished(under_way)


def _begun(labels: Labels, asked: Features, rules: Rules, schema: pa.Schema, whose: str) -> Pass:
    keys, slots = _slots(labels, tuple(asked.keys))
    names = list(dict.fromkeys(asked.values.values()))
    store = Store(names, [schema.field(name).type for name in names], np.full(len(slots.rows), NONE))
    hides = rules.proof is not None and rules.as_known and asked.created_time is not None
    hidden = hidden_of(slots, len(labels.times), full=rules.proof == "full") if hides else None
    event_clock = clock_of(schema.field(asked.event_time), whose)
    created_clock = None if asked.created_time is None else clock_of(schema.field(asked.created_time), whose)
    return Pass(labels, asked, rules, keys, slots, winners_of(slots), store, hidden, event_clock, created_clock)


def _slots(labels: Labels, names: tuple[str, ...]) -> tuple[CompositeKeys, Slots]:
    if names not in labels.orders:
        for name in names:
            if name not in labels.columns:
                keys = keys_of(labels.table.column(name))
                labels.columns[name] = keys, keys.codes(labels.table.column(name))
        parts = [labels.columns[name] for name in names]
        both = composite([keys for keys, _ in parts], [codes for _, codes in parts])
        codes = both.codes([labels.table.column(name) for name in names], len(labels.times))
        labels.orders[names] = both, slots_of(codes, len(both), labels.times, labels.by_time)
    return labels.orders[names]


def _take_in(under_way: Pass, piece: pa.Table, seen: int) -> None:
    asked = under_way.asked
    codes = under_way.keys.codes([piece.column(name) for name in asked.keys.values()], piece.num_rows)
    event, dated = ticks(piece.column(asked.event_time))
    rows = np.flatnonzero((codes != UNKNOWN) & dated)
    codes, event = codes[rows], event[rows]
    created, past, possible = _visible(under_way, piece, rows, codes, event)
    slots = find(under_way.slots, codes, past)
    competing = np.flatnonzero(possible & (slots != NONE))
    won = competing[
        reduce(under_way.winners, slots[competing], event[competing], created[competing], rows[competing] + seen)
    ]
    keep(under_way.store, piece, rows[won], slots[won])


def _visible(
    under_way: Pass, piece: pa.Table, rows: Integers, codes: Integers, event: Integers
) -> tuple[Integers, Integers, Truths]:
    """Return the rows' created times, the label time from which each is seen, and which are seen at all."""
    asked, rules, theirs = under_way.asked, under_way.rules, under_way.labels.clock
    past, possible = threshold(event, under_way.event_clock, theirs, exact=rules.allow_exact)
    if asked.created_time is None or under_way.created_clock is None:
        return np.full(len(rows), LOWEST), past, possible
    created, dated = ticks(piece.column(asked.created_time))
    created, dated = np.where(dated, created, LOWEST)[rows], dated[rows]
    if not rules.as_known:
        return created, past, possible
    known, knowable = threshold(created, under_way.created_clock, theirs, exact=True)
    knowable &= dated
    if under_way.hidden is not None:
        later = np.flatnonzero(possible & ~(knowable & (known <= past)))
        look_at(under_way.hidden, codes[later], past[later], event[later])
    return created, np.maximum(past, known), possible & knowable


def _finished(under_way: Pass) -> tuple[list[pa.ChunkedArray], Proof]:
    labels, asked, slots = under_way.labels, under_way.asked, under_way.slots
    late = under_way.rules.as_known and asked.created_time is not None
    chosen = np.full(len(labels.times), NONE)
    chosen[slots.rows] = answers(slots, under_way.winners, late=late)
    known = np.flatnonzero(chosen != NONE)
    event = under_way.winners.event[chosen[known]]
    age = ages(labels.times[known], event, labels.clock, under_way.event_clock)
    columns: dict[str, pa.ChunkedArray] = {}
    proofs: dict[str, ColumnProof] = {}
    for limit in dict.fromkeys(asked.limit(output) for output in asked.values):
        young = np.ones(len(known), np.bool_) if limit is None else ~too_old(age, limit)
        places = np.full(len(labels.times), NONE)
        places[known[young]] = under_way.store.place[chosen[known[young]]]
        outputs = [output for output in asked.values if asked.limit(output) == limit]
        for output in outputs:
            columns[output] = column_of(under_way.store, asked.values[output], places)
        if under_way.rules.proof is not None:
            used = Age(age.seconds[young], age.nanoseconds[young])
            nulls = {output: columns[output].null_count for output in outputs}
            proofs.update(column_proofs(nulls, labels=len(labels.times), known=len(known), age=used))
    shown = tuple(proofs[output] for output in asked.values if output in proofs)
    return [columns[output] for output in asked.values], _proof(under_way, shown, known, event)


def _proof(under_way: Pass, columns: tuple[ColumnProof, ...], known: Integers, event: Integers) -> Proof:
    if under_way.hidden is None:
        return Proof(columns, examined=0, newer_unknown=0)
    used, events = (
        np.zeros(len(under_way.labels.times), np.bool_),
        np.zeros(len(under_way.labels.times), np.int64),
    )
    used[known], events[known] = True, event
    return Proof(columns, len(under_way.hidden.labels), newer_unknown(under_way.hidden, used, events))
