"""Who may connect: the credential in an upgrade request, in every form that clients of this protocol send it, and the
keys that it is held against.

Programs send ``Authorization: Token KEY`` (or ``Bearer``), browsers ``Sec-WebSocket-Protocol: token, KEY``, since they
cannot set headers. The scheme says nothing about the key here, and its case does not matter: SDKs differ in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

SCHEMES = ("token", "bearer")

#: What a subprotocol may consist of (RFC 6455 §4.1, RFC 9110 §5.6.2). Others would fail the handshake later.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOW = "send `Authorization: Token KEY`, or from a browser the subprotocols `token` and KEY"


class Unauthorized(Exception):  # noqa: N818 - an answer, not a fault
    """This request may not connect. The text is one line for the person who wrote the client; it has no key in it."""


class Keys:
    """The keys that may connect. Only their hashes are kept."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[str]) -> None:
        """These keys may connect from now on, and no others."""
        self._hashes = [_hash(key) for key in keys]

    def __len__(self) -> int:
        return len(self._hashes)

    def admit(self, authorization: Sequence[str], subprotocols: Sequence[str]) -> None:
        """Let this request pass; the arguments are the values of its two headers. Raises `Unauthorized`."""
        given = _hash(credential(authorization, subprotocols))
        # All of them, whichever fits: how long it takes says nothing about how near a guess was.
        if not sum([hmac.compare_digest(given, known) for known in self._hashes]):
            raise Unauthorized("the key is not one of this server's")


def credential(authorization: Sequence[str], subprotocols: Sequence[str]) -> str:
    """The key that a request brings; a header counts before a subprotocol. Raises `Unauthorized` when there is none."""
    if authorization:
        scheme, _, key = authorization[0].strip().partition(" ")
        if len(authorization) > 1 or scheme.lower() not in SCHEMES or not key.strip():
            raise Unauthorized(f"the Authorization header cannot be read; {_HOW}")
        return key.strip()
    names = offered(subprotocols)
    place = next((place for place, name in enumerate(names) if name.lower() in SCHEMES), None)
    if place is None:
        raise Unauthorized(f"no key; {_HOW}")
    if place + 1 == len(names):
        raise Unauthorized(f"the subprotocol `{names[place]}` has no key after it; {_HOW}")
    return names[place + 1]


def offered(subprotocols: Sequence[str]) -> list[str]:
    """The subprotocols that a request offers, in order. Raises `Unauthorized` for a name that none can have."""
    names = [name.strip() for header in subprotocols for name in header.split(",") if name.strip()]
    if not all(map(_NAME.fullmatch, names)):
        raise Unauthorized("Sec-WebSocket-Protocol has a character that no subprotocol can have; send a header instead")
    return names


def chosen(names: Sequence[str]) -> str | None:
    """Which of the offered subprotocols to answer with: the scheme, as it was written; never the key. Browsers fail a
    connection whose offer nothing was chosen from, and other clients one where something was chosen without an offer.
    """
    return next((name for name in names if name.lower() in SCHEMES), None)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
