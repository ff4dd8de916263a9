"""The point-in-time cases of other projects' suites hold, forward and with feature rows reversed."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.core.asof import Features, join

pytestmark = pytest.mark.usefixtures("either_kernel")

CASES = sorted((Path(__file__).parents[1] / "cases" / "pit").glob("*.json"))
NANOSECONDS_FROM = 10**9


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type that a case's type name stands for."""
    if name.startswith("timestamp["):
        unit, _, zone = name.removeprefix("timestamp[").removesuffix("]").partition(", ")
        return pa.timestamp(unit, tz=zone or None)
    return {"bool": pa.bool_(), "date": pa.date32()}.get(name) or pa.type_for_alias(name)


def table(columns: list[list[str]], rows: list[list[Any]]) -> pa.Table:
    """Return a case's rows as a table."""
    by_name = {}
    for place, (name, kind) in enumerate(columns):
        by_name[name] = array([row[place] for row in rows], arrow_type(kind))
    return pa.table(by_name)


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return an array of ISO texts, numbers and nulls, with all of their digits."""
    if pa.types.is_timestamp(kind):
        return (
            pa.array([None if value is None else nanoseconds(value) for value in values], pa.timestamp("ns"))
            .cast(pa.timestamp(kind.unit))
            .cast(pa.int64())
            .cast(kind)
        )
    if pa.types.is_date(kind):
        return pa.array([None if value is None else date.fromisoformat(value) for value in values], kind)
    return pa.array(values, kind)


def nanoseconds(text: str) -> int:
    """Return the nanoseconds since the epoch of an ISO time; without a zone it is UTC."""
    whole, _, rest = text.replace("Z", "+00:00").partition(".")
    digits = rest.split("+")[0]
    moment = datetime.fromisoformat(whole.split("+")[0]).replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 10**9 + int(digits.ljust(9, "0") or 0)


def limit(ttl: dict[str, Any] | None) -> timedelta | None:
    """Return a case's limit; its integers are seconds, or nanoseconds from 10^9 on."""
    if ttl is None:
        return None
    amount, unit = ttl["amount"], ttl["unit"]
    if unit == "int":
        return timedelta(microseconds=amount // 1000) if amount >= NANOSECONDS_FROM else timedelta(seconds=amount)
    return timedelta(**{{"s": "seconds", "us": "microseconds", "d": "days"}[unit]: amount})


def request_of(case: dict[str, Any], *, backwards: bool) -> tuple[pa.Table, list[Features], dict[str, Any]]:
    """Return the labels, the features, their rows in their order or reversed, and the rules of a case."""
    step = -1 if backwards else 1
    features = [
        Features(
            table(source["columns"], source["rows"][::step]),
            keys=dict(source["keys"]),
            event_time=source["time"],
            created_time=source["created"],
            values={f"{source['name']}__{value}": value for value in source["values"]},
            max_age=limit(source["ttl"]),
        )
        for source in case["features"]
    ]
    labels, rules = case["labels"], case["semantics"]
    asked = {
        "label_time": labels["time"],
        "allow_exact": rules["match"] == "<=",
        "as_known": rules["created_filter"],
    }
    return table(labels["columns"], labels["rows"]), features, asked


def is_ordered(case: dict[str, Any]) -> bool:
    """Return whether the last of two equal rows wins, so that reversing them changes the answer."""
    return "order_dependent" in case["tags"] or case.get("order_dependent") is True


@pytest.mark.parametrize("backwards", [False, True], ids=["forward", "backwards"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_is_answered_as_its_project_expects(path: Path, *, backwards: bool) -> None:
    """The join's table equals the case's, types and order included, in whichever order feature rows come."""
    case = json.loads(path.read_text(encoding="utf-8"))
    if backwards and is_ordered(case):
        pytest.skip("the last of two equal rows wins, so that reversing them changes the answer")
    expected = table(case["expected"]["columns"], case["expected"]["rows"])
    labels, features, rules = request_of(case, backwards=backwards)
    found = join(labels, features, **rules)
    assert found.to_pydict() == expected.to_pydict()
    assert found.schema.equals(expected.schema)


def test_every_case_says_where_it_comes_from() -> None:
    """Each case names the project, its test and the licence."""
    for path in CASES:
        assert {"project", "test", "licence"} <= json.loads(path.read_text(encoding="utf-8"))["source"].keys()
