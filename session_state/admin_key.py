"""Who may see sessions: whoever has the admin key, or, if there is none, programs on this machine.

A browser lets any web page send requests to this machine, and a name of the page's own may lead here. So without a key
the name under which this machine was reached must be its own, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from turngate.process.http import json_response
from turngate.process.urls import is_local, is_loopback

Endpoint = Callable[[Request], Awaitable[Response]]

_NEEDS = "send `Authorization: Bearer` and the admin key (TURNGATE_ADMIN_KEY)"
_NO_KEY = "from other machines this needs an admin key: set TURNGATE_ADMIN_KEY, and send it as `Authorization: Bearer`"


class AdminKey:
    """The admin key of a process, or none."""

    def __init__(self, key: SecretStr | None) -> None:
        self._hash = None if key is None else _hash(key.get_secret_value())

    def refusal(self, request: Request) -> str | None:
        """Why this request is not answered; None if it is."""
        if self._hash is None:
            return None if _is_local(request) else _NO_KEY
        scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return _NEEDS
        return None if hmac.compare_digest(_hash(given.strip()), self._hash) else "this is not the admin key"

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """The same endpoint, which answers with 401 to whoever may not see sessions."""

        async def guarded(request: Request) -> Response:
            if (why := self.refusal(request)) is not None:
                refused = json_response({"error": why}, 401)
                refused.headers["WWW-Authenticate"] = "Bearer"
                return refused
            return await endpoint(request)

        return guarded


def _is_local(request: Request) -> bool:
    name = request.headers.get("Host", "")
    return request.client is not None and is_loopback(request.client.host) and is_local(f"//{name}")


def _hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
