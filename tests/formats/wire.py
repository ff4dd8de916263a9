"""Examples as bytes with all that protocol buffers allow on the wire, and some that they do not; and their reader.

What is made comes from a ``random.Random``: Hypothesis draws its seed, for to draw every byte would take minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Make = Callable[[Random], bytes]

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)
KEYS = [b"a", b"b", b"\xc3\xbc", b"long" * 12, b""]


def varint(value: int, padding: int = 0) -> bytes:
    """Return the number in base 128, with so many bytes more than it needs."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F)
    digits += [0] * padding
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def tag(field: int, wire: int) -> bytes:
    """Return what stands before a value."""
    return varint(field << 3 | wire)


def sized(field: int, data: bytes) -> bytes:
    """Return a field with a length."""
    return tag(field, LENGTH) + varint(len(data)) + data


def number(random: Random) -> bytes:
    """Return a number of 64 bits or fewer, now and then with more bytes than it needs."""
    value = random.getrandbits(random.choice([3, 9, 40, 64]))
    return varint(value, random.choice([0, 0, 0, 1, 2]) if value < 1 << 49 else 0)


def junk(random: Random, depth: int = 0) -> bytes:
    """Return a field that no message here knows, or knows otherwise."""
    field, wire = random.randint(1, 5), random.choice([VARINT, FIXED64, FIXED32, LENGTH, START_GROUP])
    if wire == START_GROUP:
        inner = b"".join(junk(random, depth + 1) for _ in range(random.randint(0, 2 if depth < 3 else 0)))
        return tag(field, wire) + inner + tag(field, END_GROUP)
    if wire == LENGTH:
        return sized(9, random.randbytes(random.randint(0, 9)))
    return tag(field, wire) + (number(random) if wire == VARINT else random.randbytes(8 if wire == FIXED64 else 4))


def message(random: Random, *fields: Make, most: int = 3) -> bytes:
    """Return some of the fields in any order, and unknown ones now and then."""
    count = random.randint(0, most)
    return b"".join(junk(random) if random.random() < 0.05 else random.choice(fields)(random) for _ in range(count))


def int64_list(random: Random) -> bytes:
    """Return integers, packed and not."""
    return message(
        random,
        lambda random: tag(1, VARINT) + number(random),
        lambda random: sized(1, b"".join(number(random) for _ in range(random.randint(0, 4)))),
    )


def float_list(random: Random) -> bytes:
    """Return floats, packed and not."""
    return message(
        random,
        lambda random: tag(1, FIXED32) + random.randbytes(4),
        lambda random: sized(1, random.randbytes(4 * random.randint(0, 4))),
    )


def bytes_list(random: Random) -> bytes:
    """Return byte strings."""
    return message(random, lambda random: sized(1, random.randbytes(random.randint(0, 20))))


def feature(random: Random) -> bytes:
    """Return a list of one kind most often; none, or several of several kinds."""
    lists: list[Make] = [
        lambda random: sized(1, bytes_list(random)),
        lambda random: sized(2, float_list(random)),
        lambda random: sized(3, int64_list(random)),
    ]
    return random.choice(lists)(random) if random.random() < 0.8 else message(random, *lists)


def feature_list(random: Random) -> bytes:
    """Return a list of features, of one kind most often."""
    return message(random, lambda random: sized(1, feature(random)))


def entries(random: Random, value: Make) -> bytes:
    """Return a map: in an entry is a key and a value most often; none of these, or several in any order."""

    def key_of(random: Random) -> bytes:
        return sized(1, random.choice(KEYS))

    def value_of(random: Random) -> bytes:
        return sized(2, value(random))

    def entry(random: Random) -> bytes:
        usual = random.random() < 0.8
        return sized(1, key_of(random) + value_of(random) if usual else message(random, key_of, value_of))

    return message(random, entry, most=5)


def example(random: Random) -> bytes:
    """Return features, and lists of features."""
    return message(
        random,
        lambda random: sized(1, entries(random, feature)),
        lambda random: sized(2, entries(random, feature_list)),
    )


def broken(random: Random) -> bytes:
    """Return an example of which some bytes were changed, put in, left out or cut off."""
    data = bytearray(example(random))
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(data))
        what, new = random.choice("cpld"), random.choice([0, 1, 7, 8, 10, 11, 18, 26, 0x7F, 0x80, 0xFF])
        if what == "p" or at == len(data):
            data.insert(at, new)
        elif what == "c":
            data[at] = new
        elif what == "l":
            del data[at]
        else:
            del data[at:]
    return bytes(data)


def _reader() -> Any:
    """Return the message that a SequenceExample is on the wire: a map is a repeated message of a key and a value.

    Protobuf's own maps will not do: upb sets an entry with an unknown field aside, where C++ skips the field.
    """
    file = descriptor_pb2.FileDescriptorProto(name="wire.proto", package="wire", syntax="proto3")
    repeated, single = (
        descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
        descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    kinds = {"bytes": 12, "float": 2, "int64": 3, "string": 9}
    for name, fields in {
        "Bytes": [("value", repeated, "bytes")],
        "Floats": [("value", repeated, "float")],
        "Integers": [("value", repeated, "int64")],
        "Feature": [
            ("bytes_list", single, "Bytes"),
            ("float_list", single, "Floats"),
            ("int64_list", single, "Integers"),
        ],
        "FeatureList": [("feature", repeated, "Feature")],
        "Entry": [("key", single, "string"), ("value", single, "Feature")],
        "ListEntry": [("key", single, "string"), ("value", single, "FeatureList")],
        "Map": [("entry", repeated, "Entry")],
        "ListMap": [("entry", repeated, "ListEntry")],
        "Example": [("context", single, "Map"), ("feature_lists", single, "ListMap")],
    }.items():
        made = file.message_type.add(name=name)
        for place, (field, label, kind) in enumerate(fields):
            added = made.field.add(name=field, number=place + 1, label=label, type=kinds.get(kind, 11))
            if kind not in kinds:
                added.type_name = f".wire.{kind}"
            if name == "Feature":
                added.oneof_index = 0
        if name == "Feature":
            made.oneof_decl.add(name="kind")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("wire.Example"))


Example = _reader()
