"""Which web pages may connect.

A browser lets any page open a WebSocket to any address, ``ws://localhost`` included, and names the page's origin in the
request. A gateway without API keys has no other way to tell a page of its user from any other page.
"""

from __future__ import annotations

from collections.abc import Iterable

from turngate.process.urls import is_local

ANY = "*"


class Origins:
    """The origins that may connect. A request without an origin is not from a web page, and always may."""

    def __init__(self, allowed: Iterable[str] | None, *, open_to_anybody: bool) -> None:
        """``allowed``: origins as browsers write them (``https://example.com``), or ``*``. None allows any origin, or,
        if the gateway is ``open_to_anybody``, pages from this machine only."""
        if allowed is None and not open_to_anybody:
            allowed = [ANY]
        self._allowed = None if allowed is None else frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allow(self, origins: list[str]) -> bool:
        """Whether a request with these ``Origin`` headers may connect."""
        if not origins:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0].strip().rstrip("/").lower()
        if self._allowed is None:
            return is_local(origin)
        return ANY in self._allowed or origin in self._allowed
