"""Health checks over HTTP: whether a service is alive (``/health``) or ready (``/ready``).

``python -m turngate.local.health URL`` is the health check of the containers: exit code 0, or 1 and a line of text.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

# Ignores proxies from the environment.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def check(url: str, timeout: float = 2.0) -> str | None:
    """Return None if the URL answers 200 within ``timeout`` seconds, or else one line with the reason. Blocks."""
    try:
        with _open(url, timeout=timeout) as response:
            return None if response.status == 200 else f"{url} answered {response.status}"
    except urllib.error.HTTPError as refusal:
        with refusal:
            body = refusal.read(500).decode(errors="replace").strip()
            return f"{url} answered {refusal.code}" + (f": {body}" if body else "")
    except (OSError, ValueError) as error:
        return f"{url} does not answer: {getattr(error, 'reason', error)}"


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
