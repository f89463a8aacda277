"""One page of Prometheus metrics made of those of several processes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_LABEL = "worker"


@dataclass(slots=True)
class _Family:
    """What the format wants together: the descriptions of a metric, and all of its series."""

    described: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merged(pages: Mapping[str, str]) -> str:
    """The metrics of all these pages, each series with a label ``worker``: the name of its page.

    Series are not added up: what may be added differs by metric, and counters of a process that was restarted begin at
    zero, which only whoever scrapes can see by the series.
    """
    families: dict[str, _Family] = {}
    for name, page in pages.items():
        _collect(families, name, page)
    return "".join(f"{line}\n" for family in families.values() for line in (*family.described, *family.samples))


def _collect(families: dict[str, _Family], name: str, page: str) -> None:
    family, new = _Family(), set[str]()
    for line in page.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            metric = line.split(" ", 3)[2]
            if metric not in families:
                families[metric] = _Family()
                new.add(metric)
            family = families[metric]
            if metric in new:
                family.described.append(line)
        elif line and not line.startswith("#"):
            family.samples.append(_labelled(line, name))


def _labelled(line: str, name: str) -> str:
    """The line of a series with the label in front of its own ones."""
    brace, space = line.find("{"), line.find(" ")
    if 0 <= brace < space:
        return f'{line[:brace]}{{{_LABEL}="{name}",{line[brace + 1 :]}'
    return f'{line[:space]}{{{_LABEL}="{name}"}}{line[space:]}'
