"""Short-lived tokens in the place of an API key, so that a key need not be shipped to a browser.

A token is a JWT, signed with HS256 by a secret that all gateways of an installation share. Its ``sub`` is the name of
the key that it was made with, and its ``exp`` is checked when a connection is opened. Nothing is stored: a token cannot
be revoked, except together with its key or its secret.

No I/O and no clock: ``now`` is in seconds since the epoch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import jwt

from gateway.admission.credentials import Unauthorized

#: Limits and default of a token's life in seconds, as Deepgram has them.
TTL_MIN, TTL_DEFAULT, TTL_MAX = 1, 30, 3_600
#: By how many seconds the clocks of two gateways may differ.
SKEW = 5
#: Minimum size of a secret in bytes: that of the hash (RFC 7518, 3.2).
SECRET_MIN = 32
_ALGORITHM = "HS256"
_ISSUER = "turngate"
_SCOPE = "agent"
#: Maximum length of a token; ours have about 250 characters.
_LENGTH_MAX = 2_048
#: Characters of a secret's name in tokens (``kid``), which is the beginning of its hash.
_KID_LENGTH = 8


class Tokens:
    """Signs tokens with the first of its secrets, and accepts those of any of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """At least one secret, of `SECRET_MIN` bytes or more. To rotate, put a new one in front, and remove the old one
        when its last token has expired."""
        self.replace(secrets)

    def replace(self, secrets: Iterable[str]) -> None:
        """Use these secrets from now on, and no others."""
        known = {_kid(secret): secret for secret in secrets}
        self._current = next(iter(known))
        self._secrets = known

    def __len__(self) -> int:
        return len(self._secrets)

    def grant(self, key: str, ttl: float, now: float) -> tuple[str, int]:
        """A token for the key with this name, and the seconds for which it is valid: ``ttl``, rounded up."""
        seconds = math.ceil(ttl)
        claims = {"iss": _ISSUER, "sub": key, "iat": int(now), "exp": int(now) + seconds, "scope": [_SCOPE]}
        return jwt.encode(claims, self._secrets[self._current], _ALGORITHM, {"kid": self._current}), seconds

    def key(self, token: str, now: float) -> str:
        """The name of the key that this token was made with. Raises `Unauthorized` for a token that is expired,
        altered, or not made by this server."""
        header = _header(token) or {}
        if header.get("alg") != _ALGORITHM or "crit" in header:
            raise Unauthorized("the token is not signed with HS256")
        secret = self._secrets.get(header.get("kid", ""))
        if secret is None:
            raise Unauthorized("the token was signed with a secret that this server does not have; get a new one")
        # The times are checked below, with the clock that is passed in.
        options: Any = {"require": ["sub", "iat", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(token, secret, [_ALGORITHM], options, issuer=_ISSUER)
        except jwt.InvalidSignatureError:
            raise Unauthorized("the token's signature is wrong: it was altered, or is not this server's") from None
        except jwt.InvalidTokenError:
            raise Unauthorized("the token is not one of this server's") from None
        begin, end, scope = claims["iat"], claims["exp"], claims.get("scope")
        if not (isinstance(begin, int) and isinstance(end, int) and isinstance(scope, list) and _SCOPE in scope):
            raise Unauthorized("the token is not one of this server's")
        if now >= end + SKEW:
            raise Unauthorized("the token has expired; get a new one")
        if now < begin - SKEW or end - begin > TTL_MAX:
            raise Unauthorized("the token is not valid yet, or for too long; compare the gateways' clocks")
        return str(claims["sub"])


def is_token(credential: str) -> bool:
    """Whether this has the form of a JWT, which a key does not have: three parts, of which the first is JSON."""
    return _header(credential) is not None


def _header(token: str) -> dict[str, Any] | None:
    if token.count(".") != 2 or len(token) > _LENGTH_MAX:
        return None
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None


def _kid(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:_KID_LENGTH]
