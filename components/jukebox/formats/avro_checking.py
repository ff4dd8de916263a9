"""Whether bytes are rows of an Avro schema, told before fastavro reads them, which takes more for rows than there is.

It counts a union's branches backwards where their number is negative, and takes any byte but 0 for true. What is wrong
is told in the words of ``_avro_decode.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jukebox.formats.avro_schema import Node

_WIDTHS = {"boolean": 1, "float": 4, "double": 8}


class Check:
    """Looks at the rows of one block, from ``at`` on; raises ValueError for what is none."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def rows(self, root: Node, count: int) -> None:
        """Leave the whole block looked at."""
        for _ in range(count):
            self._value(root)
        if self.at != len(self.data):
            raise ValueError("its rows end before its bytes do")

    def _value(self, node: Node) -> None:
        if node.null_at >= 0:
            branch = self._number()
            if branch not in {0, 1}:
                raise ValueError("a union of two has another branch")
            if branch == node.null_at:
                return
        if node.op == "record":
            for child in node.children:
                self._value(child)
        elif node.op == "array":
            self._items(node.children[0])
        elif node.op != "null":
            self._leaf(node)

    def _leaf(self, node: Node) -> None:
        if node.op in {"int", "long"}:
            if not -(1 << 31) <= self._number() < 1 << 31 and node.op == "int":
                raise ValueError("an int has more than 32 bits")
            return
        width = node.number if node.op == "fixed" else _WIDTHS.get(node.op)
        self._skip(self._number() if width is None else width)
        if node.op == "boolean" and self.data[self.at - 1] > 1:
            raise ValueError("a boolean is neither 0 nor 1")

    def _items(self, item: Node) -> None:
        while (count := self._number()) != 0:
            size = self._number() if count < 0 else 0
            left = len(self.data) - self.at
            if count == -(1 << 63) or not 0 <= size <= left:
                raise ValueError("a piece of an array is longer than what is left of its block")
            if abs(count) > left:
                raise ValueError("an array has more values than its block has bytes")
            for _ in range(abs(count)):
                self._value(item)

    def _number(self) -> int:
        value = shift = 0
        while True:
            if self.at == len(self.data):
                raise ValueError("a number is cut off")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128 and value < 1 << 64:  # noqa: PLR2004  the eighth bit says that there are more
                return value >> 1 ^ -(value & 1)
            if shift >= 70:  # noqa: PLR2004  ten bytes hold 64 bits
                raise ValueError("a number has more than 64 bits")

    def _skip(self, size: int) -> None:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("a value is longer than what is left of its block")
        self.at += size
