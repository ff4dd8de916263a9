"""One feature table's pass: its rows race for the labels' slots, piece by piece or as they stream by."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jukebox.core import kernel
from jukebox.core.asof_composite import CompositeKeys, composite
from jukebox.core.asof_keys import Keys, keys_of
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_proof import Examined, examined_of
from jukebox.core.asof_rules import clock_of
from jukebox.core.asof_slots import POSITION, Slots, ascending, slots_of
from jukebox.core.asof_times import LOWEST, Clock, combined, counted, known_of, threshold
from jukebox.core.asof_values import Store, keep

if TYPE_CHECKING:
    import pyarrow as pa

    from jukebox.core.asof import Features
    from jukebox.core.asof_keys import Codes
    from jukebox.core.asof_times import Integers, Mask


@dataclass(frozen=True)
class Rules:
    """What holds for all tables of a join; ``proof`` is None, "sample" or "full", of all labels or ``mergeable``."""

    allow_exact: bool
    as_known: bool
    proof: str | None
    mergeable: bool = False


@dataclass(frozen=True)
class Labels:
    """The labels with what is worked out of them once and shared by the tables."""

    table: pa.Table
    times: Integers
    clock: Clock
    by_time: Integers
    columns: dict[str, tuple[Keys, Codes]] = field(default_factory=dict)
    orders: dict[tuple[str, ...], tuple[CompositeKeys, Slots]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def __len__(self) -> int:
        """Return how many labels there are."""
        return len(self.times)

    def ordered(self, names: tuple[str, ...]) -> tuple[CompositeKeys, Slots]:
        """Return the keys in the columns ``names``, and the labels' slots by them."""
        with self.lock:
            if names not in self.orders:
                for name in names:
                    if name not in self.columns:
                        self.columns[name] = keys_of(self.table.column(name))
                keys, codes = composite([self.columns[name] for name in names], len(self))
                self.orders[names] = keys, slots_of(codes, len(keys), self.times, self.by_time)
            return self.orders[names]


def labels_of(table: pa.Table, times: Integers, clock: Clock) -> Labels:
    """Return the labels, ready for any number of tables."""
    return Labels(table, times, clock, ascending(times))


@dataclass(frozen=True)
class Race:
    """A competition for the slots: of all rows, or of those alone that hold a value in ``column``.

    ``store`` holds the winners' values where their rows cannot be read again; ``hidden`` the winners among rows that
    were not known yet, over the examined labels.
    """

    column: str | None
    outputs: tuple[str, ...]
    winners: Integers
    hidden: Integers | None
    store: Store | None


@dataclass(frozen=True)
class Pass:
    """One feature table under way."""

    labels: Labels
    asked: Features
    rules: Rules
    keys: CompositeKeys
    slots: Slots
    races: tuple[Race, ...]
    examined: Examined | None
    event_clock: Clock
    created_clock: Clock | None
    lock: Lock = field(default_factory=Lock)

    def columns(self) -> list[str]:
        """Return the columns that rows race by: keys, times, and those that must hold a value."""
        asked = self.asked
        needed = [race.column for race in self.races if race.column is not None]
        found = dict.fromkeys([*asked.keys.values(), *asked.times(), *needed])
        # A batch of no columns has no rows either.
        return list(found) or [next(iter(asked.values.values()))]


def begun(labels: Labels, asked: Features, rules: Rules, schema: pa.Schema, whose: str, *, stores: bool) -> Pass:
    """Return the pass of a feature table before its first row; with ``stores`` values are kept as rows win."""
    keys, slots = labels.ordered(tuple(asked.keys))
    hides = rules.proof is not None and rules.as_known and asked.created_time is not None
    examined = examined_of(slots, len(labels), full=rules.proof == "full") if hides else None
    races = []
    for column, outputs in _races(asked).items():
        names = list(dict.fromkeys(asked.values[output] for output in outputs))
        types = [schema.field(name).type for name in names]
        store = Store(names, types, np.full(len(slots), NONE)) if stores else None
        hidden = None if examined is None else examined.slots.winners()
        races.append(Race(column, tuple(outputs), slots.winners(), hidden, store))
    event_clock = labels.clock if asked.event_time is None else clock_of(schema.field(asked.event_time), whose)
    created_clock = None if asked.created_time is None else clock_of(schema.field(asked.created_time), whose)
    return Pass(labels, asked, rules, keys, slots, tuple(races), examined, event_clock, created_clock)


def _races(asked: Features) -> dict[str | None, list[str]]:
    races: dict[str | None, list[str]] = {}
    for output, column in asked.values.items():
        races.setdefault(column if output in asked.last_non_null else None, []).append(output)
    return races


def take_in(under_way: Pass, rows: pa.Table, first: int) -> None:
    """Let rows race whose first is at position ``first`` of the table; several threads may call at once."""
    asked, slots = under_way.asked, under_way.slots
    codes = under_way.keys.codes([rows.column(name) for name in asked.keys.values()], len(rows))
    # What is true at all times has been since before any label.
    timeless = np.full(len(rows), LOWEST), None
    event, dated = timeless if asked.event_time is None else counted(rows.column(asked.event_time))
    seen = _visible(under_way, rows, event, dated)
    masks = [None if race.column is None else known_of(combined(rows.column(race.column))) for race in under_way.races]
    if under_way.examined is None or seen.since is None:
        found = slots.find(codes, seen.at, seen.mask)
    else:
        found, passed = slots.find_and_passed(codes, seen.at, seen.mask, seen.since)
        late = np.flatnonzero(passed if seen.past is None else passed & seen.past)
        _examine(under_way, under_way.examined, Some(codes, seen.since, event, late), masks)
    with under_way.lock:
        for race, mask in zip(under_way.races, masks, strict=True):
            kernel.loops.reduce(found, event, seen.created, None, first, mask, race.winners)
            if race.store is not None:
                _keep(race, race.store, rows, found, first)


def _keep(race: Race, store: Store, rows: pa.Table, found: Codes, first: int) -> None:
    held = race.winners[found, POSITION] if len(race.winners) else np.full(len(found), NONE)
    won = np.flatnonzero((found != NONE) & (held == first + np.arange(len(found))))
    keep(store, rows, won, found[won].astype(np.int64))


class Seen(NamedTuple):
    """When rows are seen: their created times, the label time from which on, and which are seen at all.

    Where rows may be past before they are known, ``since`` is the label time from which on they are past, and
    ``past`` says which ever are.
    """

    created: Integers | None
    at: Integers
    mask: Mask
    since: Integers | None
    past: Mask


def _visible(under_way: Pass, rows: pa.Table, event: Integers, dated: Mask) -> Seen:
    asked, rules, theirs = under_way.asked, under_way.rules, under_way.labels.clock
    exact = rules.allow_exact or asked.event_time is None
    since, past = threshold(event, under_way.event_clock, theirs, exact=exact)
    past = _both(past, dated)
    if asked.created_time is None or under_way.created_clock is None:
        return Seen(None, since, past, None, None)
    created, told = counted(rows.column(asked.created_time))
    if not rules.as_known:
        return Seen(created if told is None else np.where(told, created, LOWEST), since, past, None, None)
    known, knowable = threshold(created, under_way.created_clock, theirs, exact=True)
    return Seen(created, np.maximum(since, known), _both(past, _both(knowable, told)), since, past)


def _both(one: Mask, other: Mask) -> Mask:
    if one is None or other is None:
        return other if one is None else one
    return one & other


class Some(NamedTuple):
    """Some rows of a piece: all rows' codes, since when each is past, their events, and the places of those meant."""

    codes: Codes
    since: Integers
    event: Integers
    rows: Integers


def _examine(under_way: Pass, examined: Examined, some: Some, masks: list[Mask]) -> None:
    """Let rows that were past before they were known race for the examined labels."""
    event = some.event[some.rows]
    found = examined.slots.find(some.codes[some.rows], some.since[some.rows], None)
    with under_way.lock:
        for race, mask in zip(under_way.races, masks, strict=True):
            if race.hidden is not None:
                part = None if mask is None else mask[some.rows]
                kernel.loops.reduce(found, event, None, None, 0, part, race.hidden)
