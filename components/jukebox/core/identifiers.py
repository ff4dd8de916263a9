"""Ids as they are written, and from one way of writing to another, an Arrow array at a time and exactly.

A primitive entity has one id, which is written in more than one way: of a 128-bit number, ``gid_hex`` is the 32
digits in base 16, and ``base62`` the 22 digits in base 62, most significant first, zeros in front kept. The digits are
``0-9``, ``a-z``, ``A-Z`` in this order, as in the ids of Spotify's Web API (developer.spotify.com, "Spotify URIs and
IDs"; the order is that of librespot's ``SpotifyId``). 62**22 is more than 2**128: not every text of 22 digits is an id.

Other identifiers join by ``@conversion("from", "to")``. Nothing is chained and nothing guessed: two identifiers without
a conversion between them do not meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Conversion = Callable[[pa.Array], pa.Array]
    Bytes = npt.NDArray[np.uint8]
    Numbers = npt.NDArray[np.uint64]
    Truths = npt.NDArray[np.bool_]

BASE62, GID_HEX = "base62", "gid_hex"
WHAT = {
    BASE62: "22 digits 0-9a-zA-Z that stand for less than 2**128",
    GID_HEX: "32 digits 0-9a-f",
}
"""What an id looks like, by identifier: the words of an error."""

CONVERSIONS: dict[tuple[str, str], Conversion] = {}
"""By (from, to): a function from an array of text without nulls to one as long, null where the text is no such id."""

SHOWN = 5
_ALPHABET = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_NONE = 255
# Five digits of base 62 fit into 30 bits, so that a product with 32 bits and a carry fits into 64.
_DIGITS, _STEP, _LIMBS = 5, np.uint64(62**5), 4
_LENGTHS = {BASE62: 22, GID_HEX: 32}
_FEW, _ABOVE = 64, 2**128
_BASE62_LETTERS = _ALPHABET.tobytes().decode("ascii")
_BASE62_VALUES = {letter: value for value, letter in enumerate(_BASE62_LETTERS)}
_BASE62_DIGITS, _HEX_DIGITS = frozenset(_BASE62_LETTERS), frozenset("0123456789abcdefABCDEF")


def conversion(source: str, target: str) -> Callable[[Conversion], Conversion]:
    """Return a decorator that makes its function the way from one identifier to another.

    The function takes an array of ids without nulls and returns one as long, null where there is no such id.

    >>> @conversion("shouted", "spoken")
    ... def spoken(ids):
    ...     return pc.utf8_lower(ids)
    >>> convert(pa.array(["A", None]), "shouted", "spoken").to_pylist()
    ['a', None]
    """

    def register(function: Conversion) -> Conversion:
        CONVERSIONS[source, target] = function
        return function

    return register


def convertible(source: str, target: str) -> bool:
    """Return whether ids in ``source`` can be written as ``target``."""
    return source == target or (source, target) in CONVERSIONS


def require(source: str, target: str, whose: str) -> None:
    """Raise InvalidValue, which says ``whose`` ids they are, unless ``convertible``."""
    if not convertible(source, target):
        there = ", ".join(f"{one} to {other}" for one, other in sorted(CONVERSIONS))
        raise InvalidValue(f"{whose} is written as {source} and wanted as {target}; known are {there}")


def convert(
    ids: pa.Array | pa.ChunkedArray, source: str, target: str, *, column: str = "id", first_row: int = 0
) -> pa.Array | pa.ChunkedArray:
    """Return the ids, written as ``source``, as ``target`` writes them: one for each, a null for a null.

    Hexadecimal digits may be capitals; they are written small. ``column`` and ``first_row``, the number of the
    array's first row, are what an error calls them. Raises InvalidValue for identifiers without a conversion and, with
    their number and the first of them, for texts that are no id; InvalidType for what is no text.

    >>> convert(pa.array(["5sWHDYs0csV6RS48xBl0tH"]), "base62", "gid_hex").to_pylist()
    ['b39fe8081e1f4c54be38e8d6f9f12bb9']
    """
    require(source, target, f"column '{column}'")
    if source == target:
        return ids
    if isinstance(ids, pa.ChunkedArray):
        starts = np.cumsum([first_row, *(len(chunk) for chunk in ids.chunks)]).tolist()
        chunks = [_converted(c, source, target, column, at) for c, at in zip(ids.chunks, starts, strict=False)]
        return pa.chunked_array(chunks) if chunks else pa.chunked_array([], pa.string())
    return _converted(ids, source, target, column, first_row)


def convert_values(ids: Sequence[Any], source: str, target: str, *, column: str = "id") -> list[str | None]:
    """Return ids that come as Python values as ``convert`` writes them: what holds for a column holds for them.

    >>> convert_values(["5sWHDYs0csV6RS48xBl0tH", None], "base62", "gid_hex")
    ['b39fe8081e1f4c54be38e8d6f9f12bb9', None]
    """
    wrong = next((value for value in ids if value is not None and not isinstance(value, str)), None)
    if wrong is not None:
        raise InvalidType(f"column '{column}': ids in {source} are text, not {wrong!r}")
    of_one = _OF_ONE.get(CONVERSIONS.get((source, target))) if len(ids) <= _FEW else None
    if of_one is not None:
        few = [None if value is None else of_one(value) for value in ids]
        if few.count(None) == ids.count(None):
            return few
    try:
        texts = pa.array(ids, pa.string())
    except UnicodeEncodeError as exc:
        raise InvalidValue(f"column '{column}' holds half a surrogate pair, which is no {source}") from exc
    found: list[str | None] = convert(texts, source, target, column=column).to_pylist()
    return found


def _converted(ids: pa.Array, source: str, target: str, column: str, first_row: int) -> pa.Array:
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    known = ids.drop_null() if ids.null_count > 0 else ids
    found = CONVERSIONS[source, target](known)
    if found.null_count > 0:
        raise _bad(ids, found, source, column, first_row)
    if ids.null_count == 0:
        return found
    # Where an id is missing its place is taken by none: the n-th id that is there is the n-th that was found.
    valid = ids.is_valid().to_numpy(zero_copy_only=False)
    return found.take(pa.array(np.cumsum(valid) - 1, mask=~valid))


def _bad(ids: pa.Array, found: pa.Array, source: str, column: str, first_row: int) -> InvalidValue:
    valid = np.flatnonzero(ids.is_valid().to_numpy(zero_copy_only=False))
    rows = valid[found.is_null().to_numpy(zero_copy_only=False)]
    shown = ", ".join(f"row {first_row + row} {ids[row].as_py()!r}" for row in rows[:SHOWN].tolist())
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    what = f" ({WHAT[source]})" if source in WHAT else ""
    count = f"{len(rows)} of {len(ids)} values are no {source}{what}"
    return InvalidValue(f"column '{column}': {count}: {shown}{more}")


@conversion(BASE62, GID_HEX)
def _gid_hex(ids: pa.Array) -> pa.Array:
    text, good = _letters(ids, BASE62)
    digits = _values(_ALPHABET)[text]
    good[good] = within = digits.max(axis=1, initial=0) != _NONE
    limbs, over = _from_base62(digits[within])
    good[good] = ~over
    octets = limbs[~over].astype(">u4").view(np.uint8)
    return _text(_HEX[np.stack([octets >> 4, octets & 15], axis=-1).reshape(-1, _LENGTHS[GID_HEX])], good)


@conversion(GID_HEX, BASE62)
def _base62(ids: pa.Array) -> pa.Array:
    text, good = _letters(ids, GID_HEX)
    nibbles = _values(_HEX, np.frombuffer(b"0123456789ABCDEF", np.uint8))[text]
    good[good] = within = nibbles.max(axis=1, initial=0) != _NONE
    nibbles = nibbles[within]
    octets = np.ascontiguousarray(nibbles[:, ::2] << 4 | nibbles[:, 1::2])
    return _text(_ALPHABET[_to_base62(octets.view(">u4").astype(np.uint64))], good)


def _gid_hex_of_one(text: str) -> str | None:
    if len(text) != _LENGTHS[BASE62] or not _BASE62_DIGITS.issuperset(text):
        return None
    number = 0
    for letter in text:
        number = number * 62 + _BASE62_VALUES[letter]
    return f"{number:032x}" if number < _ABOVE else None


def _base62_of_one(text: str) -> str | None:
    if len(text) != _LENGTHS[GID_HEX] or not _HEX_DIGITS.issuperset(text):
        return None
    number, letters = int(text, 16), []
    for _ in range(_LENGTHS[BASE62]):
        number, digit = divmod(number, 62)
        letters.append(_BASE62_LETTERS[digit])
    return "".join(reversed(letters))


# An array of one costs a hundred times what its one id costs; where one of a few is none, the array says which.
_OF_ONE: dict[Conversion | None, Callable[[str], str | None]] = {_gid_hex: _gid_hex_of_one, _base62: _base62_of_one}


def _letters(ids: pa.Array, identifier: str) -> tuple[Bytes, Truths]:
    """Return the bytes of the texts of the right length, a row each, and which of all texts these are."""
    if str(ids.type) not in {"string", "large_string", "string_view", "null"}:
        raise InvalidType(f"ids in {identifier} are text, and these are {ids.type}")
    width = _LENGTHS[identifier]
    raw = (pa.array(ids.to_pylist(), pa.string()) if str(ids.type).endswith("_view") else ids).cast(pa.large_binary())
    good = pc.equal(pc.binary_length(raw), width).to_numpy(zero_copy_only=False).astype(np.bool_)
    if not good.all():
        raw = raw.filter(pa.array(good))
    if len(raw) == 0:
        return np.empty((0, width), np.uint8), good
    first = int(np.frombuffer(raw.buffers()[1], np.int64, 1, raw.offset * 8)[0])
    return np.frombuffer(raw.buffers()[2], np.uint8, len(raw) * width, first).reshape(-1, width), good


def _values(*alphabets: Bytes) -> Bytes:
    values = np.full(256, _NONE, np.uint8)
    for alphabet in alphabets:
        values[alphabet] = np.arange(len(alphabet), dtype=np.uint8)
    return values


def _from_base62(digits: Bytes) -> tuple[Numbers, Truths]:
    """Return the numbers in four limbs of 32 bits, the most significant first, and which do not fit into them."""
    limbs = np.zeros((len(digits), _LIMBS), np.uint64)
    over = np.zeros(len(digits), np.bool_)
    for start in range(_LENGTHS[BASE62] % _DIGITS - _DIGITS, _LENGTHS[BASE62], _DIGITS):
        carry = np.zeros(len(digits), np.uint64)
        for digit in digits[:, max(start, 0) : start + _DIGITS].T:
            carry = carry * np.uint64(62) + digit
        for limb in reversed(range(_LIMBS)):
            carry += limbs[:, limb] * _STEP
            limbs[:, limb] = carry & np.uint64(0xFFFFFFFF)
            carry >>= np.uint64(32)
        over |= carry > 0
    return limbs, over


def _to_base62(limbs: Numbers) -> Bytes:
    """Return the 22 digits of the numbers, given in four limbs of 32 bits, the most significant first."""
    digits = np.empty((len(limbs), _LENGTHS[BASE62]), np.uint8)
    for end in range(_LENGTHS[BASE62], 0, -_DIGITS):
        rest = np.zeros(len(limbs), np.uint64)
        for limb in range(_LIMBS):
            rest = rest << np.uint64(32) | limbs[:, limb]
            limbs[:, limb], rest = rest // _STEP, rest % _STEP
        for place in range(end - 1, max(end - _DIGITS, 0) - 1, -1):
            digits[:, place] = rest % np.uint64(62)
            rest //= np.uint64(62)
    return digits


def _text(letters: Bytes, good: Truths) -> pa.Array:
    """Return the rows of letters as text, null where the row is not good."""
    sizes = np.where(good, letters.shape[1], 0)
    offsets = np.zeros(len(good) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    mask = None if good.all() else pa.array(good).buffers()[1]
    data = pa.py_buffer(np.ascontiguousarray(letters))
    found = pa.Array.from_buffers(pa.large_string(), len(good), [mask, pa.py_buffer(offsets), data])
    return found.cast(pa.string())
