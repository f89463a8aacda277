"""Which session a client returns to.

Deepgram's SDKs send an ``x-deepgram-session-id``: as a header, or from browsers as the third and fourth subprotocol;
the SDK for JavaScript repeats it when it connects again by itself. Other clients ask for a handle with
``?resumable=1``, get it in ``Welcome``, and return with ``?resume=<handle>``; it is used once and replaced.

Both are bound to the credential of the client and to the path of the URL, and only hashes are kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from gateway.admission.client_trace import client_trace
from gateway.sockets.interface import HttpRequest

SESSION_HEADER = "x-deepgram-session-id"
#: Longest id or handle.
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Returning:
    """What a client says about its session, if anything."""

    #: The resume key of its session id, and that of its handle.
    session_id: bytes | None = None
    handle: bytes | None = None
    #: It wants a handle in ``Welcome``.
    wants_handle: bool = False
    #: It sends a handle, and is told whether it finds its session.
    asks: bool = False
    #: The number of messages that it has received.
    received: int | None = None
    #: Where it connects: a session is found only where it began.
    path: str = ""
    #: Its own trace (`gateway.admission.client_trace`).
    trace: str = ""

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Its resume keys."""
        return tuple(key for key in (self.handle, self.session_id) if key is not None)

    @property
    def resumable(self) -> bool:
        """Whether its session can be resumed."""
        return self.session_id is not None or self.wants_handle


def returning(request: HttpRequest, credential: str) -> Returning:
    """What this upgrade says; ``credential`` is the name of the key with which it comes."""
    path = urlsplit(request.path)
    query = parse_qs(path.query, keep_blank_values=True)
    handle = query.get("resume", [""])[0]
    received = query.get("received", [""])[0]
    session_id = _session_id(request.values(SESSION_HEADER), request.values("Sec-WebSocket-Protocol"))
    return Returning(
        session_id=_hash(credential, path.path, session_id) if 0 < len(session_id) <= _LONGEST else None,
        handle=_hash(credential, path.path, handle) if 0 < len(handle) <= _LONGEST else None,
        path=path.path,
        wants_handle="resume" in query or query.get("resumable", [""])[0] == "1",
        asks="resume" in query,
        trace=client_trace(request.values("traceparent"), query),
        received=int(received) if received.isdecimal() and len(received) < 10 else None,
    )


def _session_id(headers: Sequence[str], subprotocols: Sequence[str]) -> str:
    if headers:
        return headers[0].strip()
    names = [name.strip() for header in subprotocols for name in header.split(",")]
    place = names.index(SESSION_HEADER) + 1 if SESSION_HEADER in names else len(names)
    return names[place] if place < len(names) else ""


def _hash(credential: str, path: str, one: str) -> bytes:
    return hashlib.sha256(f"{credential}\0{path}\0{one}".encode("utf-8", "surrogateescape")).digest()


class ResumeKeys:
    """The sessions of one gateway to which clients can return."""

    def __init__(self) -> None:
        #: Names of sessions by resume key, and the keys of each session.
        self._sessions: dict[bytes, str] = {}
        self._keys: dict[str, set[bytes]] = {}

    def find(self, client: Returning) -> str | None:
        """The name of the session to which this client returns; None if it is not known."""
        for key in client.keys:
            if key in self._sessions:
                return self._sessions[key]
        return None

    def enter(self, session: str, credential: str, client: Returning) -> str | None:
        """This client is attached to this session, and can return to it. Returns the handle to tell it, if it wants
        one; the one that it came with is used up."""
        if client.handle is not None:
            self._forget(client.handle)
        if client.session_id is not None:
            self._remember(session, client.session_id)
        if not client.wants_handle:
            return None
        handle = secrets.token_urlsafe(24)
        self._remember(session, _hash(credential, client.path, handle))
        return handle

    def of(self, session: str) -> tuple[str, ...]:
        """The keys of this session, as hexadecimal numbers."""
        return tuple(sorted(key.hex() for key in self._keys.get(session, ())))

    def forget(self, session: str) -> None:
        """The session is over."""
        for key in self._keys.pop(session, set()):
            self._sessions.pop(key, None)

    def _remember(self, session: str, key: bytes) -> None:
        self._forget(key)
        self._sessions[key] = session
        self._keys.setdefault(session, set()).add(key)

    def _forget(self, key: bytes) -> None:
        session = self._sessions.pop(key, None)
        if session is not None:
            self._keys[session].discard(key)
