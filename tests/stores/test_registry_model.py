"""Whatever is done to a registry, in whatever order, it is what a plain Python model of it says."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jukebox.errors import ChangeRefused, UnknownFeature
from jukebox.stores import open_registry
from jukebox.stores.reading import from_yaml
from jukebox.stores.searching import Query
from jukebox.stores.writing import to_yaml
from tests.stores.mlmd_writers import feature
from tests.stores.test_changes import FORWARD

NAMES = ("a", "b", "wind")
STATES = ("experimental", "production", "deprecated", "retired")


def called(name: str) -> str:
    """Return a feature's canonical name."""
    return f"/entity/airport/component/weather/name/{name}"


class Plain:
    """A registry as a dict from name to all that the feature was: (version, type, column, owner, state)."""

    def __init__(self) -> None:
        self.features: dict[str, list[tuple[int, str, str, str, str]]] = {}

    def register(self, name, kind, column, owner, state, *, force):
        """Register a feature; returns False where that is refused."""
        was = self.features.get(name)
        if was is None:
            self.features[name] = [(1, kind, column, owner, state)]
            return True
        version, old_kind, old_column, _, old_state = was[-1]
        state = old_state if state == "undefined" else state
        backward = state != old_state and (old_state, state) not in FORWARD
        broken = old_state == "production" and kind != old_kind
        if (backward or broken) and not force:
            return False
        version += (kind, column) != (old_kind, old_column)
        if was[-1] != (version, kind, column, owner, state):
            was.append((version, kind, column, owner, state))
        return True


class Registry(RuleBasedStateMachine):
    """Registers, edits, deprecates and retires features, opens the registry anew, and moves it through YAML."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.files, self.plain = 1, Plain()
        self.registry = self.opened()

    def opened(self):
        """Return the registry in the newest file."""
        return open_registry(f"mlmd+sqlite://{self.folder}/{self.files}.db")

    @rule(
        wanted=st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.sampled_from(["int64", "string"]),
                st.sampled_from(["x", "y"]),
                st.sampled_from(["us", "them"]),
                st.sampled_from(["undefined", *STATES]),
            ),
            min_size=1,
            unique_by=lambda each: each[0],
        ),
        force=st.booleans(),
    )
    def register(self, wanted, force):
        """Register some features together: all of them or none."""
        before = {name: list(was) for name, was in self.plain.features.items()}
        allowed = [self.plain.register(*each, force=force) for each in wanted]
        features = [feature(n, data_type=k, column=c, owner=o, life_cycle=s) for n, k, c, o, s in wanted]
        if all(allowed):
            registered = self.registry.register(features, force=[called(n) for n, *_ in wanted] if force else ())
            assert [each.version for each in registered] == [self.plain.features[n][-1][0] for n, *_ in wanted]
        else:
            self.plain.features = before
            with pytest.raises(ChangeRefused) as caught:
                self.registry.register(features)
            assert len(caught.value.reasons) == allowed.count(False)

    @rule(name=st.sampled_from(NAMES), state=st.sampled_from(STATES), force=st.booleans())
    def move(self, name, state, force):
        """Set a feature's life cycle."""
        forced = [called(name)] if force else ()
        if name not in self.plain.features:
            with pytest.raises(UnknownFeature):
                self.registry.set_life_cycle([called(name)], state, force=forced)
            return
        _, kind, column, owner, _ = self.plain.features[name][-1]
        if self.plain.register(name, kind, column, owner, state, force=force):
            self.registry.set_life_cycle([called(name)], state, force=forced)
        else:
            with pytest.raises(ChangeRefused):
                self.registry.set_life_cycle([called(name)], state)

    @rule()
    def open_anew(self):
        """Another process looks."""
        self.registry = self.opened()

    @rule()
    def move_through_yaml(self):
        """Export, import into a new registry, export: the same text."""
        text = to_yaml(self.registry.holdings())
        self.files += 1
        self.registry = self.opened()
        assert self.registry.take_over(from_yaml(text, "registry.yaml")) == len(self.plain.features)
        assert to_yaml(self.registry.holdings()) == text

    @invariant()
    def is_as_the_model_says(self):
        """The newest, each version as it was last, and every revision."""
        for name, was in self.plain.features.items():
            newest, history = self.registry.feature(called(name)), self.registry.history(called(name))
            held = [*(each.registered for each in history), newest]
            assert [_plain(each) for each in held] == was
            assert [each.revision for each in held] == list(range(1, len(was) + 1))
            last = {version: state for version, *state in was}
            assert [_plain(each) for each in self.registry.versions(called(name))] == [
                (v, *last[v]) for v in sorted(last)
            ]
        assert [each.name.name for each in self.registry.features()] == sorted(self.plain.features)

    @invariant()
    def is_found_as_the_model_says(self):
        """The index follows each change, by whomever."""
        for state in STATES:
            found = [each.name.name for each in self.registry.search(Query(life_cycle=state)).features]
            assert found == sorted(name for name, was in self.plain.features.items() if was[-1][-1] == state)

    def teardown(self):
        """Remove the files."""
        shutil.rmtree(self.folder)


def _plain(registered):
    feature = registered.feature
    return registered.version, feature.data_type, feature.column, feature.owner, feature.life_cycle


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=10, stateful_step_count=12, deadline=None)


def test_the_index_follows_another_process(tmp_path):
    """What one registry object writes, the next search of another finds."""
    uri = f"mlmd+sqlite://{tmp_path}/registry.db"
    one, other = open_registry(uri), open_registry(uri)
    for count in range(1, 6):
        one.register([feature(f"f{count}")])
        assert other.search(Query()).total == count
        other.register([replace(feature(f"f{count}"), owner=f"o{count}")])
        assert one.search(Query(owner=f"o{count}")).total == 1
