"""The credential of an upgrade request, in every form that clients send it, and the check against the accepted keys.

Programs send ``Authorization: Token KEY`` (or ``Bearer``). Browsers cannot set headers, so they send
``Sec-WebSocket-Protocol: token, KEY``, or, on ``/openai``, ``?token=KEY`` in the URL: the React component can do
nothing else. Both schemes are equivalent here, and their case is ignored, since SDKs differ. A short-lived token
(`gateway.admission.tokens`) may stand in the place of a key everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SCHEMES = ("token", "bearer")

#: The characters of a subprotocol (RFC 6455 §4.1, RFC 9110 §5.6.2). Others would fail the handshake later.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Characters of the name of a key: enough to tell keys apart.
_NAME_LENGTH = 12
_HOW = "send `Authorization: Token KEY`, or from a browser the subprotocols `token` and KEY"


class Unauthorized(Exception):  # noqa: N818 - a regular answer to the client, not an error of this program
    """The request is not authorized. The text is one line for the developer of the client, without the key."""


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What is different for clients with one key."""

    #: Whether ``LatencyReport`` is sent, where the settings send it.
    latency_reports: bool = True


_NO_OPTIONS = KeyOptions()


class Keys:
    """The accepted keys, and their options. Only hashes of keys are stored."""

    def __init__(self, keys: Mapping[str, KeyOptions]) -> None:
        self.replace(keys)

    def replace(self, keys: Mapping[str, KeyOptions]) -> None:
        """Accept these keys from now on, and no others."""
        hashed = {_hash(key): options for key, options in keys.items()}
        self._hashes = list(hashed)
        self._options = {known.hex()[:_NAME_LENGTH]: options for known, options in hashed.items()}

    def options(self, name: str) -> KeyOptions:
        """The options of the key with this name, which `admit` returned."""
        return self._options.get(name, _NO_OPTIONS)

    def __len__(self) -> int:
        return len(self._hashes)

    def knows(self, name: str) -> bool:
        """Whether the key with this name is accepted."""
        return name in self._options

    def admit(self, given_key: str) -> str:
        """Returns a name for this key that does not reveal it. Raises `Unauthorized`."""
        given = _hash(given_key)
        # Compare with all keys in constant time, so that the duration reveals nothing about a guess.
        if not sum([hmac.compare_digest(given, known) for known in self._hashes]):
            raise Unauthorized("the key is not one of this server's")
        return given.hex()[:_NAME_LENGTH]


def credential(authorization: Sequence[str], subprotocols: Sequence[str], tokens: Sequence[str] = ()) -> str:
    """The key in a request; a header takes precedence over a subprotocol, and that over the query. Raises
    `Unauthorized` if there is none."""
    if authorization:
        scheme, _, key = authorization[0].strip().partition(" ")
        if len(authorization) > 1 or scheme.lower() not in SCHEMES or not key.strip():
            raise Unauthorized(f"the Authorization header cannot be read; {_HOW}")
        return key.strip()
    names = offered(subprotocols)
    place = next((place for place, name in enumerate(names) if name.lower() in SCHEMES), None)
    if place is None and len(tokens) == 1:
        return tokens[0]
    if place is None:
        raise Unauthorized(f"no key; {_HOW}")
    if place + 1 == len(names):
        raise Unauthorized(f"the subprotocol `{names[place]}` has no key after it; {_HOW}")
    return names[place + 1]


def offered(subprotocols: Sequence[str]) -> list[str]:
    """The subprotocols that a request offers, in order. Raises `Unauthorized` for an invalid name."""
    names = [name.strip() for header in subprotocols for name in header.split(",") if name.strip()]
    if not all(map(_NAME.fullmatch, names)):
        raise Unauthorized("Sec-WebSocket-Protocol has a character that no subprotocol can have; send a header instead")
    return names


def chosen(names: Sequence[str]) -> str | None:
    """The offered subprotocol to answer with: the scheme as the client wrote it, never the key.

    Browsers fail the connection if none of their subprotocols is selected; other clients fail it if one is selected
    that they did not offer.
    """
    return next((name for name in names if name.lower() in SCHEMES), None)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
