"""Asking a service over HTTP whether it lives (``/health``) or can work (``/ready``).

``python -m turngate.local.health URL`` does it for a container's health check: exit code 0, or 1 and one line.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

# A proxy from the environment has no business between a process and its own machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def complaint(url: str, timeout: float = 2.0) -> str | None:
    """None when the URL answers 200 within ``timeout`` seconds, else one line that says what it did instead. Blocks."""
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
    sys.exit(complaint(sys.argv[1]))
