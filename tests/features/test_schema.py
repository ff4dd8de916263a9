"""The packaged JSON schema: sound, of use to an editor, and of one mind with the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jukebox.errors import InvalidValue
from jukebox.features import FeatureName, parse_duration
from jukebox.features.data_types import arrow_type, canonical_type
from jukebox.features.schema import schema_text, validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = json.loads(schema_text())
FLIGHTS = Path(__file__).parents[2] / "pipelines" / "flights" / "features.yaml"


def allowed(definition: dict[str, Any], value: Any) -> bool:
    """Return whether a part of the schema takes ``value``."""
    return not list(validator({"$defs": SCHEMA["$defs"], **definition}).iter_errors(value))


def read_by(read: Callable[[str], object], text: str) -> bool:
    """Return whether ``read`` takes ``text``."""
    try:
        read(text)
    except InvalidValue:
        return False
    return True


def properties(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property that the schema declares, with what it refers to filled in."""
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items() if node.get("type") == "object" else ():
            yield name, {**SCHEMA["$defs"].get(value.get("$ref", "").rpartition("/")[2], {}), **value}
        for value in node.values():
            yield from properties(value)


def test_the_schema_is_valid() -> None:
    """It is a sound schema of Draft 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


def test_every_pattern_is_anchored() -> None:
    """A pattern speaks of the whole text: the reader matches it so."""
    patterns = re.findall(r'"pattern": "(.*)"', schema_text())
    assert len(patterns) > 5
    assert [text for text in patterns if not (text.startswith("^") and text.endswith("$"))] == []


def test_every_field_is_documented() -> None:
    """An editor can show a title, a description and an example or a default of every field."""
    bare = [
        name
        for name, value in properties(SCHEMA)
        if not {"title", "description"} <= value.keys() or not {"examples", "default", "items"} & value.keys()
    ]
    assert bare == []


def test_every_example_is_valid() -> None:
    """What the schema shows as an example it also takes."""
    shown = [(value, one) for _, value in properties(SCHEMA) for one in value.get("examples", ())]
    assert len(shown) > 20
    assert [one for value, one in shown if not allowed(value, one)] == []


@pytest.mark.skipif(not FLIGHTS.exists(), reason="the flights pipeline is not in this checkout")
def test_the_flights_pipeline_is_valid() -> None:
    """The packaged example passes the bare schema, as an editor applies it."""
    value = yaml.safe_load(FLIGHTS.read_text())
    assert list(Draft202012Validator(SCHEMA).iter_errors(value)) == []


@given(st.text("abz09_.-/@ \n", max_size=20) | st.from_regex(r"/?(entity/\w/component/\w./name/.\w|\w/.\w/\w.)"))
@example("/a/b/.c")
@example("a/b/c")
def test_schema_and_code_agree_on_names(text: str) -> None:
    """What the schema takes for a feature name, the code takes too, and nothing else."""
    assert allowed(SCHEMA["$defs"]["feature"]["properties"]["name"], text) == read_by(FeatureName.parse, text)


@given(st.text("0129dhmsu. ", max_size=8) | st.from_regex(r"(\d{1,2}(d|h|m|s|ms|us)){1,3}"))
@example("1h\u0661m")
def test_schema_and_code_agree_on_durations(text: str) -> None:
    """What the schema takes for a duration, the code takes too, and nothing else."""
    assert allowed({"$ref": "#/$defs/duration"}, text) == read_by(parse_duration, text)


@pytest.mark.parametrize(
    "text",
    [
        *SCHEMA["$defs"]["data_type"]["anyOf"][0]["enum"],
        *(
            "decimal(10, 2)",
            "decimal(38,38)",
            "list<string>",
            "list<float32, 128>",
            "list<decimal(10, 2), 4>",
        ),
    ],
)
def test_every_data_type_is_one_of_arrow(text: str) -> None:
    """What the schema takes for a data type has an Arrow type, in its canonical spelling too."""
    assert allowed({"$ref": "#/$defs/data_type"}, text)
    assert (arrow_type(text) is None) == (text == "any")
    assert arrow_type(canonical_type(text)) == arrow_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float",
        "int128",
        "list<any>",
        "list<list<int8>>",
        "list<int8, 0>",
        "list<>",
        "decimal(39, 1)",
        "decimal(0, 0)",
    ],
)
def test_what_is_no_data_type_is_refused_by_both(text: str) -> None:
    """What the schema refuses as a data type has no Arrow type either."""
    assert not allowed({"$ref": "#/$defs/data_type"}, text)
    with pytest.raises(InvalidValue, match="is no data type; there are any"):
        arrow_type(text)


@pytest.mark.parametrize("module", ["jukebox.features", "jukebox.features.file"])
def test_importing_the_nouns_brings_nothing_heavy(module: str) -> None:
    """Neither arrays nor a validator come with nouns or reader, and a YAML parser with the reader alone."""
    code = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {"pyarrow", "numpy", "jsonschema", "yaml", "zoneinfo"} & set(done.stdout.split())
    assert found == ({"yaml"} if module.endswith("file") else set())
