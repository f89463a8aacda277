"""The release gate: puts the translators' commands into the client's order, and checks releases against the slot.

Rules of this module
1. Translations arrive in any order, more than once, or late. Each is passed on once, in the order of ``seq``.
2. A release waits until everything up to its highest ``seq`` has been translated, so that the items of its requests are
   sent first. At most one release waits; a newer one replaces it, since session-state grants all held intents.
3. The fence: a release is sent only if the slot is free at this moment. If not, it is dropped, and nothing is lost: its
   intents are still held at session-state, which grants them again when the active response has ended.
4. Where the upstream has refused several configuration requests together, the first of them is sent alone (P11).
5. The rest of a reply that was cut off goes before every other response: a release without it waits until it was
   translated, and is dropped then.
6. Requests that are settled or in flight are never sent again. A release in which only some configuration requests are
   new is dropped; session-state grants these again.

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
    """The part of a release to send now: first ``session.update``, then ``response.create``. Either can be None."""

    configuration: Configuration | None
    configures: tuple[int, ...]
    response: ResponseRequest | None
    responds: tuple[int, ...]


class ReleaseGate:
    """The commands of one session that cannot be executed yet."""

    __slots__ = ("_early", "_kept", "_requests", "_translated_to", "_turn", "_updating")

    def __init__(self, requests: OpenRequests, turn: Turn, updating: Callable[[], bool]) -> None:
        """``updating`` returns whether a ``session.update`` is in flight."""
        self._requests = requests
        self._turn = turn
        self._updating = updating
        self._translated_to = 0
        self._early: dict[int, Translated] = {}
        self._kept: SendRelease | None = None

    def translated(self, command: Translated) -> list[Translated]:
        """Add a translation; returns the translations that are next in order. Execute these, then call `release`."""
        request = self._requests.get(command.seq)
        if request is not None and not request.translated:
            self._early.setdefault(command.seq, command)
        return self.advance()

    def advance(self) -> list[Translated]:
        """The translations that are next in order, without settled requests. Also call it after giving up a request."""
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
        """Add a release; then call `release`."""
        self._kept = release

    def release(self) -> tuple[SendRelease, Sendable | Drop] | None:
        """The waiting release, and the part of it to send or the reason why it is dropped. None if no release can be
        decided now."""
        kept = self._kept
        if kept is None or max(kept.configures + kept.responds, default=0) > self._translated_to:
            return None
        continuing = self._requests.continuing
        if continuing is not None and kept.responds and continuing.seq not in kept.responds:
            if not continuing.translated:
                return None
            self._kept = None
            return kept, Drop.OCCUPIED
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
            if len(configures) > 1 and self._requests.any_alone(configures):
                # Those that follow are granted again when it is answered, and what they are to precede with them.
                return Sendable(release.parts[0], configures[:1], None, ())
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
