"""Keeps secrets out of findings: what others answer may repeat them, such as an upstream that quotes a key. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from turngate.cli.doctor.findings import Finding
from turngate.process.settings import Settings, variables

#: Shorter values are in too many words to be replaced.
_SHORTEST = 4


def secrets_of(env: Mapping[str, str], settings: Iterable[type[Settings]]) -> list[str]:
    """The values of secret settings in this environment, and what is secret in its URLs; the longest first."""
    found: set[str] = set()
    for kind in settings:
        for name, field in kind.model_fields.items():
            for variable in variables(name, field):
                value = env.get(variable, "")
                if "Secret" in str(field.annotation) or variable.endswith(("_API_KEY", "_API_KEYS")):
                    words = re.split(r"[,\s]+", value)
                    found |= {value, *words}
                    # Of name=url entries.
                    found |= {part for word in words if "://" in word for part in _in_url(word.partition("=")[2])}
                elif "Url" in str(field.annotation) or "Dsn" in str(field.annotation):
                    found |= set(_in_url(value))
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)


def hidden(finding: Finding, secrets: Iterable[str]) -> Finding:
    """The finding with an ellipsis for each of the secrets."""
    said = finding.found
    for secret in secrets:
        said = said.replace(secret, "…")
    return replace(finding, found=said)


def _in_url(url: str) -> Iterable[str]:
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        # It is not shown either.
        return [url]
    return [password, unquote(password), *(value for name, value in parse_qsl(parts.query) if name != "model")]
