"""TLS for connections to the upstream."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def upstream_tls(url: str) -> ssl.SSLContext | None:
    """What to connect to this URL with: None without TLS.

    All connections share a context. One of its own for each would cost 20 ms of the event loop, for reading the
    certificates of about 140 authorities, and 850 KB for as long as the connection lasts. The certificates are read
    again when their file has been replaced.
    """
    return _context(_authorities()) if url.startswith("wss:") else None


def _authorities() -> tuple[object, ...]:
    """Identifies the trusted certificates: those of SSL_CERT_FILE and SSL_CERT_DIR, or of the system."""
    paths = ssl.get_default_verify_paths()
    return tuple(_version(path) for path in (paths.cafile, paths.capath))


def _version(path: str | None) -> tuple[object, ...]:
    if path is None:
        return ()
    try:
        found = os.stat(path)
    except OSError:
        return (path,)
    return (path, found.st_ino, found.st_mtime_ns, found.st_size)


@lru_cache(1)
def _context(_authorities: tuple[object, ...]) -> ssl.SSLContext:
    return ssl.create_default_context()
