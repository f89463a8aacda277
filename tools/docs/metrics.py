"""Generates docs/metrics.md: every metric of every service, from the registries of the services.

A registry belongs to a process, so each service is asked in a process of its own. ``python -m tools.docs.metrics``
prints the page, `make docs` writes it, and `make check` compares it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

from prometheus_client import REGISTRY

from turngate.cli.services import GATEWAY, SESSION_STATE, TRANSLATOR

_SERVICES = (GATEWAY, TRANSLATOR, SESSION_STATE)
_PREFIX = "turngate_"
_HEAD = """\
# Metrics

Use this page to look up a metric that a service exposes at `/metrics` of its internal port.
[Operations](operations.md#metrics) says what to alert on. Metrics with labels may appear only after their first
increment. Each service also has the `process_` and `python_` metrics of the Prometheus client for Python. A gateway
with [several workers](operations.md#several-workers) adds the label `worker` to all: a number, or `supervisor`.

Made by `make docs` from the services.

| name | type | labels | service | meaning |
|---|---|---|---|---|
"""
#: A setting, a stream, an event or a log entry within a sentence.
_NAME = re.compile(r"\b[A-Za-z]+(?:[._][A-Za-z-]+)+(?:=\w+)?\b")


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as one service describes it. The name is that of its series, without ``_bucket`` and such."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def described(package: str) -> Iterator[Described]:
    """The metrics of the service in this package, when nothing else was imported in this process."""
    import_module(f"{package}.app")
    if package == GATEWAY.package:
        # Those of the process that supervises several.
        import_module("gateway.workers.metrics")
        from gateway.metrics import SessionMetrics, counters

        SessionMetrics(counters(), tuple).register()
    # The client library has no public way to learn the labels of a metric that has no series yet.
    for collector in list(REGISTRY._collector_to_names):
        for metric in collector.collect():
            if metric.name.startswith(_PREFIX):
                labels: Iterable[str] = getattr(collector, "_labelnames", ()) or getattr(metric, "_labelnames", ())
                name = f"{metric.name}_total" if metric.type == "counter" else metric.name
                yield Described(name, metric.type, tuple(labels), metric.documentation)


def collect() -> dict[Described, list[str]]:
    """Every metric with the services that have it, by name."""
    found: dict[Described, list[str]] = {}
    for service in _SERVICES:
        command = [sys.executable, "-m", "tools.docs.metrics", service.package]
        printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        for name, kind, labels, meaning in json.loads(printed):
            found.setdefault(Described(name, kind, tuple(labels), meaning), []).append(service.name)
    return dict(sorted(found.items(), key=lambda one: one[0].name))


def page(metrics: dict[Described, list[str]]) -> str:
    """docs/metrics.md."""
    return _HEAD + "".join(f"{_row(metric, services)}\n" for metric, services in metrics.items())


def _row(metric: Described, services: list[str]) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    meaning = _NAME.sub(lambda name: f"`{name[0]}`", metric.meaning)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {', '.join(services)} | {meaning} |"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        rows = [(one.name, one.kind, one.labels, one.meaning) for one in described(sys.argv[1])]
        print(json.dumps(rows))
    else:
        print(page(collect()), end="")
