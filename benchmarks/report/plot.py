"""Line charts and bar charts as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 60
_COLOURS = ("#8c8c8c", "#1f5fa8", "#2a9d5c", "#d1495b", "#8a5cb5")
_GRID, _INK = "#dddddd", "#333333"


@dataclass(frozen=True)
class Axis:
    """A vertical axis: the position of a value (0 at the bottom, 1 at the top), and the marked values."""

    place: Callable[[float], float]
    marks: Sequence[float]


def linear(most: float) -> Axis:
    """A linear axis from 0 to a round number above ``most``."""
    step = 10 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(step * factor for factor in (0.2, 0.5, 1, 2) if most / (step * factor) <= 6)
    top = step * math.ceil(most / step)
    return Axis(lambda value: value / top, [step * number for number in range(round(top / step) + 1)])


def logarithmic(least: float, most: float) -> Axis:
    """A logarithmic axis from the power of ten below ``least`` to the one above ``most``; both are positive."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    high = max(high, low + 1)
    return Axis(
        lambda value: (math.log10(max(value, 10.0**low)) - low) / (high - low),
        [10.0**power for power in range(low, high + 1)],
    )


def lines(
    title: str, unit: str, places: Sequence[str], series: Mapping[str, Sequence[float | None]], axis: Axis, limit: float
) -> str:
    """A line for each of ``series``, with a value or None for each of ``places``, and a dashed line at ``limit`` unless
    it is NaN."""
    step = _plot_width() / max(1, len(places) - 1)
    parts = [_frame(title, unit, axis), _legend(list(series))]
    parts += [_text(_LEFT + number * step, _HEIGHT - _BOTTOM + 20, place) for number, place in enumerate(places)]
    if limit == limit:
        y = _y(axis, limit)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_INK}" '
            f'stroke-dasharray="6 4"/>'
        )
    for colour, values in zip(_COLOURS, series.values(), strict=False):
        points = [(_LEFT + n * step, _y(axis, value)) for n, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    return _svg(parts)


def bars(title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float]], axis: Axis) -> str:
    """A bar for each of ``series`` in each of ``groups``, labelled with its value."""
    step = _plot_width() / len(groups)
    width = step * 0.8 / len(series)
    parts = [_frame(title, unit, axis), _legend(list(series))]
    for number, group in enumerate(groups):
        left = _LEFT + number * step + step * 0.1
        parts.append(_text(left + step * 0.4, _HEIGHT - _BOTTOM + 20, group))
        for place, (colour, values) in enumerate(zip(_COLOURS, series.values(), strict=False)):
            value = values[number]
            x, y = left + place * width, _y(axis, value)
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.92:.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y:.1f}" fill="{colour}"/>'
            )
            parts.append(_text(x + width * 0.46, y - 4, f"{value:.3g}", size=10))
    return _svg(parts)


def _plot_width() -> float:
    return _WIDTH - _LEFT - _RIGHT


def _y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - min(max(axis.place(value), 0.0), 1.0) * (_HEIGHT - _TOP - _BOTTOM)


def _frame(title: str, unit: str, axis: Axis) -> str:
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 22, title, anchor="start", size=15, weight="bold"),
        _text(_LEFT - 8, _TOP - 10, unit, anchor="end"),
    ]
    for mark in axis.marks:
        y = _y(axis, mark)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{mark:g}", anchor="end"))
    return "\n".join(parts)


def _legend(names: Sequence[str]) -> str:
    step = _plot_width() / max(1, len(names))
    parts = []
    for number, (colour, name) in enumerate(zip(_COLOURS, names, strict=False)):
        x, y = _LEFT + number * step, _HEIGHT - 14
        parts.append(f'<rect x="{x:.1f}" y="{y - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(_text(x + 18, y, name, anchor="start"))
    return "\n".join(parts)


def _text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{_INK}">{escape(words)}</text>'
    )


def _svg(parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif">'
    )
    return "\n".join([head, *parts, "</svg>\n"])
