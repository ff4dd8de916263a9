"""Avro's schemas and Arrow's: which type becomes which, and what a value is made of on disk.

The source is the Avro 1.12 specification. A logical type that is unknown, or does not fit what it stands on, is
ignored, as the specification wants it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats.columns import chosen

# How many values, then the buffers "valid", "first" and "second" of a node, as _avro.h has them.
Column = tuple[int, Any, Any, Any]
OPS = ("null", "boolean", "int", "long", "float", "double", "bytes", "fixed", "array", "record")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
WIDEST_128, WIDEST_256 = 38, 76  # digits
UNITS = {"millis": "ms", "micros": "us", "nanos": "ns"}
PRIMITIVES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
LOGICAL = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    **{("long", f"timestamp-{name}"): pa.timestamp(unit, "UTC") for name, unit in UNITS.items()},
    **{("long", f"local-timestamp-{name}"): pa.timestamp(unit) for name, unit in UNITS.items()},
}


@dataclass(frozen=True)
class Node:
    """What a value is made of: ``op`` on disk, ``arrow`` in memory.

    ``null_at`` is the null branch of its union, -1 without a union; ``number`` the bytes of a fixed; ``symbols`` those
    of an enum. The children are an array's item, or a record's fields; a map is an array of records.
    """

    op: str
    arrow: pa.DataType
    null_at: int = -1
    number: int = 0
    symbols: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def least_bytes(self) -> int:
        """The fewest bytes that a value takes on disk."""
        widths = {"null": 0, "float": 4, "double": 8, "fixed": self.number}
        if self.null_at >= 0:
            return 1
        return sum(child.least_bytes for child in self.children) if self.op == "record" else widths.get(self.op, 1)


def program(root: Node, wanted: set[str]) -> bytes:
    """Return the schema as the compiled coder takes it: four int32 a node, in preorder."""
    names = [field.name for field in root.arrow]
    nodes = [struct.pack("<4i", OPS.index(root.op), -1, len(names), 1)]
    for name, child in zip(names, root.children, strict=True):
        nodes += _packed(child, wanted=name in wanted)
    return b"".join(nodes)


def _packed(node: Node, *, wanted: bool) -> list[bytes]:
    number = len(node.children) if node.op == "record" else node.number
    here = struct.pack("<4i", OPS.index(node.op), node.null_at, number, wanted)
    return [here, *(part for child in node.children for part in _packed(child, wanted=wanted))]


def field_of(name: str, node: Node) -> pa.Field:
    """Return the field that holds what the node does."""
    return pa.field(name, node.arrow, node.null_at >= 0 or node.op == "null")


def avro_of(schema: pa.Schema) -> dict[str, Any]:
    """Return the record that holds columns of these types.

    Raises InvalidType for a type that Avro does not have, InvalidValue for a name that it does not allow.
    """
    chosen(None, schema.names, "the schema to write")
    return {"type": "record", "name": "row", "fields": _fields(schema, "row")}


def _fields(fields: Any, path: str) -> list[dict[str, Any]]:
    for field in fields:
        if NAME.match(field.name) is None:
            raise InvalidValue(
                f"column '{field.name}' cannot have this name in Avro; it has letters, digits and _ alone"
            )
    return [{"name": field.name, "type": _nullable(field, f"{path}.{field.name}")} for field in fields]


def _nullable(field: pa.Field, path: str) -> Any:
    kind = _type(field.type, path)
    return ["null", kind] if field.nullable and kind != "null" else kind


def _type(kind: pa.DataType, path: str) -> Any:  # noqa: C901, PLR0911  a line a type
    test = pa.types
    space, _, name = path.rpartition(".")
    if isinstance(kind, pa.BaseExtensionType):
        return _type(kind.storage_type, path)
    if test.is_dictionary(kind):
        return _type(kind.value_type, path)
    if test.is_decimal(kind) and 0 <= kind.scale <= kind.precision:
        about = {"logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
        return {"type": "fixed", "name": name, "namespace": space, "size": decimal_bytes(kind.precision), **about}
    if test.is_fixed_size_binary(kind) and not test.is_decimal(kind):
        return {"type": "fixed", "name": name, "namespace": space, "size": kind.byte_width}
    if test.is_struct(kind):
        return {"type": "record", "name": name, "namespace": space, "fields": _fields(kind, path)}
    if test.is_map(kind) and (test.is_string(kind.key_type) or test.is_large_string(kind.key_type)):
        return {"type": "map", "values": _nullable(kind.item_field, f"{path}.value")}
    if test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind):
        if not test.is_null(kind.value_type):
            return {"type": "array", "items": _nullable(kind.value_field, f"{path}.item")}
    elif (stored := stored_type(kind)) is not None:
        names = {arrow: avro for avro, arrow in PRIMITIVES.items()}
        if stored in names:
            return names[stored]
        zone = "UTC" if test.is_timestamp(stored) and stored.tz is not None else None
        same = pa.timestamp(stored.unit, zone) if test.is_timestamp(stored) else stored
        base, logical = next(key for key, arrow in LOGICAL.items() if arrow == same)
        return {"type": base, "logicalType": logical}
    column = path.partition(".")[2]
    raise InvalidType(f"column '{column}' is {kind}, which Avro cannot hold without loss")


def decimal_bytes(precision: int) -> int:
    """Return the fewest bytes that hold every signed number of so many digits."""
    return (len(bin(10**precision)) - 2 + 1 + 7) // 8


def stored_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type that a column of one value a row is cast to before it is written; None where there is none."""
    test = pa.types
    if test.is_time(kind):
        return pa.time32("ms") if test.is_time32(kind) else pa.time64("us")
    if test.is_timestamp(kind):
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, kind.tz)
    if test.is_date(kind):
        return pa.date32()
    if test.is_integer(kind):
        return pa.int32() if kind.bit_width < 32 or kind == pa.int32() else pa.int64()  # noqa: PLR2004
    if test.is_floating(kind):
        return pa.float64() if kind == pa.float64() else pa.float32()
    plain = str(kind).removeprefix("large_").removesuffix("_view")
    return {"bool": pa.bool_(), "null": pa.null(), "string": pa.string(), "binary": pa.binary()}.get(plain)
