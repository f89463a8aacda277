"""URLs: without secrets, for people and logs; and whether they lead to this machine."""

from __future__ import annotations

from ipaddress import ip_address
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


def is_loopback(host: str) -> bool:
    """Whether this address or name is the machine itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_local(url: str) -> bool:
    """Whether the host of this URL (or of ``//host:port``) is the machine itself; False if it cannot be parsed."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)
