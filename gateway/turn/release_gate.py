"""The release_gate: what translators command, brought into the client's order, and checked against the turn at the last
instant.

Rules of this module
1. Translations come in any order, more than once, or late. They leave here once each, in the order of ``seq``.
2. A release is kept back until everything up to the highest ``seq`` that it settles has been translated, so that the
   items it is about went first. At most one is kept; a newer one replaces it, since session-state grants everything
   that waits.
3. A release is sent only if the turn is free at this instant. If not it is dropped and nothing is lost: its intents
   still wait at session-state, and the end of the very response that is in the way wakes them.
4. What is settled or on its way is never sent again. A release that is only half new is dropped: session-state will
   grant the rest.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.turn.requests import Kind, OpenRequests
from gateway.turn.slot import Turn
from turngate.protocol.messages import AddItems, Configuration, RefuseRequest, ResponseRequest, SendRelease

Translated = AddItems | RefuseRequest


class Drop(StrEnum):
    """Why a release was not sent."""

    OCCUPIED = "occupied"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Sendable:
    """What of a release may go now: ``session.update`` first, then ``response.create``; either can be None."""

    configuration: Configuration | None
    configures: tuple[int, ...]
    response: ResponseRequest | None
    responds: tuple[int, ...]


class ReleaseGate:
    """The commands of one session that cannot be carried out yet."""

    __slots__ = ("_early", "_kept", "_requests", "_translated_to", "_turn", "_updating")

    def __init__(self, requests: OpenRequests, turn: Turn, updating: Callable[[], bool]) -> None:
        """``updating`` says whether a ``session.update`` is in flight."""
        self._requests = requests
        self._turn = turn
        self._updating = updating
        self._translated_to = 0
        self._early: dict[int, Translated] = {}
        self._kept: SendRelease | None = None

    def translated(self, command: Translated) -> list[Translated]:
        """Take a translation in; returns what is in order now. Carry these out, then ask `release`."""
        request = self._requests.get(command.seq)
        if request is not None and not request.translated:
            self._early.setdefault(command.seq, command)
        return self.advance()

    def advance(self) -> list[Translated]:
        """Everything that is in order now, settled requests skipped. Also to be asked after a request was given up."""
        ready: list[Translated] = []
        while self._translated_to < self._requests.last_seq:
            seq = self._translated_to + 1
            command = self._early.pop(seq, None)
            if command is not None:
                ready.append(command)
            elif (request := self._requests.get(seq)) is not None and not request.translated:
                break
            self._translated_to = seq
        return ready

    def offer(self, release: SendRelease) -> None:
        """Take a release in; then ask `release`."""
        self._kept = release

    def release(self) -> tuple[SendRelease, Sendable | Drop] | None:
        """The release that is decided now: what of it to send, or why it is dropped. None while there is nothing to
        decide."""
        kept = self._kept
        if kept is None or max(kept.configures + kept.responds, default=0) > self._translated_to:
            return None
        self._kept = None
        return kept, self._check(kept)

    def _check(self, release: SendRelease) -> Sendable | Drop:
        configures = self._requests.waiting(release.configures)
        responds = self._requests.waiting(release.responds)
        if configures and configures != release.configures:
            return Drop.STALE
        if not configures and not responds:
            return Drop.STALE
        if configures:
            ahead = self._requests.waiting(self._requests.open(Kind.CONFIGURATION))
            if self._updating() or ahead[: len(configures)] != configures:
                return Drop.STALE
            if not self._turn.free_for_configuration:
                return Drop.OCCUPIED
        if responds and not self._free_for(release.response):
            if not configures:
                return Drop.OCCUPIED
            responds = ()
        return Sendable(
            release.configuration if configures else None,
            configures,
            release.response if responds else None,
            responds,
        )

    def _free_for(self, response: ResponseRequest | None) -> bool:
        interrupts = response is not None and response.interrupts
        return self._turn.free_for_interruption if interrupts else self._turn.free_for_response
