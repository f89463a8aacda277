"""The environment variables that each child process gets: only those that it needs.

A secret of one service is not passed to another, so that a crash report or a debugger of that one cannot show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Variables that any Python program may need: search paths, locale, time zone, certificates, proxies.
_GENERAL = re.compile(
    r"PATH|HOME|USER|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHON\w+|SSL_CERT_\w+|"
    r"COVERAGE_\w+|(?:https?|all|no)_proxy",
    re.IGNORECASE,
)
_SETTING = re.compile(r"TURNGATE_\w+")
#: How traces are sent, headers with keys included, and the processes that make them.
_TRACES = re.compile(r"OTEL_\w+")
_TRACED = {"gateway", "translator", "session-state"}
#: Secrets, by the kind of process that needs them.
_SECRETS = {
    "OPENAI_API_KEY": {"gateway"},
    "TURNGATE_OPENAI_API_KEY": {"gateway"},
    "TURNGATE_UPSTREAM_URL": {"gateway"},
    "TURNGATE_API_KEYS": {"gateway"},
    "TURNGATE_API_KEYS_FILE": {"gateway"},
    "TURNGATE_TOKEN_SECRET": {"gateway"},
    "TURNGATE_TOKEN_SECRET_FILE": {"gateway"},
    "TURNGATE_ADMIN_KEY": {"session-state"},
    "TURNGATE_CONSOLE_FAULTS_SOCKET": {"session-state"},
    "TURNGATE_SIMULATOR_API_KEY": {"simulator"},
    "TURNGATE_REDIS_URL": {"gateway", "translator", "session-state"},
    "TURNGATE_REDIS_URLS": {"gateway", "translator", "session-state"},
}


def for_child(kind: str, env: Mapping[str, str]) -> dict[str, str]:
    """The part of ``env`` for a child of this kind: a service's name, or ``broker``, which gets no settings."""
    return {name: value for name, value in env.items() if _needs(kind, name)}


def _needs(kind: str, name: str) -> bool:
    if name in _SECRETS:
        return kind in _SECRETS[name]
    if _TRACES.fullmatch(name):
        return kind in _TRACED
    return bool(_GENERAL.fullmatch(name)) or (kind != "broker" and bool(_SETTING.fullmatch(name)))
