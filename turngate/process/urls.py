"""URLs for people and logs: nothing in them may be a secret."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit


def without_secrets(url: str) -> str:
    """The URL without user name, password, fragment and the values of its query, for messages and logs.

    A URL that cannot be parsed is not shown at all.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "(an invalid URL)"
    if not host:
        return "(an invalid URL)"
    address = f"[{host}]" if ":" in host else host
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "?" + "&".join(f"{name}=…" for name in names) if names else ""
    return f"{parts.scheme}://{address}{'' if port is None else f':{port}'}{parts.path}{query}"
