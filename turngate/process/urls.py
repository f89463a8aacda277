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
        # Redis Sentinel's have several.
        hosts = [_host(part) for part in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return "(an invalid URL)"
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "?" + "&".join(f"{name}=…" for name in names) if names else ""
    return f"{parts.scheme}://{','.join(hosts)}{parts.path}{query}"


def _host(text: str) -> str:
    """``host:port`` as it is given. Raises ValueError if it is something else."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host if parts.port is None else f"{host}:{parts.port}"


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
