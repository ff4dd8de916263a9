"""A YAML document as plain values, with the line of every field and item, read strictly.

A scalar on whose type YAML 1.1 and 1.2 do not agree (``no``, ``2013-01-01``, ``1:30``, ``010``) becomes an
``Ambiguous``, which is of no JSON type: whatever a schema wants in its place, it does not get it.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple["str | int", ...]
Fault = tuple[Path, str]

_MOST_VALUES = 1_000_000  # or the characters of the text, if there are more
_DEEPEST = 1_000  # lists and mappings within each other: LibYAML takes the square of their number
_TAG = "tag:yaml.org,2002:"
_KINDS = {"bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date"}
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class NotYaml(Exception):
    """The text is no YAML document; ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(problem)


@dataclass(frozen=True)
class Ambiguous:
    """An unquoted scalar that is ``kind`` to one YAML reader and something else to the next."""

    text: str
    kind: str


@dataclass(frozen=True)
class Tree:
    """The plain ``value`` of a document, the lines of its paths, and the faults of its very form."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of ``path``, or of the nearest thing around it that has one, counted from 1."""
        return self.lines[path] if path in self.lines else self.line(path[:-1])


def read_tree(text: str) -> Tree:
    """Return the one document that ``text`` holds; the value of an empty text is None.

    Of a field that is given twice the first value stays and the second is a fault. Raises NotYaml.
    """
    try:
        node = _root(text)
        builder = _Builder(max(_MOST_VALUES, len(text)))
        value = None if node is None else builder.build(node, (), ())
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise NotYaml(line, f"character U+{int(exc.character):04X} is not allowed in YAML") from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        parts = [part for part in (exc.context, exc.problem) if part is not None]
        raise NotYaml(1 if mark is None else mark.line + 1, ", ".join(parts)) from exc
    except RecursionError as exc:
        raise NotYaml(1, "the document is nested too deep") from exc
    return Tree(value, {(): 1, **builder.lines}, builder.faults)


class _Unusual(Exception):
    """A document that is left to PyYAML's own composer, which knows what is wrong with it."""


def _root(text: str) -> yaml.Node | None:
    # LibYAML is ten times as fast as PyYAML's own parser, whose errors are told wherever there are any.
    if hasattr(yaml, "CSafeLoader"):
        with suppress(yaml.YAMLError, _Unusual):
            return _composed(text)
    return yaml.compose(text, Loader=yaml.SafeLoader)  # type: ignore[no-any-return]


def _composed(text: str) -> yaml.Node | None:
    """Return the root of the one document in ``text``, put together from LibYAML's events.

    PyYAML's own composer over LibYAML is recursive in C: deep nesting would end the process.
    """
    loader, anchors = yaml.CSafeLoader(text), dict[str, yaml.Node]()
    roots: list[yaml.Node] = []
    open_: list[tuple[yaml.Node, list[yaml.Node]]] = []
    while (event := loader.get_event()) is not None:
        if isinstance(event, yaml.CollectionEndEvent):
            node, inner = open_.pop()
            node.value = (
                inner if isinstance(node, yaml.SequenceNode) else list(zip(inner[::2], inner[1::2], strict=True))
            )
        elif isinstance(event, yaml.NodeEvent):
            node = _node(event, loader, anchors)
            (open_[-1][1] if open_ else roots).append(node)
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((node, []))
        if len(roots) > 1 or len(open_) > _DEEPEST:
            raise _Unusual
    return roots[0] if roots else None


def _node(event: yaml.NodeEvent, loader: yaml.CSafeLoader, anchors: dict[str, yaml.Node]) -> yaml.Node:
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise _Unusual
        return anchors[event.anchor]
    if event.anchor in anchors:
        raise _Unusual
    node = _started(event, loader)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _started(event: yaml.NodeEvent, loader: yaml.CSafeLoader) -> yaml.Node:
    mark: Any = event.start_mark
    if isinstance(event, yaml.ScalarEvent):
        said = event.tag not in {None, "!"}
        tag: Any = event.tag if said else loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return yaml.ScalarNode(tag, event.value, mark)
    kind = yaml.SequenceNode if isinstance(event, yaml.SequenceStartEvent) else yaml.MappingNode
    return kind("", [], mark)


class _Builder:
    """Walks a node graph once, keeping lines and faults by path."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.lines: dict[Path, int] = {}
        self.faults: list[Fault] = []

    def build(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Any:
        """Return the plain value of ``node``; ``above`` are the nodes around it: an alias may name one."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(self.lines) > self._most:
            raise NotYaml(line, f"with its aliases spelled out it holds more than {self._most:,} values")
        if node in above:
            self.faults.append((path, "an alias stands for what holds it"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i), (*above, node)) for i, item in enumerate(node.value)]
        return _scalar(node.tag, node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, key.value
            if not isinstance(name, str):
                self._fault((*path, "?"), line, "the name of a field must be text, not a list or mapping")
            elif name in fields:
                # The fault has a path of its own, since its line is not that of the first value.
                self._fault((*path, f"{name} (again)"), line, f"it is given on line {lines[name]} already")
            else:
                here = (*path, name)
                lines[name] = self.lines[here] = line
                fields[name] = self.build(value, here, above)
        return fields

    def _fault(self, path: Path, line: int, text: str) -> None:
        self.lines[path] = line
        self.faults.append((path, text))


def _scalar(tag: str, text: str) -> Any:
    kind = tag.removeprefix(_TAG)
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool" and _BOOLEAN.fullmatch(text) is not None:
        return text.lower() == "true"
    if kind == "int" and _INTEGER.fullmatch(text) is not None:
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text) is not None and math.isfinite(float(text)):
        return float(text)
    return Ambiguous(text, _KINDS.get(kind, f"a value tagged {tag}"))
