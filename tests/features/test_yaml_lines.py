"""YAML with lines: LibYAML's fast way and PyYAML's own agree, on what is there and on what is wrong."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.features.yaml_lines import NotYaml, Tree, read_tree

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.dates()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["no", "1:30", "a: b", "é", "\u0085", "- x", "&a", "*a", "!t"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
)
pieces = st.sampled_from(
    ["a: ", "- ", "&x ", "*x", "b", "\n", "  ", "[", "]", "{", "}", ", ", "'", '"', "!!str ", "? ", "--- ", "#c\n", "1"]
)


def slowly(text: str) -> Tree:
    """Return the tree as it is read where PyYAML was built without LibYAML."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        return read_tree(text)


def outcome(read: object, text: str) -> object:
    """Return the tree, or what is wrong and where."""
    try:
        tree = read(text)
    except NotYaml as exc:
        return exc.line, exc.problem
    return tree.value, tree.lines, tree.faults


@given(values, st.sampled_from([None, True, False]), st.booleans())
@settings(deadline=None)
def test_what_is_dumped_is_read_alike_by_both(value, flow, unicode):
    """Values, lines and faults."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=unicode)
    assert outcome(read_tree, text) == outcome(slowly, text)


@given(st.lists(pieces, max_size=10).map("".join))
@settings(deadline=None)
def test_what_is_odd_is_refused_alike_by_both(text):
    """Anchors, aliases, documents, tags and whatever breaks off; the two place an empty value on different lines."""
    slow, fast = outcome(slowly, text), outcome(read_tree, text)
    if len(slow) == 3:
        assert (fast[0], fast[2]) == (slow[0], slow[2])
    elif len(fast) == 2:
        assert fast == slow


def test_an_alias_stands_for_what_it_names():
    """With the lines of that."""
    tree = read_tree("a: &x\n  b: 1\nc: *x\n")
    assert tree.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert tree.line(("c", "b")) == 2


@pytest.mark.parametrize("text", ["a: &x 1\nb: &x 2\n", "a: *y\n", "a: 1\n---\nb: 2\n"])
def test_what_only_one_document_can_say_is_no_other(text):
    """An anchor given twice, an alias of nothing, a second document: as PyYAML tells of them."""
    assert outcome(read_tree, text) == outcome(slowly, text)


def test_a_deep_document_ends_nothing():
    """It is refused, by line."""
    with pytest.raises(NotYaml, match="nested too deep"):
        read_tree("[" * 50_000 + "]" * 50_000)
