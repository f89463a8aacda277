"""Decides who may connect: origin, key, and the limits on sessions and on new connections.

A place is taken when a request is admitted, before its upgrade is answered, so that many requests at once cannot exceed
a limit together. It is given back when the session ends, or after a while if the upgrade fails.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from gateway.admission.authentication import Authentication, Forbidden
from gateway.admission.credentials import KeyOptions, Unauthorized
from gateway.admission.origins import Origins
from gateway.admission.rates import retry_after
from gateway.admission.resume_keys import Returning, returning
from gateway.admission.tallies import ALL, Tallies, own_tallies
from gateway.sockets.interface import HttpRequest

#: Seconds after which an admitted request whose session has not begun loses its place.
_UPGRADE_SECONDS = 10.0
#: ``Retry-After`` of a gateway, address or key that has all the sessions it may have, in seconds.
_FULL_SECONDS = 5.0


class Reason(StrEnum):
    """Why a request is refused; the label of the metric."""

    ORIGIN = "origin"
    KEY = "key"
    GATEWAY_FULL = "gateway_full"
    GATEWAY_MEMORY = "gateway_memory"
    ADDRESS_FULL = "address_full"
    ADDRESS_RATE = "address_rate"
    KEY_FULL = "key_full"
    KEY_RATE = "key_rate"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and with what."""

    reason: Reason
    status: HTTPStatus
    #: One sentence for the developer of the client.
    text: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """0 for no limit, except for the numbers of sessions."""

    #: Of the gateway, with all of its processes.
    sessions: int = 1_000
    #: Of this process.
    own_sessions: int = 1_000_000
    #: Bytes that all sessions hold together.
    held_bytes: int = 0
    address_sessions: int = 0
    key_sessions: int = 0
    #: New connections per second.
    address_rate: float = 0.0
    key_rate: float = 0.0
    #: The last address of ``X-Forwarded-For`` is the client's.
    trust_forwarded_for: bool = False


_NEW = Returning()


@dataclass(slots=True)
class _Place:
    key: str
    since: float
    #: None until it is known.
    address: str | None = None
    #: What the client says about its session.
    returning: Returning = _NEW
    #: Counted as a session, of this gateway, its key and its address. A client that returns to its session has none of
    #: its own.
    counted: bool = True


class Admission:
    """The sessions of one gateway that were admitted, by name."""

    def __init__(
        self,
        limits: AdmissionLimits,
        authentication: Authentication,
        origins: Origins,
        refused: Callable[[Reason], None] = lambda _: None,
        known: Callable[[Returning], bool] = lambda _: False,
        tallies: Tallies | None = None,
    ) -> None:
        """``refused`` is called for every refusal. ``known`` returns whether a client returns to a session that this
        gateway has: it takes no place of its own. ``tallies``, if they are shared with other processes."""
        self._limits = limits
        self._authentication = authentication
        self._origins = origins
        self._count = refused
        self._known = known
        #: Bytes that all sessions hold now; whoever measures it sets it.
        self.held_bytes = 0
        self._places: dict[str, _Place] = {}
        #: How many of them are counted.
        self._sessions = 0
        #: Names of places whose session has not begun, the oldest first.
        self._waiting: dict[str, None] = {}
        self._tallies = tallies or own_tallies(limits.address_rate, limits.key_rate)

    def __len__(self) -> int:
        """The number of sessions that are counted."""
        return self._sessions

    def request(self, request: HttpRequest, now: float, *, key_in_query: bool) -> Refusal | None:
        """Admit a request for a session, or return why not. ``key_in_query``: a key may be in the URL
        (``?token=``), as tokens always may. Call `begin` when the session begins."""
        refusal = self._refusal(request, now, key_in_query=key_in_query)
        if refusal is not None:
            self._count(refusal.reason)
        return refusal

    def foreign(self, request: HttpRequest) -> Refusal | None:
        """Why a request of a web page is refused; None if its origin may connect, or it is of no page."""
        if self._origins.allow(request.values("Origin")):
            return None
        text = "web pages of this origin may not connect; TURNGATE_ALLOWED_ORIGINS lists those that may"
        return Refusal(Reason.ORIGIN, HTTPStatus.FORBIDDEN, text, {})

    def grant(self, request: HttpRequest, ttl: float, now: float) -> tuple[str, int] | Refusal:
        """A token for the key of this request, and the seconds for which it is valid, or why there is none. A key may
        ask for as many tokens as it may open connections, each counted by itself."""
        refusal = self.foreign(request)
        try:
            name = "" if refusal is not None else self._authentication.maker(request)
        except Unauthorized as reason:
            refusal = _unauthorized(reason)
        except Forbidden as reason:
            refusal = Refusal(Reason.KEY, HTTPStatus.FORBIDDEN, str(reason), {})
        if refusal is None and (wait := self._tallies.grant_rates.take(name, now)):
            refusal = _too_fast(Reason.KEY_RATE, "too many tokens with this key", wait)
        if refusal is None:
            return self._authentication.grant(name, ttl)
        self._count(refusal.reason)
        return refusal

    def begin(self, name: str, address: str, now: float) -> Refusal | None:
        """The session of an admitted request begins; its peer has this address. Returns why it is refused after all, if
        the address was not known before; call `end` in any case."""
        place = self._places.get(name)
        if place is None:
            # Its place was given back meanwhile.
            self._places[name] = place = _Place("", now)
            self._count_in(place)
        self._waiting.pop(name, None)
        if place.address is not None:
            return None
        refusal = self._check_address(address, now, counted=place.counted)
        self._take_address(place, address)
        if refusal is not None:
            self._count(refusal.reason)
        return refusal

    def returning(self, name: str) -> tuple[str, Returning]:
        """The name of the credential with which this client came, and what it says about its session."""
        place = self._places.get(name)
        return ("", _NEW) if place is None else (place.key, place.returning)

    def new_session(self, name: str) -> None:
        """The client does not return after all: it gets a session of its own, which is counted."""
        place = self._places.get(name)
        if place is not None and not place.counted:
            place.counted = True
            self._count_in(place)
            if place.address is not None:
                self._tallies.address_sessions.more(place.address)

    def rename(self, name: str, session: str) -> None:
        """The place of this connection is that of a session from another gateway."""
        place = self._places.pop(name, None)
        if place is not None:
            self.end(session)
            self._places[session] = place

    def key_options(self, name: str) -> KeyOptions:
        """The options of the key with which this session was admitted."""
        place = self._places.get(name)
        return self._authentication.options("" if place is None else place.key)

    def end(self, name: str) -> None:
        """The session has ended."""
        place = self._places.pop(name, None)
        if place is None:
            return
        self._waiting.pop(name, None)
        if not place.counted:
            return
        self._sessions -= 1
        self._tallies.sessions.less(ALL)
        self._tallies.key_sessions.less(place.key)
        if place.address is not None:
            self._tallies.address_sessions.less(place.address)

    def _refusal(self, request: HttpRequest, now: float, *, key_in_query: bool) -> Refusal | None:
        limits = self._limits
        self._forget(now)
        if (foreign := self.foreign(request)) is not None:
            return foreign
        try:
            key = self._authentication.upgrade(request, key_in_query=key_in_query)
        except Unauthorized as reason:
            return _unauthorized(reason)
        client = returning(request, key)
        known = self._known(client)
        address = self._address(request)
        if address is not None and (refusal := self._check_address(address, now, counted=not known)) is not None:
            return refusal
        full = self._sessions >= limits.own_sessions or self._tallies.sessions[ALL] >= limits.sessions
        if full and not known:
            return _full(Reason.GATEWAY_FULL, "this gateway has all the sessions it may have")
        if 0 < limits.held_bytes <= self.held_bytes and not known:
            text = "the sessions of this gateway hold all the memory they may hold"
            headers = {"Retry-After": retry_after(_FULL_SECONDS)}
            return Refusal(Reason.GATEWAY_MEMORY, HTTPStatus.SERVICE_UNAVAILABLE, text, headers)
        if 0 < limits.key_sessions <= self._tallies.key_sessions[key] and not known:
            return _full(Reason.KEY_FULL, "this key has all the sessions it may have")
        if wait := self._tallies.key_rates.take(key, now):
            return _too_fast(Reason.KEY_RATE, "too many new connections with this key", wait)
        self._places[request.name] = place = _Place(key, now, returning=client, counted=not known)
        self._waiting[request.name] = None
        if not known:
            self._count_in(place)
        if address is not None:
            self._take_address(place, address)
        return None

    def _address(self, request: HttpRequest) -> str | None:
        """The client's address, if it is known before the upgrade."""
        if self._limits.trust_forwarded_for and (forwarded := request.values("X-Forwarded-For")):
            return forwarded[-1].rpartition(",")[2].strip()
        return request.peer

    def _check_address(self, address: str, now: float, *, counted: bool) -> Refusal | None:
        if counted and 0 < self._limits.address_sessions <= self._tallies.address_sessions[address]:
            return _full(Reason.ADDRESS_FULL, "this address has all the sessions it may have")
        if wait := self._tallies.address_rates.take(address, now):
            return _too_fast(Reason.ADDRESS_RATE, "too many new connections from this address", wait)
        return None

    def _take_address(self, place: _Place, address: str) -> None:
        place.address = address
        if place.counted:
            self._tallies.address_sessions.more(address)

    def _count_in(self, place: _Place) -> None:
        self._sessions += 1
        self._tallies.sessions.more(ALL)
        self._tallies.key_sessions.more(place.key)

    def _forget(self, now: float) -> None:
        """Give back the places of upgrades that failed."""
        while self._waiting:
            name = next(iter(self._waiting))
            if now - self._places[name].since < _UPGRADE_SECONDS:
                return
            self.end(name)


def _unauthorized(reason: Unauthorized) -> Refusal:
    return Refusal(Reason.KEY, HTTPStatus.UNAUTHORIZED, str(reason), {"WWW-Authenticate": "Token, Bearer"})


def _full(reason: Reason, text: str) -> Refusal:
    return _too_fast(reason, text, _FULL_SECONDS)


def _too_fast(reason: Reason, text: str, wait: float) -> Refusal:
    return Refusal(reason, HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": retry_after(wait)})
