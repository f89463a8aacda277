"""Authentication and model check of a connection.

As on the real service, a refusal comes after HTTP 101, as an ``error`` event and a close, not as an HTTP status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from turngate.simulator.errors import RefusedError
from turngate.simulator.realtime_session import Close

#: Browsers cannot set headers, so they offer this subprotocol and a second one that contains the key after a prefix.
SUBPROTOCOL = "realtime"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_UNAUTHORIZED, _REFUSED = 3000, 4000


class HandshakeError(Exception):
    """The session is refused. Send ``error`` in an ``error`` event, then close with ``close``."""

    def __init__(self, code: str | None, message: str, close_code: int) -> None:
        super().__init__(message)
        refused = RefusedError(code, message)
        self.error = refused.body(None)
        self.close = Close(close_code, ".".join(part for part in (refused.kind, code) if part))


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The accepted API key (None: any) and models (empty: any)."""

    api_key: str | None = None
    models: frozenset[str] = frozenset()

    def admit(self, target: str, headers: Mapping[str, str], subprotocols: Iterable[str] = ()) -> str:
        """Check a connection request and return its model; ``target`` is path and query. Raises `HandshakeError`."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if "realtime=v1" in headers.get("OpenAI-Beta", ""):
            raise HandshakeError(
                "beta_api_shape_disabled", "The beta API shape is disabled. Leave out the OpenAI-Beta header.", _REFUSED
            )
        self._check_key(_key(headers, subprotocols))
        if "intent" in query:
            raise HandshakeError("invalid_intent", f"The intent '{query['intent']}' is not supported here.", _REFUSED)
        model = query.get("model")
        if model is None:
            raise HandshakeError("missing_model", "The model is missing: connect with '?model='.", _REFUSED)
        if self.models and model not in self.models:
            raise HandshakeError("invalid_model", f"Model '{model}' is not supported in realtime mode.", _REFUSED)
        return model

    def _check_key(self, key: str | None) -> None:
        if key is None:
            raise HandshakeError(None, "Missing bearer or basic authentication in header", _UNAUTHORIZED)
        if self.api_key is not None and key != self.api_key:
            raise refused_key()


def refused_key() -> HandshakeError:
    """The error for a wrong API key."""
    return HandshakeError("invalid_api_key", "Incorrect API key provided.", _UNAUTHORIZED)


def no_credit() -> HandshakeError:
    """The error for an account without credit."""
    return HandshakeError(
        "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", _REFUSED
    )


def _key(headers: Mapping[str, str], subprotocols: Iterable[str]) -> str | None:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    found = (name.removeprefix(_KEY_SUBPROTOCOL) for name in subprotocols if name.startswith(_KEY_SUBPROTOCOL))
    return next(found, None)
