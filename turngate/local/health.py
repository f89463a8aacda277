"""Health checks over HTTP: whether a service is alive (``/health``) or ready (``/ready``).

``python -m turngate.local.health URL`` is the health check of the containers: exit code 0, or 1 and a line of text.
Without a URL, it is that of the image, which does not know which service it runs.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

# Ignores proxies from the environment.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

#: Where each service answers operators: the variable of the port, and its default.
PORTS = {
    "TURNGATE_TRANSLATOR_PORT": 8081,
    "TURNGATE_SESSION_STATE_PORT": 8082,
    "TURNGATE_SIMULATOR_PORT": 8083,
    "TURNGATE_GATEWAY_INTERNAL_PORT": 8084,
}


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


def check_any(environment: Mapping[str, str]) -> str | None:
    """Return None if a service of this machine is alive, at a port that these variables set. Blocks."""
    ports = [environment.get(variable) or default for variable, default in PORTS.items()]
    reasons = [check(f"http://127.0.0.1:{port}/health", 1.0) for port in ports]
    return None if None in reasons else "; ".join(filter(None, reasons))


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]) if len(sys.argv) > 1 else check_any(os.environ))
