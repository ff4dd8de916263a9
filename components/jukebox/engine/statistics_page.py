"""A page about statistics: one file that opens from disk and asks no network, split above split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.engine.charts import histogram, share, span_of, top_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_COLOURS = 4
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMBERS = ("Mean", "Std", "Zeros", "Min", "Median", "Max")
_TEXTS = ("Unique", "Length")


@dataclass(frozen=True)
class Described:
    """A split's name with TFDV's statistics of its rows and the anomalies found in them."""

    split: str
    statistics: Any  # DatasetFeatureStatistics
    anomalies: Any  # Anomalies

    @property
    def anomaly_count(self) -> int:
        """How many anomalies the page lists for the split."""
        return len(list(faults(self.anomalies)))


def page(uri: str, splits: Sequence[Described], types: Mapping[str, str], left_out: Iterable[str] = ()) -> str:
    """Return the page: anomalies, then every feature with its numbers and drawing, split by split.

    ``types`` holds columns' Arrow types as text: times and dates are shown as such. ``left_out`` are the
    columns without statistics.
    """
    features = _features(splits)
    sections = [
        _section("Numbers", (*_NUMBERS, "Distribution"), features, "num_stats", splits, types),
        _section("Text and categories", (*_TEXTS, "Most frequent values"), features, "string_stats", splits, types),
        _section("Bytes and records", (), features, "", splits, types),
    ]
    template = Template(resources.files("jukebox.engine").joinpath("statistics_page.html").read_text("utf-8"))
    found = sum(split.anomaly_count for split in splits)
    omitted = ", ".join(left_out)
    return template.substitute(
        title=f"Statistics of {escape(uri)}",
        uri=escape(uri),
        tiles="".join(_tile(at, split) for at, split in enumerate(splits)),
        anomaly_count=found,
        anomalies=_anomalies(splits) if found else '<div class="good">None: all splits meet the schema.</div>',
        sections="".join(sections),
        footer=f"Columns of types that TFDV does not describe: {escape(omitted)}."
        if omitted
        else "By TensorFlow Data Validation; quantiles, unique and top values of large data are estimates.",
    )


def faults(anomalies: Any) -> Iterator[tuple[str, str, str]]:
    """Yield feature, short and long text of every anomaly; those of the whole data set have no feature."""
    infos = [*sorted(anomalies.anomaly_info.items()), ("", anomalies.dataset_anomaly_info)]
    for path, info in infos:
        feature = ".".join(info.path.step) or path
        for reason in info.reason:
            yield feature, reason.short_description, reason.description


def _features(splits: Sequence[Described]) -> dict[str, list[Any]]:
    """Return each feature's statistics split by split, None where it is not; in the order of the data."""
    features: dict[str, list[Any]] = {}
    for at, split in enumerate(splits):
        for feature in split.statistics.features:
            name = feature.name or ".".join(feature.path.step)
            features.setdefault(name, [None] * len(splits))[at] = feature
    return features


def _tile(at: int, split: Described) -> str:
    rows, features, bad = split.statistics.num_examples, len(split.statistics.features), split.anomaly_count
    told = f'<span class="bad">{_count(bad, "anomaly", "anomalies")}</span>' if bad else "no anomalies"
    name = f'<span class="dot"></span>{escape(split.split)}'
    return (
        f'<div class="tile split-{at % _COLOURS}">{name}<b>{rows:,}</b>'
        f'<span class="soft">rows · {_count(features, "feature", "features")} · {told}</span></div>'
    )


def _anomalies(splits: Sequence[Described]) -> str:
    found = [(fault, at) for at, split in enumerate(splits) for fault in faults(split.anomalies)]
    rows = [
        f'<tr><td>{_link(feature)}</td><td class="split split-{at % _COLOURS}"><span class="dot"></span>'
        f'{escape(splits[at].split)}</td><td class="bad">{escape(short)}</td><td>{escape(long)}</td></tr>'
        for (feature, short, long), at in sorted(found, key=lambda each: (each[0][0], each[1]))
    ]
    head = "".join(f"<th>{name}</th>" for name in ("Feature", "Split", "Anomaly", "What was found"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _link(feature: str) -> str:
    return f'<a href="#f-{escape(feature)}">{escape(feature)}</a>' if feature else "the whole data set"


def _section(  # noqa: PLR0917 - what a table shows
    title: str,
    columns: Sequence[str],
    features: Mapping[str, Sequence[Any]],
    stats: str,
    splits: Sequence[Described],
    types: Mapping[str, str],
) -> str:
    chosen = {name: found for name, found in features.items() if _stats_of(found) == stats}
    if not chosen:
        return ""
    heads = [("Feature", True), ("Split", False), ("Values", True), ("Missing", True)]
    heads += [(name, name in _NUMBERS or name in _TEXTS) for name in columns]
    groups = "".join(_group(name, found, splits, types.get(name, "")) for name, found in chosen.items())
    return (
        f'<section class="features"><h2>{title} <small>{len(chosen)}</small></h2><div class="card"><table>'
        f"<thead><tr>{''.join(_head(name, able) for name, able in heads)}</tr></thead>{groups}"
        "</table></div></section>"
    )


def _head(name: str, sortable: bool) -> str:
    if not sortable:
        return f"<th>{name}</th>"
    number = "" if name == "Feature" else ' class="number"'
    return f'<th{number} data-key="{name}"><button type="button">{name}</button></th>'


def _stats_of(found: Sequence[Any]) -> str:
    stats = next(feature.WhichOneof("stats") for feature in found if feature is not None)
    return stats if stats in ("num_stats", "string_stats") else ""


def _group(name: str, found: Sequence[Any], splits: Sequence[Described], arrow: str) -> str:
    """Return one feature's rows, a split each."""
    bad = sum(feature == name for split in splits for feature, _, _ in faults(split.anomalies))
    commons = [_common(feature) for feature in found if feature is not None]
    gaps = sum(common.num_missing for common in commons)
    kind = arrow or next(feature.Type.Name(feature.type).lower() for feature in found if feature is not None)
    flag = f' <a class="flag" href="#anomalies">{_count(bad, "anomaly", "anomalies")}</a>' if bad else ""
    first = (
        f'<th rowspan="{len(found)}" data-key="Feature" data-value="{escape(name)}">{escape(name)}{flag}'
        f"<small>{escape(kind)}</small></th>"
    )
    numbers = [feature.num_stats for feature in found if feature is not None and feature.HasField("num_stats")]
    rows = []
    for at, (feature, split) in enumerate(zip(found, splits, strict=True)):
        label = f'<td class="split"><span class="dot"></span>{escape(split.split)}</td>'
        cells = _cells(feature, arrow, span_of(numbers))
        rows.append(f'<tr class="split-{at % _COLOURS}">{first if at == 0 else ""}{label}{cells}</tr>')
    told = f'data-name="{escape(name)}" data-missing="{gaps}" data-anomalies="{bad}"'
    return f'<tbody id="f-{escape(name)}" {told}>{"".join(rows)}</tbody>'


def _common(feature: Any) -> Any:
    return getattr(feature, feature.WhichOneof("stats")).common_stats


def _cells(feature: Any, arrow: str, span: tuple[float, float]) -> str:
    if feature is None:
        absent = "".join(_number(name, "", "") for name in ("Values", "Missing", *_NUMBERS, *_TEXTS))
        return f'{absent}<td class="soft">not in this split</td>'
    common = _common(feature)
    rows = common.num_non_missing + common.num_missing
    missing = share(common.num_missing, rows)
    mark = f'<span class="bad">{missing}</span>' if common.num_missing else missing
    cells = _number("Values", f"{common.tot_num_values or common.num_non_missing:,}", common.tot_num_values)
    cells += _number("Missing", mark, common.num_missing / rows if rows else 0)
    if feature.HasField("num_stats"):
        return cells + _numeric(feature.num_stats, arrow, span)
    if feature.HasField("string_stats"):
        text, values = feature.string_stats, max(common.tot_num_values, 1)
        cells += _number("Unique", f"{text.unique:,}", text.unique)
        cells += _number("Length", _plain(text.avg_length), text.avg_length)
        return f"{cells}<td>{top_values(text, values)}</td>"
    return cells


def _numeric(numbers: Any, arrow: str, span: tuple[float, float]) -> str:
    count = numbers.common_stats.tot_num_values
    if not count:
        return "".join(_number(name, "", "") for name in _NUMBERS) + "<td></td>"
    plain = {"Mean": numbers.mean, "Min": numbers.min, "Median": numbers.median, "Max": numbers.max}
    told = {name: (moment(value, arrow), value) for name, value in plain.items()}
    told["Std"] = (_spread(numbers.std_dev, arrow), numbers.std_dev)
    told["Zeros"] = (share(numbers.num_zeros, count), numbers.num_zeros / count)
    cells = "".join(_number(name, *told[name]) for name in _NUMBERS)
    return f"{cells}<td>{histogram(numbers, span, lambda value: moment(value, arrow))}</td>"


def _number(key: str, text: str, value: float | str) -> str:
    return f'<td class="number" data-key="{key}" data-value="{value}">{text}</td>'


def moment(value: float, arrow: str) -> str:
    """Return ``value`` for reading: a time or date where the Arrow type says so, else up to five digits."""
    if not math.isfinite(value):
        return str(value)
    try:
        if arrow.startswith("timestamp"):
            return str(np.datetime64(int(value), "us").astype("datetime64[s]")).replace("T", " ")
        if arrow.startswith("date"):
            return str(np.datetime64(int(value), "D"))
    except (OverflowError, ValueError):
        pass  # a moment that the calendar has no name for: its number
    return _plain(value)


def _spread(value: float, arrow: str) -> str:
    if arrow.startswith("timestamp"):
        return f"{_plain(value / (_UNITS['us'] * 86_400))} days"
    return f"{_plain(value)} days" if arrow.startswith("date") else _plain(value)


def _plain(value: float) -> str:
    if value == int(value) if math.isfinite(value) else False:
        return f"{int(value):,}" if abs(value) < 1e12 else f"{value:.4g}"  # noqa: PLR2004 - fits a cell
    return f"{value:,.2f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"  # noqa: PLR2004


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
