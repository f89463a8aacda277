"""Generates docs/logs.md: every event that a service logs, from the declarations (`turngate.process.log_event`).

Which service logs an event is read from the modules that the service imports: each is asked in a process of its own.
``python -m tools.docs.logs`` prints the page, `make docs` writes it, and `make check` compares it.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_args

from turngate.cli.services import SERVICES
from turngate.process.log_event import Level, LogEvent, declared_in

_CATALOGUE = "log_events"
#: Modules of a package that its other processes begin with.
_ALSO = {"gateway": ("workers.supervisor",)}
PACKAGES = ("gateway", "translator", "session_state", "turngate")
_HEAD = """\
# Logs

Use this page when a service has logged something, or to decide what to be told of. A line is one event, as JSON with
`TURNGATE_LOG_FORMAT=json`, or coloured for people; `TURNGATE_LOG_LEVEL` is the lowest level that is logged.

| field | meaning |
|---|---|
| `event` | its name, as below |
| `level` | `error`, `warning`, `info` or `debug` |
| `timestamp` | ISO 8601, UTC |
| `service` | `gateway`, `translator`, `session-state` or `simulator` |
| `gateway` | in the lines of a gateway: its id |
| `worker` | in the lines of a gateway with several workers: the number of the one that is meant, or `supervisor` |
| `server` | the Redis server that the line is about, if there are several |
| `session` | the session that the line is about; its client has the id as `request_id` of `Welcome` |
| `trace_id` | the [trace](traces.md) in which it happened, if traces are switched on and this one is sampled |
| `logger` | the package. Lines of libraries, from `warning` on, have another one, and are not listed here |

Nothing is logged for a frame of audio. No key and no token is logged, and no word of a conversation, except where a
traceback (`exception`) quotes it. [Metrics](metrics.md) count what happens often, and
[alerts](operations.md#metrics) tell of what lasts.

Made by `make docs` from the declarations in the code.
"""
_LEVELS: Mapping[Level, str] = {
    "error": "Errors: have somebody called",
    "warning": "Warnings: look at them on the same day",
    "info": "Info: steps in the life of processes and sessions",
    "debug": "Debug: for developers",
}
_TABLE = """\

| event | service | fields | meaning | what to do |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A call that logs an event: the module of its declaration, and its name."""

    catalogue: str
    event: str


def uses_in(source: str) -> Iterator[Use]:
    """The events that a module with this source logs, or passes on to be logged."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == _CATALOGUE
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield Use(names[node.value.id], node.attr)


def catalogues() -> dict[str, list[LogEvent[...]]]:
    """The modules that declare events, with these."""
    root = Path(__file__).parents[2]
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob(f"{_CATALOGUE}.py"))
    modules = (".".join(path.relative_to(root).with_suffix("").parts) for path in paths)
    return {module: declared_in(import_module(module)) for module in modules}


def imported(package: str) -> Iterator[Use]:
    """The events that the service in this package can log, when nothing else was imported in this process."""
    for module in ("app", *_ALSO.get(package, ())):
        import_module(f"{package}.{module}")
    for name, module in list(sys.modules.items()):
        # The compiled kernel has no source that could be read here.
        if name.split(".")[0] in PACKAGES and (module.__file__ or "").endswith(".py"):
            yield from uses_in(Path(str(module.__file__)).read_text("utf-8"))


def services() -> dict[Use, list[str]]:
    """The events that are logged, with the services that can log them."""
    found: dict[Use, list[str]] = {}
    for service in SERVICES:
        command = [sys.executable, "-m", "tools.docs.logs", service.package]
        printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        for catalogue, event in json.loads(printed):
            found.setdefault(Use(catalogue, event), []).append(service.name)
    return found


def page(declared: Mapping[str, list[LogEvent[...]]], users: Mapping[Use, list[str]]) -> str:
    """docs/logs.md."""
    parts = [_HEAD]
    for level in get_args(Level):
        rows = [
            (event.name, _row(event, users.get(Use(catalogue, event.name), [])))
            for catalogue, events in declared.items()
            for event in events
            if event.level == level
        ]
        parts += [f"\n## {_LEVELS[level]}\n", _TABLE, *(row for _, row in sorted(rows))]
    return "".join(parts)


def _row(event: LogEvent[...], users: list[str]) -> str:
    fields = ", ".join(f"`{field}`" for field in event.fields)
    return f"| `{event.name}` | {', '.join(users)} | {fields} | {event.meaning} | {event.remedy} |\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(sorted({(use.catalogue, use.event) for use in imported(sys.argv[1])})))
    else:
        print(page(catalogues(), services()), end="")
