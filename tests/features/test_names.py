"""Feature names: what spells one, and what each form of it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.errors import InvalidType, InvalidValue
from jukebox.features import FeatureName

entities = st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True)
words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", fullmatch=True)
names = st.builds(FeatureName, entities, words, words)

TEMP = FeatureName("airport", "flights-weather", "temp")


@pytest.mark.parametrize(
    "text",
    [
        "/entity/airport/component/flights-weather/name/temp",
        "entity/airport/component/flights-weather/name/temp",
        "/airport/flights-weather/temp",
        "airport/flights-weather/temp",
    ],
)
def test_four_spellings_are_one_name(text: str) -> None:
    """The canonical and the short form, each with and without its leading slash, read as the same name."""
    assert FeatureName.parse(text) == TEMP


@given(names)
def test_what_a_name_writes_reads_back(name: FeatureName) -> None:
    """The canonical form and the short form both read back as the name that wrote them."""
    assert FeatureName.parse(str(name)) == name
    assert FeatureName.parse(name.short) == name


def test_the_family_leaves_out_who_makes_it() -> None:
    """The same idea of the same entity is one family, whichever pipeline makes it."""
    assert TEMP.family == FeatureName("airport", "other", "temp").family == "/airport/temp"


def test_dots_are_allowed_in_component_and_name() -> None:
    """A name with dots keeps them in every form."""
    name = FeatureName.parse("user/days_28_summary.v2/total.skips")
    assert str(name) == "/entity/user/component/days_28_summary.v2/name/total.skips"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "temp",
        "airport/temp",
        "//airport/weather/temp",
        "airport/weather/temp/",
        "airport/weather/temp@1",
        "airport/weather/temp\n",
        "air port/weather/temp",
        "air.port/weather/temp",
        "airport/../temp",
        "airport/weather/.hidden",
        "entity/airport/component/weather/temp",
        "entity//component/weather/name/temp",
        "aéroport/weather/temp",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """A text that spells no name is refused, and the error shows some of it."""
    with pytest.raises(InvalidValue, match=r"must be|is written"):
        FeatureName.parse(text)


def test_a_name_is_text() -> None:
    """What is no text is refused with its type."""
    with pytest.raises(InvalidType, match="not int 5"):
        FeatureName.parse(5)  # type: ignore[arg-type]
