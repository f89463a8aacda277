"""Environment variables that look like settings and are none: a misspelt name would otherwise be ignored silently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from turngate.process.settings import ENV_PREFIX

#: Variables that others read: docker compose, and the tests.
_OTHERS = {
    "TURNGATE_EDGE_CERTIFICATES",
    "TURNGATE_EDGE_HOST",
    "TURNGATE_EDGE_PORT",
    "TURNGATE_EDGE_STOP_GRACE",
    "TURNGATE_EDGE_TLS_PORT",
    "TURNGATE_PUBLISHED_PORT",
    "TURNGATE_REDIS_PASSWORD",
    "TURNGATE_GRAFANA_PORT",
    "TURNGATE_PROMETHEUS_PORT",
}
_TEST_PREFIX = "TURNGATE_TEST_"


def unknown(environment: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """One line for each variable with turngate's prefix that no service reads; it names the most similar setting."""
    names = {name.upper() for name in known} | _OTHERS
    lines = []
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith(ENV_PREFIX) or upper in names or upper.startswith(_TEST_PREFIX):
            continue
        similar = get_close_matches(upper, sorted(names), n=1, cutoff=0.6)
        lines.append(f"{name} is not a setting" + (f"; did you mean {similar[0]}?" if similar else ""))
    return lines
