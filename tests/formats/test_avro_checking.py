"""The look at Avro's bytes before fastavro reads them: what the compiled coder refuses, in its words, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.formats import avro, avro_rows
from jukebox.formats.avro_parsing import Parser
from jukebox.formats.avro_schema import program

TYPES = ["null", "boolean", "int", "long", "float", "double", "bytes", {"type": "fixed", "name": "f", "size": 2}]
compiled = pytest.mark.skipif(
    avro.coder is avro_rows, reason="the coder of Avro was not compiled here; a C compiler and `make` bring it"
)


def kinds() -> st.SearchStrategy[object]:
    """Draw types of a column."""
    leaf = st.sampled_from(TYPES[1:])
    nullable = leaf.flatmap(lambda kind: st.sampled_from([kind, ["null", kind], [kind, "null"]]))
    return nullable | nullable.map(lambda kind: {"type": "array", "items": kind})


@compiled
@settings(max_examples=400, deadline=None)
@given(kinds(), st.binary(max_size=24), st.integers(0, 4))
def test_both_coders_refuse_the_same_bytes_in_the_same_words(kind: object, data: bytes, rows: int) -> None:
    """Or read the same columns of them."""
    schema = {"type": "record", "name": "r", "fields": [{"name": "c", "type": kind}]}
    packed = program(Parser("t").root(json.dumps(schema).encode()), {"c"})
    assert told(avro.coder, packed, data, rows) == told(avro_rows, packed, data, rows)


def told(coder: Any, packed: bytes, data: bytes, rows: int) -> str:
    """Return what a coder says of a block, or how many values each of its columns has."""
    try:
        return str([column[0] for column in coder.decode(packed, [(rows, data)])])
    except ValueError as exc:
        return str(exc).partition(", at byte")[0]
