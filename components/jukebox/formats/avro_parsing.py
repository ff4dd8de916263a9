"""Avro's schemas, as files and other tools write them, to nodes: named types, unions, maps and logical types."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa

from jukebox.errors import CorruptData, InvalidType, JukeboxError
from jukebox.formats.avro_schema import LOGICAL, PRIMITIVES, WIDEST_128, WIDEST_256, Node, field_of
from jukebox.formats.columns import chosen

DEEPEST = 64


class Parser:
    """Turns a schema as Avro writes it into nodes; ``where`` names the file in errors."""

    def __init__(self, where: object) -> None:
        self.where = where
        self.named: dict[str, Node | None] = {}  # None while a type is being read: it holds itself

    def root(self, text: bytes) -> Node:
        """Return the record that the file holds; raises CorruptData, and InvalidType for what Arrow cannot hold."""
        try:
            found = self.node(json.loads(text), "", ())
        except JukeboxError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise CorruptData(f"{self.where} is not whole Avro: its schema is none: {exc!r}") from exc
        if found.op != "record" or pa.types.is_map(found.arrow):
            raise InvalidType(f"{self.where} holds {found.arrow} and not records, which have columns")
        chosen(None, [field.name for field in found.arrow], self.where)
        return found

    def node(self, avro: Any, namespace: str, path: tuple[str, ...]) -> Node:  # noqa: PLR0911  a line a type
        """Return the node of a type; ``path`` leads to it."""
        if len(path) > DEEPEST:
            raise InvalidType(f"{self.where} nests more than {DEEPEST} types")
        if isinstance(avro, list):
            return self._union(avro, namespace, path)
        if isinstance(avro, str):
            return self._reference(avro, namespace, path)
        kind = avro["type"]
        if isinstance(kind, (dict, list)):
            return self.node(kind, namespace, path)
        if kind in {"record", "error", "enum", "fixed"}:
            return self._named(avro, kind, namespace, path)
        if kind == "array":
            item = self._item(self.node(avro["items"], namespace, (*path, "item")), path)
            return Node("array", pa.list_(field_of("item", item)), children=(item,))
        if kind == "map":
            value = self.node(avro["values"], namespace, (*path, "value"))
            return map_of(value)
        return _with_logical(self._reference(kind, namespace, path), avro, kind)

    def _item(self, item: Node, path: tuple[str, ...]) -> Node:
        if item.least_bytes == 0:
            raise InvalidType(f"{self._column(path)} is an array of {item.arrow}, which takes no bytes")
        return item

    def _union(self, avro: list[Any], namespace: str, path: tuple[str, ...]) -> Node:
        others = [each for each in avro if each != "null"]
        if len(avro) != 2 or len(others) != 1 or isinstance(others[0], list):  # noqa: PLR2004  null and one more
            kinds = ", ".join(_told(each) for each in avro)
            raise InvalidType(f"{self._column(path)} is a union of {kinds}; one of null and another type can be read")
        found = self.node(others[0], namespace, path)
        if found.op == "null":
            raise InvalidType(f"{self._column(path)} is a union of null with null")
        return replace(found, null_at=avro.index("null"))

    def _reference(self, name: str, namespace: str, path: tuple[str, ...]) -> Node:
        if name in PRIMITIVES:
            return Node("bytes" if name == "string" else name, PRIMITIVES[name])
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        full = full if full in self.named else name
        if full not in self.named:
            raise CorruptData(f"{self.where} is not whole Avro: {self._column(path)} has the unknown type '{name}'")
        found = self.named[full]
        if found is None:
            raise InvalidType(f"{self._column(path)} holds itself, by the name '{name}'; Arrow has no such type")
        return found

    def _named(self, avro: dict[str, Any], kind: str, namespace: str, path: tuple[str, ...]) -> Node:
        name = avro["name"]
        space = name.rpartition(".")[0] if "." in name else avro.get("namespace", namespace)
        full = name if "." in name or not space else f"{space}.{name}"
        self.named[full] = None
        if kind == "fixed":
            if not isinstance(avro["size"], int) or not 0 <= avro["size"] < 1 << 31:
                raise CorruptData(
                    f"{self.where} is not whole Avro: {self._column(path)} is fixed to {avro['size']} bytes"
                )
            found = Node("fixed", pa.binary(avro["size"]), number=avro["size"])
            found = _with_logical(found, avro, kind)
        elif kind == "enum":
            symbols = tuple(avro["symbols"])
            found = Node("int", pa.dictionary(pa.int32(), pa.string()), symbols=symbols)
        else:
            names = [str(field["name"]) for field in avro["fields"]]
            nodes = [self.node(field["type"], space, (*path, field["name"])) for field in avro["fields"]]
            fields = [field_of(name, node) for name, node in zip(names, nodes, strict=True)]
            found = Node("record", pa.struct(fields), children=tuple(nodes))
        self.named[full] = found
        return found

    def _column(self, path: tuple[str, ...]) -> str:
        return f"column '{'.'.join(path)}' of {self.where}"


def map_of(value: Node) -> Node:
    """Return the node of a map from text to ``value``."""
    key = Node("bytes", pa.string())
    kind = pa.map_(pa.string(), field_of("value", value))
    pair = pa.struct([pa.field("key", pa.string(), nullable=False), field_of("value", value)])
    return Node("array", kind, children=(Node("record", pair, children=(key, value)),))


def _with_logical(node: Node, avro: dict[str, Any], kind: str) -> Node:
    logical = avro.get("logicalType")
    if logical == "decimal" and kind in {"bytes", "fixed"}:
        precision, scale = avro.get("precision"), avro.get("scale", 0)
        if (
            isinstance(precision, int)
            and isinstance(scale, int)
            and 0 <= scale <= precision <= WIDEST_256
            and precision
        ):
            wide = pa.decimal256 if precision > WIDEST_128 else pa.decimal128
            return replace(node, arrow=wide(precision, scale))
    return replace(node, arrow=LOGICAL.get((kind, str(logical)), node.arrow))


def _told(avro: Any) -> str:
    return str(avro.get("type")) if isinstance(avro, dict) else str(avro)
