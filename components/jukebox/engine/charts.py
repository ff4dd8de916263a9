"""Small drawings of one feature in one split: a histogram as SVG, the most frequent values as bars."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT, STRIP = 200, 32, 10
SHOWN = 5

Bucket = tuple[float, float, float]  # low, high, how many values


def buckets(numbers: Any, kind: str) -> list[Bucket]:
    """Return the finite buckets of TFDV's histogram of ``kind``, ``STANDARD`` or ``QUANTILES``."""
    for histogram in numbers.histograms:
        if histogram.HistogramType.Name(histogram.type) == kind and not histogram.name:
            found = [(b.low_value, b.high_value, b.sample_count) for b in histogram.buckets]
            return [b for b in found if math.isfinite(b[0]) and math.isfinite(b[1])]
    return []


def histogram(numbers: Any, span: tuple[float, float], label: Callable[[float], str]) -> str:
    """Return an SVG of the values' density over ``span``, the range of the middle 80 % and the median below.

    Drawings over one span compare by eye: what stands above one another is equal. Hovering shows the numbers.
    """
    bars = buckets(numbers, "STANDARD")
    if not bars:
        return ""
    total = sum(count for _, _, count in bars) or 1.0
    dense = [count / max(high - low, 1e-300) for low, high, count in bars]
    peak = max(dense) or 1.0
    drawn = "".join(_bar(bar, d / peak, total, span, label) for bar, d in zip(bars, dense, strict=True))
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT + STRIP}" role="img" aria-label="histogram">{drawn}'
        f'<path class="axis" d="M0 {HEIGHT}.5H{WIDTH}"/>{_strip(numbers, span, label)}</svg>'
    )


def top_values(strings: Any, rows: int) -> str:
    """Return the five most frequent values with their share of ``rows`` as bars, the rest folded away."""
    values = [(value.value, value.frequency) for value in strings.top_values]
    if not values:
        return ""
    most = values[0][1] or 1.0
    shown = [_value(value, count, rows, most) for value, count in values]
    more = shown[SHOWN:]
    folded = f"<details><summary>{len(more)} more</summary>{''.join(more)}</details>" if more else ""
    return "".join(shown[:SHOWN]) + folded


def share(part: float, whole: float) -> str:
    """Return ``part`` as a percentage: 0 %, < 0.1 %, 12.3 %, 100 %; rounded up to neither end."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:  # noqa: PLR2004 - the last digit shown
        return "< 0.1 %"
    return "100 %" if part == whole else f"{min(percent, 99.9):.1f} %"


def _bar(bar: Bucket, height: float, total: float, span: tuple[float, float], label: Callable[[float], str]) -> str:
    low, high, count = bar
    left, right = _x(low, span), _x(high, span)
    width = max(right - left - 1, 2.0)
    tall = max(height * (HEIGHT - 2), 1.0) if count else 0.0
    told = f"{label(low)} to {label(high)}: {count:,.0f} ({share(count, total)})"
    return (
        f'<rect class="bar" x="{left:.1f}" y="{HEIGHT - tall:.1f}" width="{width:.1f}" height="{tall:.1f}">'
        f"<title>{escape(told)}</title></rect>"
    )


def _strip(numbers: Any, span: tuple[float, float], label: Callable[[float], str]) -> str:
    edges = buckets(numbers, "QUANTILES")
    if len(edges) < 3 or not math.isfinite(numbers.median):  # noqa: PLR2004 - two are outer
        return ""
    low, high = edges[0][1], edges[-1][0]
    y = HEIGHT + STRIP / 2 + 1
    told = f"the middle 80 %: {label(low)} to {label(high)}; median {label(numbers.median)}"
    return (
        f"<g><title>{escape(told)}</title>"
        f'<path class="range" d="M{_x(low, span):.1f} {y}H{_x(high, span):.1f}"/>'
        f'<circle class="middle" cx="{_x(numbers.median, span):.1f}" cy="{y}" r="3"/></g>'
    )


def _x(value: float, span: tuple[float, float]) -> float:
    low, high = span
    if high <= low:
        return WIDTH / 2
    return 3 + (WIDTH - 6) * min(max((value - low) / (high - low), 0.0), 1.0)


def _value(value: str, count: float, rows: int, most: float) -> str:
    text = escape(value) or "<em>empty</em>"
    return (
        f'<div class="values"><span title="{escape(value)}">{text}</span>'
        f'<i style="width:{100 * count / most:.1f}%"></i><span class="soft">{share(count, rows)}</span></div>'
    )


def span_of(all_numbers: Sequence[Any]) -> tuple[float, float]:
    """Return the least and the greatest value that the histograms hold."""
    bars = [bar for numbers in all_numbers for bar in buckets(numbers, "STANDARD")]
    return min((low for low, _, _ in bars), default=0.0), max((high for _, high, _ in bars), default=0.0)
