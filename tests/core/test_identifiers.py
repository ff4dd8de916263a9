"""Ids from one way of writing to another: exact, each in its place, and what is no id is told."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jukebox.core import identifiers
from jukebox.core.identifiers import CONVERSIONS, convert, convert_values, convertible
from jukebox.errors import InvalidType, InvalidValue

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST = 2**128 - 1
IDS = st.none() | st.integers(0, MOST)
LAYOUTS = {
    "string": lambda ids: ids,
    "large_string": lambda ids: ids.cast(pa.large_string()),
    "dictionary": lambda ids: ids.dictionary_encode(),
}
# Public ids, as librespot's tests have them.
KNOWN = {
    "5sWHDYs0csV6RS48xBl0tH": "b39fe8081e1f4c54be38e8d6f9f12bb9",
    "4GNcXTGWmnZ3ySrqvol3o4": "9a1b1cfbc6f244569ae0356c77bbe9d8",
    "0000000000000000000000": "0" * 32,
    "7N42dgm5tFLK9N8MT7fHC7": "f" * 32,
}


def base62(number: int) -> str:
    """Return the 22 digits of a number, one by one."""
    digits = ""
    for _ in range(22):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def said(ids: list[str | None], source: str = "base62", target: str = "gid_hex", **about: object) -> str:
    """Return what converting ids that are none is refused with."""
    with pytest.raises(InvalidValue) as caught:
        convert(pa.array(ids, pa.string()), source, target, **about)
    return str(caught.value)


@pytest.mark.parametrize(("short", "long"), KNOWN.items())
def test_known_ids_are_written_as_they_are_known(short: str, long: str) -> None:
    """Both ways, the least and the greatest id too."""
    assert convert(pa.array([short]), "base62", "gid_hex").to_pylist() == [long]
    assert convert(pa.array([long]), "gid_hex", "base62").to_pylist() == [short]


@given(st.lists(IDS, max_size=40), st.sampled_from(sorted(LAYOUTS)), st.integers(0, 3))
@example([MOST, 0, None, 62**21, 62**20 - 1, 2**96, 2**64 - 1, 2**32], "string", 1)
def test_every_number_of_128_bits_goes_there_and_back(numbers: list[int | None], layout: str, cut: int) -> None:
    """Digit by digit what arithmetic of whole numbers gives, in slices and in every layout of text, nulls in place."""
    hexes = [None if number is None else f"{number:032x}" for number in numbers]
    shorts = [None if number is None else base62(number) for number in numbers]
    written = convert(LAYOUTS[layout](pa.array(hexes, pa.string())).slice(cut), "gid_hex", "base62")
    assert written.to_pylist() == shorts[cut:]
    assert written.type == pa.string()
    read = convert(LAYOUTS[layout](pa.array(shorts, pa.string())).slice(cut), "base62", "gid_hex")
    assert read.to_pylist() == hexes[cut:]


@given(st.lists(st.none() | st.text(st.sampled_from("0aZf_é"), max_size=33), max_size=20))
def test_what_is_no_id_is_counted_and_what_is_one_is_converted(texts: list[str | None]) -> None:
    """Of any texts either all are ids, or the error counts those that are not and shows the first with its row."""
    bad = [(row, text) for row, text in enumerate(texts) if text is not None and not is_base62(text)]
    if not bad:
        converted = convert(pa.array(texts, pa.string()), "base62", "gid_hex").to_pylist()
        assert [text is None for text in texts] == [text is None for text in converted]
        return
    told = said(texts)
    assert f"{len(bad)} of {len(texts)} values are no base62" in told
    assert f"row {bad[0][0]} {bad[0][1]!r}" in told


def is_base62(text: str) -> bool:
    """Return whether a text is an id, by the definition."""
    if len(text) != 22 or not set(text) <= set(ALPHABET):
        return False
    number = 0
    for letter in text:
        number = number * 62 + ALPHABET.index(letter)
    return number <= MOST


def test_a_number_beyond_128_bits_is_no_id() -> None:
    """62**22 is more than 2**128: the first text that is too great is refused, the last that is not is read."""
    assert base62(MOST) == "7N42dgm5tFLK9N8MT7fHC7"
    for number in (MOST + 1, 62**22 - 1):
        assert f"row 0 '{base62(number)}'" in said([base62(number)])


def test_the_first_rows_are_shown_by_their_numbers_in_the_source() -> None:
    """Five of them, the others counted, and nulls are no fault."""
    told = said([None, "a", "b", *["c"] * 7], column="artist_gid", first_row=1000)
    assert told.startswith("column 'artist_gid': 9 of 10 values are no base62 (22 digits 0-9a-zA-Z")
    assert told.endswith("row 1001 'a', row 1002 'b', row 1003 'c', row 1004 'c', row 1005 'c' and 4 more")


def test_hexadecimal_digits_may_be_capitals_and_are_written_small() -> None:
    """An id is one number, however its digits are written."""
    short = convert(pa.array(["B39FE8081E1F4C54BE38E8D6F9F12BB9"]), "gid_hex", "base62")
    assert short.to_pylist() == ["5sWHDYs0csV6RS48xBl0tH"]
    assert "1 of 1 values are no gid_hex (32 digits 0-9a-f): row 0" in said(["g" * 32], "gid_hex", "base62")


def test_chunks_are_converted_one_by_one_and_rows_counted_through() -> None:
    """A chunked array stays one, of no chunk too."""
    chunks = pa.chunked_array([list(KNOWN)[:2], [None], list(KNOWN)[2:]], pa.string())
    assert convert(chunks, "base62", "gid_hex").to_pylist() == [*list(KNOWN.values())[:2], None, *["0" * 32, "f" * 32]]
    assert convert(pa.chunked_array([], pa.string()), "base62", "gid_hex").to_pylist() == []
    with pytest.raises(InvalidValue, match="row 12 'x'"):
        convert(pa.chunked_array([list(KNOWN)[:2], ["x"]]), "base62", "gid_hex", first_row=10)


def test_ids_of_numbers_and_bytes_are_refused() -> None:
    """A base62 id is text; an array of nothing but nulls is one of missing ids."""
    with pytest.raises(InvalidType, match="ids in base62 are text, and these are int64"):
        convert(pa.array([1]), "base62", "gid_hex")
    assert convert(pa.nulls(2), "base62", "gid_hex").to_pylist() == [None, None]


def test_nothing_is_guessed() -> None:
    """Without a conversion two identifiers do not meet; one and the same needs none, and is not looked at."""
    assert convertible("iata", "iata")
    assert not convertible("base62", "int64")
    assert convert(pa.array(["?"]), "base62", "base62").to_pylist() == ["?"]
    with pytest.raises(InvalidValue, match="'id' is written as iata and wanted as icao; known are base62 to gid_hex, "):
        convert(pa.array(["JFK"]), "iata", "icao")


def test_other_identifiers_join_by_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes ids without nulls and gives null for what is none; the rest is as for those that are known."""
    monkeypatch.setattr(identifiers, "CONVERSIONS", dict(CONVERSIONS))

    @identifiers.conversion("iata", "icao")
    def icao(ids: pa.Array) -> pa.Array:
        return pa.array([f"K{text}" if len(text) == 3 else None for text in ids.to_pylist()], pa.string())

    assert convert(pa.array(["JFK", None, "LGA"]), "iata", "icao").to_pylist() == ["KJFK", None, "KLGA"]
    assert "1 of 3 values are no iata: row 2 'Kennedy'" in said(["JFK", None, "Kennedy"], "iata", "icao")
    assert not convertible("icao", "iata")


DIGITS = st.sampled_from([*ALPHABET, "_", " ", "é", "٣", "\x00"])
TEXTS = st.one_of(
    st.integers(0, MOST).map(base62),
    st.integers(0, MOST).map(lambda number: f"{number:032x}"),
    st.integers(0, MOST).map(lambda number: f"{number:032X}"),
    st.text(DIGITS, min_size=21, max_size=23),
    st.text(DIGITS, min_size=31, max_size=33),
    st.text(),
)


@given(st.lists(st.none() | TEXTS, max_size=4), st.sampled_from(sorted(CONVERSIONS)))
@example(["Z" * 22], ("base62", "gid_hex"))
@example(["7N42dgm5tFLK9N8MT7fHC7"], ("base62", "gid_hex"))
@example(["7N42dgm5tFLK9N8MT7fHC7", "7N42dgm5tFLK9N8MT7fHC8"], ("base62", "gid_hex"))
@example(["\ud800" * 22], ("base62", "gid_hex"))
def test_a_few_values_are_converted_as_an_array_of_them_is(texts: list[str | None], way: tuple[str, str]) -> None:
    """The same ids, or the very same error: values have no rule of their own."""
    source, target = way
    try:
        expected: object = convert(pa.array(texts, pa.string()), source, target).to_pylist()
    except InvalidValue as exc:
        expected = str(exc)
    except UnicodeEncodeError:
        expected = f"column 'id' holds half a surrogate pair, which is no {source}"
    try:
        found: object = convert_values(texts, source, target)
    except InvalidValue as exc:
        found = str(exc)
    assert found == expected


def test_many_values_are_converted_too() -> None:
    """Beyond a few, by the array; a value that is no text is refused in either case."""
    ids = [f"{number:032x}" for number in range(200)]
    assert convert_values(convert_values(ids, "gid_hex", "base62"), "base62", "gid_hex") == ids
    for values in ([7], [*ids, 7]):
        with pytest.raises(InvalidType, match="column 'id': ids in gid_hex are text, not 7"):
            convert_values(values, "gid_hex", "base62")
