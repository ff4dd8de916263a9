"""The codec, compiled and not: the same bytes, and of any bytes what protocol buffers themselves read or refuse."""

from __future__ import annotations

import itertools
import os
import struct
from random import Random
from typing import Any

import google_crc32c
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jukebox.formats import codec_numpy
from tests.formats import wire
from tests.formats.wire import sized, varint

try:
    from jukebox.formats import _codec
except ImportError:
    _codec = None
CODERS = [
    pytest.param(codec_numpy, id="numpy"),
    pytest.param(
        _codec,
        id="compiled",
        marks=pytest.mark.skipif(
            _codec is None, reason="the codec is not built: install a C compiler and Python's headers, run `make`"
        ),
    ),
]
KINDS = ["bytes_list", "float_list", "int64_list"]
many = settings(max_examples=int(os.environ.get("JUKEBOX_EXAMPLES", "300")), deadline=None)
SEEDS = st.integers(0, 2**64 - 1)

Found = dict[tuple[bool, bytes], Any]


def by_protobuf(record: bytes) -> Found | None:
    """Return what protobuf reads: (nested, key) to the kind and the values, or a list of these; None if it refuses."""
    try:
        read = wire.Example.FromString(record)
    except DecodeError:
        return None
    found: Found = {(False, each.key.encode()): _values(each.value) for each in read.context.entry}
    for each in read.feature_lists.entry:
        found[True, each.key.encode()] = [_values(feature) for feature in each.value.feature]
    return found


def _values(feature: Any) -> tuple[int, list[Any]] | None:
    kind = feature.WhichOneof("kind")
    if kind is None:
        return None
    values = list(getattr(feature, kind).value)
    return KINDS.index(kind) + 1, _plain(values) if kind == "float_list" else values


def _plain(floats: list[float]) -> list[float | str]:
    return ["nan" if value != value else value for value in floats]  # noqa: PLR0124 - that is what NaN is


def by_us(coder: Any, data: bytes, spans: list[tuple[int, int]], wanted: Any = None) -> list[Found]:
    """Return what the coder reads of each record, as ``by_protobuf`` tells it."""
    rows: list[Found] = [{} for _ in spans]
    for name, nested, kind, counts, inner, values, ends in coder.decode(data, np.array(spans, np.int64), wanted):
        left = _listed(kind, values, ends)
        inside = np.frombuffer(inner, np.int32).tolist()
        for row, count in zip(rows, np.frombuffer(counts, np.int32).tolist(), strict=True):
            if nested and count >= 0:
                row[True, name] = [_taken(kind, left, inside.pop(0)) for _ in range(count)]
            elif not nested:
                row[False, name] = _taken(kind, left, count)
        assert not left
        assert not inside
    return rows


def _listed(kind: int, values: bytes, ends: bytes) -> list[Any]:
    if kind == 1:
        starts = [0, *np.frombuffer(ends, np.int64).tolist()]
        return [values[first:last] for first, last in itertools.pairwise(starts)]
    return _plain(np.frombuffer(values, np.float32 if kind == 2 else np.int64).tolist())


def _taken(kind: int, left: list[Any], count: int) -> tuple[int, list[Any]] | None:
    if count < 0:
        return None
    values = left[:count]
    del left[:count]
    return kind, values


def without_missing(found: Found) -> Found:
    """Return what is found without the keys that have no kind, which are as good as missing."""
    return {key: value for key, value in found.items() if value is not None}


def agrees(coder: Any, record: bytes) -> None:
    """Hold the coder to protobuf: the same answer; no answer where it has none, or where kinds are mixed."""
    read = by_protobuf(record)
    try:
        (ours,) = by_us(coder, record, [(0, len(record))])
    except ValueError as exc:
        why, row, at, name = exc.args
        assert row == 0
        assert 0 <= at <= len(record)
        assert read is None or name is not None, why
        return
    assert read is not None
    assert without_missing(ours) == without_missing(read)


@pytest.mark.parametrize("coder", CODERS)
@given(SEEDS)
@many
def test_what_the_wire_allows_is_read_as_protobuf_reads_it(coder: Any, seed: int) -> None:
    """Unknown fields, groups, keys and kinds that come twice, packed and not, numbers that are padded."""
    record = wire.example(Random(seed))
    assert by_protobuf(record) is not None
    agrees(coder, record)


@pytest.mark.parametrize("coder", CODERS)
@given(st.one_of(SEEDS.map(lambda seed: wire.broken(Random(seed))), st.binary(max_size=30)))
@example(sized(1, sized(1, sized(1, b"a") + sized(2, sized(3, b"\x08" + b"\xff" * 9 + b"\x7f")))))
@example(b"\x0a" + b"\x80" * 9 + b"\x01")
@example(b"\x0a" + varint(2**63))
@example(varint(7 << 3 | 3) * 200 + varint(7 << 3 | 4) * 200)
@many
def test_broken_bytes_are_refused_or_read_as_protobuf_reads_them(coder: Any, record: bytes) -> None:
    """Nothing that protobuf refuses is taken for an example."""
    agrees(coder, record)


def test_a_number_of_eleven_bytes_and_a_negative_length_are_refused() -> None:
    """Where they stand is told: the row and the byte."""
    eleven = sized(1, sized(1, sized(2, sized(3, b"\x08" + b"\xff" * 10 + b"\x01"))))
    negative = b"\x0a" + varint(2**64 - 1)
    for param in CODERS[: 1 if _codec is None else 2]:
        (coder,) = param.values
        for record, at in ((eleven, 9), (negative, 1)):
            data = sized(1, b"") + record
            with pytest.raises(ValueError, match="more than") as caught:
                by_us(coder, data, [(0, 2), (2, len(data))])
            assert caught.value.args[1:] == (1, at + 2, None)


@pytest.mark.parametrize("coder", CODERS)
@given(SEEDS, st.lists(st.sampled_from(wire.KEYS), unique=True), st.binary(max_size=12))
@many
def test_records_are_read_each_for_itself(coder: Any, seed: int, keys: list[bytes], around: bytes) -> None:
    """Neither other records nor what lies around one has a part in it; wanted keys come in their order, and alone."""
    random = Random(seed)
    records = [random.choice([wire.example, wire.example, wire.broken])(random) for _ in range(random.randint(0, 4))]
    data, spans = around, []
    for record in records:
        spans.append((len(data), len(data) + len(record)))
        data += record + around
    try:
        alone = [by_us(coder, record, [(0, len(record))])[0] for record in records]
        together = by_us(coder, data, spans)
    except ValueError as exc:
        # Of two records that hold two kinds under one key each can be read by itself.
        assert exc.args[3] is not None or any(by_protobuf(record) is None for record in records)  # noqa: PT017
        return
    assert [without_missing(row) for row in together] == [without_missing(row) for row in alone]
    wanted = [(key, nested, 0) for key in keys for nested in (0, 1)]
    assert [(name, nested) for name, nested, *_ in coder.decode(data, np.array(spans, np.int64), wanted)] == [
        each[:2] for each in wanted
    ]
    chosen = [{key: row[key] for key in row if key[1] in keys} for row in together]
    assert [without_missing(row) for row in by_us(coder, data, spans, wanted)] == list(map(without_missing, chosen))


@pytest.mark.parametrize("coder", CODERS)
def test_a_wanted_key_of_another_kind_is_named(coder: Any) -> None:
    """With its row, whether it is wanted so or was so before."""
    integers, floats = (sized(1, sized(1, sized(1, b"a") + sized(2, sized(kind, b"")))) for kind in (3, 2))
    spans = [(0, len(integers)), (len(integers), len(integers) + len(floats))]
    for wanted, row, why in ((None, 1, "it holds floats"), ([(b"a", 0, 2)], 0, "it holds integers")):
        with pytest.raises(ValueError, match=why) as caught:
            by_us(coder, integers + floats, spans, wanted)
        assert caught.value.args[1] == row
        assert caught.value.args[3] == b"a"


@pytest.mark.parametrize("coder", CODERS)
def test_spans_outside_of_the_data_are_refused(coder: Any) -> None:
    """Before anything is read."""
    for span in ((0, 3), (-1, 1), (2, 1)):
        with pytest.raises(ValueError, match="outside"):
            by_us(coder, b"\x0a\x00", [span])


@given(st.binary(max_size=100))
@many
def test_checksums_are_those_of_the_library(data: bytes) -> None:
    """By the processor's instruction and by the table."""
    wanted = google_crc32c.value(data)
    assert codec_numpy.checksum(data) == wanted
    if _codec is not None:
        assert [_codec.checksum(data, plain) for plain in (False, True)] == [wanted, wanted]


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 40), st.integers(0, 255))
@many
def test_frames_are_split_alike(records: list[bytes], cut: int, flip: int) -> None:
    """Whole ones, cut off ones and broken ones: the same spans, the same reason and place."""
    data = bytearray(b"".join(_frame(record) for record in records))
    data = data[: max(0, len(data) - cut)]
    if flip < len(data):
        data[flip] ^= 1
    told = [_split(coder, bytes(data)) for coder in (codec_numpy, _codec) if coder is not None]
    assert all(each == told[0] for each in told)
    if cut == 0 and flip >= len(data):
        spans, used = told[0]
        assert used == len(data)
        assert [data[first:last] for first, last in np.frombuffer(spans, np.int64).reshape(-1, 2)] == records


def _split(coder: Any, data: bytes) -> Any:
    try:
        return coder.split(data)
    except ValueError as exc:
        return exc.args


def _frame(record: bytes) -> bytes:
    def masked(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)
