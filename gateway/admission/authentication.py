"""With which key a request comes: by the key itself, or by a token that was made with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from gateway.admission.credentials import KeyOptions, Keys, Unauthorized, credential
from gateway.admission.tokens import Tokens, is_token
from gateway.sockets.interface import HttpRequest


class Forbidden(Exception):  # noqa: N818 - a regular answer to the client, not an error of this program
    """The request is authorized, but not for this. The text is one line for the developer of the client."""


class Authentication:
    """Without ``keys`` anybody is let in, with the empty name."""

    def __init__(
        self, keys: Keys | None = None, tokens: Tokens | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since the epoch."""
        self._keys = keys
        self._tokens = tokens
        self._clock = clock

    def upgrade(self, request: HttpRequest, *, key_in_query: bool) -> str:
        """The name of the key with which this upgrade comes. A token may be in the query (``?token=``), a key only with
        ``key_in_query``. Raises `Unauthorized`."""
        if self._keys is None:
            return ""
        values = parse_qs(urlsplit(request.path).query).get("token", [])
        given = credential(
            request.values("Authorization"),
            request.values("Sec-WebSocket-Protocol"),
            [value for value in values if key_in_query or is_token(value)],
        )
        try:
            return self._keys.admit(given)
        except Unauthorized:
            if self._tokens is None or not is_token(given):
                raise
        name = self._tokens.key(given, self._clock())
        if not self._keys.knows(name):
            raise Unauthorized("the key that this token was made with is no longer one of this server's")
        return name

    def maker(self, request: HttpRequest) -> str:
        """The name of the key with which a token is asked for: only a header with a key is good. Call `grant` with it.
        Raises `Unauthorized` or `Forbidden`."""
        if self._keys is None:
            return ""
        given = credential(request.values("Authorization"), [])
        try:
            name = self._keys.admit(given)
        except Unauthorized:
            if is_token(given):
                raise Forbidden("Insufficient permissions: only an API key makes tokens.") from None
            raise
        if self._tokens is None:
            raise Forbidden("This server makes no tokens: TURNGATE_TOKEN_SECRET is not set.")
        return name

    def grant(self, name: str, ttl: float) -> tuple[str, int]:
        """A token for the key with this name, and the seconds for which it is valid."""
        assert self._tokens is not None, "`maker` was asked before"
        return self._tokens.grant(name, ttl, self._clock())

    def options(self, name: str) -> KeyOptions:
        """The options of the key with this name."""
        return KeyOptions() if self._keys is None else self._keys.options(name)
