"""Replaces the upstream's connection by a next one while it still works, before the upstream ends it.

The next connection is opened beside this one, and the conversation is restored there (`gateway.continuity.restore`) and
kept up to date. At the first quiet moment it takes this one's place: no response runs or is asked for, the user does
not speak, no transcript is awaited, nothing is under way; the client may still be playing what the agent said. It hears
nothing of the exchange.
If there is no such moment, or no next connection can be had, the upstream ends this one some day, which is a loss like
any other.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from typing import Any

from gateway.continuity.restore import Restore
from gateway.conversation.context import Context
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.user_turns import UserTurns
from gateway.timers import Timer
from turngate.protocol.messages import Slot
from turngate.protocol.openai.server_events import (
    ItemAdded,
    ItemDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    UpstreamError,
)

#: Seconds until the next attempt after one that failed.
_AGAIN = 60.0
#: Seconds that the next connection may take to answer.
_UNANSWERED = 60.0
#: Seconds before the end of the upstream's session by which the next connection is to be opened, at the latest.
_BEFORE_END = 180.0


class RollOver:
    """The next connection of one conversation. Pass its events to `event`, and call `settle` after everything that
    happens."""

    def __init__(
        self, context: Context, client: ClientHandler, translators: CommandHandler, turns: UserTurns, unix_offset: float
    ) -> None:
        """``unix_offset`` is what to add to ``now`` for seconds since 1970; 0 if unknown."""
        self._context = context
        self._client = client
        self._translators = translators
        self._turns = turns
        self._unix_offset = unix_offset
        #: What brings the next connection to where the conversation is; None while there is none.
        self._restore: Restore | None = None
        #: The next connection is being opened, or brought to where the conversation is.
        self.opening = False
        self._session: dict[str, Any] = {}

    def began(self, session: dict[str, Any], now: float) -> None:
        """A connection has begun this session: set when the next one is opened."""
        context = self._context
        longest = context.limits.rollover
        if not longest:
            return
        ends_at = session.get("expires_at")
        if self._unix_offset and isinstance(ends_at, int | float):
            left = ends_at - self._unix_offset - now
            longest = min(longest, max(left - _BEFORE_END, left / 2))
        context.timers.set(Timer.ROLLOVER, now + longest)

    def due(self, now: float) -> None:
        """Open the next connection, if this one is where the conversation is; give one up that does not answer."""
        if self.opening:
            self._drop(now)
        elif self._context.live:
            self.opening = True
            self._context.out.prepare_upstream = True
            self._awaits_answer(now)
        else:
            self._context.timers.set(Timer.ROLLOVER, now + _AGAIN)

    def event(self, event: ServerEvent | None, now: float) -> None:
        """Handle an event of the next connection."""
        context, restore = self._context, self._restore
        match event:
            case SessionCreated() if restore is None and self.opening:
                self._restore = restore = Restore(context.next_event_id("restore"))
                context.out.to_next.append(restore.begin(context.upstream_config.restoring()))
                self._session = event.session
            case SessionUpdated() if restore is not None:
                self._session = event.session or self._session
                context.out.to_next += restore.configured(context.replayed())
            case ItemAdded() | ItemDone() if restore is not None:
                restore.acknowledged(event.item.id)
            case UpstreamError() if restore is not None:
                restore.refused(event.error.event_id, event.error.message)
                if restore.refusal is not None:
                    self._drop(now)
                    return
        if restore is not None and restore.done:
            # It waits for a quiet moment, for as long as that takes.
            context.timers.clear(Timer.ROLLOVER)

    def lost(self, now: float) -> None:
        """The next connection could not be had, or has ended."""
        if self.opening:
            self._forget(now)

    def abandon(self, now: float) -> None:
        """This connection is lost: the next one is not waited for."""
        if self.opening:
            self._drop(now)

    def settle(self, now: float) -> None:
        """Bring the next connection up to date at a quiet moment, and exchange them if it is."""
        context, restore = self._context, self._restore
        if restore is None or not restore.done or not self.is_quiet:
            return
        config = context.upstream_config
        session = config.restoring()
        if session != restore.session:
            context.out.to_next.append(restore.begin(session, config.changing(restore.session)))
            self._awaits_answer(now)
            return
        missing = restore.catch_up(context.replayed())
        if missing:
            context.out.to_next += missing
            self._awaits_answer(now)
            return
        context.out.exchange_upstream = True
        context.counters.rolled_over += 1
        context.has_restored(restore.items)
        self._restore, self.opening = None, False
        config.lost()
        config.learn(self._session)
        self._turns.moved()
        self._client.user_audio.restored(now)
        self.began(self._session, now)

    @property
    def is_quiet(self) -> bool:
        """Whether another connection may take this one's place now."""
        context = self._context
        turn = context.turn
        return (
            turn.slot is Slot.IDLE
            and turn.pending_create is None
            and not turn.user_speaking
            and context.upstream_config.update is None
            and not context.out.to_upstream
            and not self._translators.holds_items
            and not self._turns.waits
            # The next connection does not transcribe what was said on this one.
            and not context.downlink.user.awaited
            and all(request.in_conversation or not request.translated for request in context.requests)
        )

    def _awaits_answer(self, now: float) -> None:
        self._context.timers.set(Timer.ROLLOVER, now + _UNANSWERED)

    def _drop(self, now: float) -> None:
        self._context.out.drop_next = True
        self._forget(now)

    def _forget(self, now: float) -> None:
        self._restore, self.opening = None, False
        self._context.timers.set(Timer.ROLLOVER, now + _AGAIN)
