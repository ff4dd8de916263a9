"""The JSON schema of a features file, and its verdict in sentences of ours."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any

from jukebox.features.spellings import offer
from jukebox.features.yaml_lines import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

    from jukebox.features.yaml_lines import Fault

_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def schema_text() -> str:
    """Return the JSON schema (Draft 2020-12) of a features file, as it is packaged."""
    return resources.files("jukebox.features").joinpath("features.schema.json").read_text(encoding="utf-8")


def schema_faults(value: Any, schema: Any = None) -> list[Fault]:
    """Return every fault of ``value`` against a schema, by default that of a features file.

    Of what has the wrong type, no other fault is told.
    """
    errors = list(validator(json.loads(schema_text()) if schema is None else schema).iter_errors(value))
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    told = [e for e in errors if e.validator == "type" or tuple(e.absolute_path) not in mistyped]
    # A dict is an ordered set here: jsonschema repeats itself where several required fields are missing.
    return list(dict.fromkeys(fault for error in told for fault in _faults(error)))


def validator(schema: Any) -> Validator:
    """Return a validator (Draft 2020-12) of ``schema`` to which ``$`` is the very end of a text.

    Python's own ``$`` lets a line break follow. Our patterns are all anchored, so a full match says the same.
    """
    with _without("rfc3987_syntax"):
        from jsonschema import Draft202012Validator, ValidationError, validators

    def pattern(_: Validator, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(value, str) and re.fullmatch(pattern, value) is None:
            yield ValidationError(f"'{value}' does not match {pattern}")

    strict: type[Validator] = validators.extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return strict(schema)


@contextmanager
def _without(optional: str) -> Iterator[None]:
    # jsonschema checks formats, which we do not use, with this library: its import parses a grammar for seconds.
    hidden = optional not in sys.modules
    if hidden:
        sys.modules[optional] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[optional]


def _faults(error: Any) -> Iterator[Fault]:
    path, schema, value = tuple(error.absolute_path), error.schema, error.instance
    if error.validator == "type":
        yield path, _wrong_type(error.validator_value, value)
    elif error.validator == "additionalProperties":
        known = schema["properties"]
        for name in (name for name in value if name not in known):
            hint = offer(name, known) or f"; there are {', '.join(known)}"
            yield (*path, name), f"there is no such field{hint}"
    elif "errorMessage" in schema:
        yield path, _own_message(schema, value)
    elif error.validator == "required":
        for name in (name for name in error.validator_value if name not in value):
            yield path, f"field '{name}' is missing"
    else:
        yield path, _sentence(error)


def _wrong_type(expected: str | list[str], value: Any) -> str:
    types = [expected] if isinstance(expected, str) else expected
    wanted = f"it must be {' or '.join(_WORDS[name] for name in types)}"
    quote = ", in quotes" if "string" in types else ""
    if value is None:
        return f"has no value; {wanted}, or be left out"
    if isinstance(value, Ambiguous):
        return f"{value.text} is {value.kind} to some readers of YAML; {wanted}{quote}"
    if isinstance(value, dict | list):
        return f"is {'a mapping' if isinstance(value, dict) else 'a list'}; {wanted}"
    if isinstance(value, str):
        return f"is the text '{value}'; {wanted}"
    kind = "boolean" if isinstance(value, bool) else "number"
    return f"is the {kind} {json.dumps(value)}; {wanted}{quote}"


def _own_message(schema: dict[str, Any], value: Any) -> str:
    if not isinstance(value, str):
        return str(schema["errorMessage"])
    known = [name for branch in schema.get("anyOf", ()) for name in branch.get("enum", ())]
    return f"'{value}' is not valid: {schema['errorMessage']}{offer(value, known)}"


def _sentence(error: Any) -> str:
    value, limit = error.instance, error.validator_value
    if error.validator == "enum":
        return f"'{value}' is not one of {', '.join(limit)}{offer(value, limit)}"
    sentences = {
        "minItems": "is empty",
        "minLength": "is empty",
        "uniqueItems": "holds a value twice",
        "const": f"is {value}, and {limit} is the only one that this Jukebox reads",
        "minimum": f"{value} is less than {limit}",
        "maximum": f"{value} is more than {limit}",
        "dependentRequired": "has a created_time and no event_time",
    }
    return sentences.get(error.validator, str(error.message))
