"""Charts as SVG, drawn by matplotlib, which ``make bench`` installs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import StringIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SIZE = (8.4, 4.2)
_COLOURS = ("#8c8c8c", "#1f5fa8", "#2a9d5c", "#d1495b", "#8a5cb5", "#e0a030")
_OURS, _OTHERS, _GRID, _INK = "#1f5fa8", "#b4b4b4", "#dddddd", "#333333"
_STYLE = {
    # Text stays text, and the same figures give the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "turngate",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=_COLOURS),
}


#: Values by name, 1 being that of the baseline; None if a value was not measured.
Ratios = Mapping[str, float | None]


def compared(title: str, panels: Mapping[str, Ratios], ours: Sequence[str], longest: float = 4.0) -> str:
    """Horizontal bars for the same names in every panel, which are given by title; those of ``ours`` in colour, with a
    line at 1. A bar that is longer than ``longest`` is cut, and says so."""
    with matplotlib.rc_context(_STYLE):
        names = list(next(iter(panels.values())))
        figure = Figure((8.4, 1.1 + 0.36 * len(names)), layout="constrained")
        figure.suptitle(title, fontsize=11, fontweight="bold")
        places = figure.subplots(1, len(panels), squeeze=False)[0]
        for number, (axes, (heading, ratios)) in enumerate(zip(places, panels.items(), strict=True)):
            _panel(axes, ratios, ours, longest)
            axes.set_title(heading, fontsize=10, loc="left")
            axes.set_yticks(range(len(names)), [""] * len(names) if number else names)
        return _svg(figure)


def lines(
    title: str,
    unit: str,
    places: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    limit: float | None = None,
    logarithmic: bool = False,
) -> str:
    """A line for each of ``series``, with a value or None for each of ``places``, and a dashed line at ``limit``."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _chart(title, unit, logarithmic)
        for name, values in series.items():
            known = [(place, value) for place, value in enumerate(values) if value is not None]
            axes.plot([place for place, _ in known], [value for _, value in known], marker="o", label=name)
        if limit is not None:
            axes.axhline(limit, color=_INK, linestyle="--", linewidth=1)
        if not logarithmic:
            axes.set_ylim(bottom=0)
        axes.set_xticks(range(len(places)), places)
        figure.legend(loc="outside lower center", ncols=len(series), frameon=False)
        return _svg(figure)


def over_time(
    title: str,
    unit: str,
    times: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float | None]]],
    *,
    span: tuple[float, float, str],
    logarithmic: Sequence[bool],
) -> str:
    """Panels by title, one below the other, each with lines by name over the same ``times``; ``span`` is a time with a
    name that is shaded in all of them. ``logarithmic``: for each panel."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((8.4, 2.6 * len(panels)), layout="constrained")
        figure.suptitle(title, fontsize=12, fontweight="bold")
        places = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (heading, series), scaled in zip(places, panels.items(), logarithmic, strict=True):
            axes.axvspan(span[0], span[1], color="#f3e3e3", zorder=0)
            for (name, values), colour in zip(series.items(), ("#d1495b", _OURS), strict=False):
                # Where there is no value, there is no line.
                shown = [math.nan if value is None else value for value in values]
                axes.plot(times, shown, color=colour, label=name)
            if scaled:
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:g}")
            else:
                axes.set_ylim(bottom=0)
            axes.set_title(heading, fontsize=10, loc="left")
            axes.grid(axis="y", color=_GRID)
            axes.legend(loc="upper left", frameon=False, fontsize=9)
            axes.text((span[0] + span[1]) / 2, 0.04, span[2], ha="center", transform=axes.get_xaxis_transform())
        places[-1].set_xlabel(unit)
        return _svg(figure)


def bars(title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """A bar for each of ``series`` in each of ``groups``, labelled with its value, on a logarithmic axis."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _chart(title, unit, logarithmic=True)
        width = 0.84 / len(series)
        for place, (name, values) in enumerate(series.items()):
            left = [number - 0.42 + width * (place + 0.5) for number in range(len(groups))]
            drawn = axes.bar(left, values, width * 0.92, label=name)
            axes.bar_label(
                drawn, [f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in values], fontsize=7, padding=1
            )
        axes.set_xticks(range(len(groups)), groups)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        return _svg(figure)


def _panel(axes: Axes, ratios: Ratios, ours: Sequence[str], longest: float) -> None:
    known = [value for value in ratios.values() if value is not None]
    width = max([1.0, *(min(value, longest) for value in known)]) * 1.25
    axes.axvline(1, color=_INK, linestyle="--", linewidth=1)
    for place, (name, value) in enumerate(ratios.items()):
        drawn = 0.0 if value is None else min(value, longest)
        axes.barh(place, drawn, 0.7, color=_OURS if name in ours else _OTHERS)
        text = "not carried" if value is None else _rounded(value) + " ×" + " →" * (value > longest)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(drawn + 0.02 * width, place, text, va="center", fontsize=9, bbox=behind)
    axes.set_xlim(0, width)
    axes.set_ylim(len(ratios) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines["bottom"].set_visible(False)


def _rounded(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _chart(title: str, unit: str, logarithmic: bool) -> tuple[Figure, Axes]:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=12, fontweight="bold", loc="left")
    axes.set_ylabel(unit)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> str:
    drawn = StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()) + "\n"
