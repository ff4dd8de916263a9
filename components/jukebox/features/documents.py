"""YAML documents that people write: read as plain values with their lines, and all faults told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.errors import InvalidFile, StorageError
from jukebox.features.yaml_lines import NotYaml, read_tree
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.features import yaml_lines


def text_of(path: str) -> str:
    """Return the text of the file at ``path``; raises StorageError, and InvalidFile for what is not UTF-8."""
    try:
        content = place_of(path).read_bytes()
    except StorageError:
        raise
    except OSError as exc:
        raise StorageError(f"'{path}' cannot be read: {exc.strerror or exc}") from exc
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise InvalidFile(path, [f"line {line}: byte {content[exc.start]:#04x} is not UTF-8"]) from exc


def tree_of(text: str, path: str, holds: str) -> yaml_lines.Tree:
    """Return the document that ``text`` holds; raises InvalidFile for none, telling what the file ``holds``."""
    try:
        tree = read_tree(text)
    except NotYaml as exc:
        raise InvalidFile(path, [f"line {exc.line}: this is not YAML: {exc.problem}"]) from exc
    if tree.value is None and not tree.faults:
        raise InvalidFile(path, [f"line 1: the file is empty; it holds {holds}"])
    return tree


def told(tree: yaml_lines.Tree, faults: Iterable[yaml_lines.Fault]) -> list[str]:
    """Return a line of text for each fault, in the order of the file's lines."""
    lines = sorted((tree.line(path), _shown(path), text) for path, text in faults)
    return [f"line {line}: {where}{text}" for line, where, text in lines]


def _shown(path: yaml_lines.Path) -> str:
    """Return ``features[3].quality.min: `` for that path, nothing for the whole; positions count from 0."""
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{shown}: " if shown else ""
