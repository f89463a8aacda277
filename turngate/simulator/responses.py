"""The responses of one session, and the rule of the Realtime API that turngate exists for.

At most one response at a time writes to the default conversation. It holds the slot from acceptance to
``response.done``; a second request during that time is refused and not queued. Out-of-band responses run in parallel
and do not use the slot.
"""

from __future__ import annotations

from collections.abc import Callable

from turngate.simulator.behaviour import Behaviour
from turngate.simulator.errors import RefusedError
from turngate.simulator.frames import Event
from turngate.simulator.items import Items
from turngate.simulator.replies import ReplyPlan, plan_reply, unanswered_input
from turngate.simulator.response_options import Origin, ResponseOptions, context
from turngate.simulator.response_stream import Reason, ResponseStream
from turngate.simulator.scheduler import Scheduler


class Responses:
    """Accepts, refuses, cancels and ends responses. ``on_default_done`` is called when the slot becomes free."""

    def __init__(
        self,
        scheduler: Scheduler,
        behaviour: Behaviour,
        items: Items,
        conversation_id: str,
        on_default_done: Callable[[ResponseStream], None],
    ) -> None:
        self._scheduler = scheduler
        self._behaviour = behaviour
        self._items = items
        self._conversation_id = conversation_id
        self._on_default_done = on_default_done
        self._audio_heard = False
        #: The response that holds the slot of the default conversation.
        self.active: ResponseStream | None = None
        self.out_of_band: dict[str, ResponseStream] = {}
        #: Changes what a reply is to be: a fault of the connection.
        self.sicken: Callable[[ReplyPlan], ReplyPlan] = lambda plan: plan

    @property
    def voice_locked(self) -> bool:
        """True once the default conversation contains assistant audio."""
        return self._audio_heard or (self.active is not None and self.active.audio_ms > 0)

    def create(self, request: Event, session: Event, origin: Origin = "client") -> None:
        """Start a response; raises `RefusedError` if the slot is occupied or the request is invalid."""
        options = ResponseOptions.of(request, session, voice_locked=self.voice_locked, origin=origin)
        if options.in_conversation and self.active is not None:
            raise RefusedError(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        if not options.in_conversation and len(self.out_of_band) >= self._behaviour.max_out_of_band:
            raise RefusedError("rate_limit_exceeded", "Too many out-of-band responses are in progress.")
        heard = unanswered_input(context(request, self._items), options.instructions)
        plan = self.sicken(plan_reply(heard, options.session, options.instructions))
        stream = ResponseStream(
            self._scheduler, self._behaviour, self._items, self._conversation_id, options, plan, self._done
        )
        if options.in_conversation:
            self.active = stream
        else:
            self.out_of_band[stream.id] = stream

    def cancel(self, response_id: str | None) -> None:
        """Cancel the default conversation's response, or the one with this id; raises `RefusedError` if there is none.

        A response without its ``response.created`` cannot be cancelled by the client; it starts regardless.
        """
        found = self.active
        if response_id is not None and (found is None or found.id != response_id):
            found = self.out_of_band.get(response_id)
        if found is None or not found.announced or found.cancelling:
            raise RefusedError("response_cancel_not_active", "Cancellation failed: no active response found")
        found.cancel("client_cancelled")

    def interrupt(self, reason: Reason = "turn_detected") -> None:
        """End the default conversation's response, if there is one, because the user started to speak."""
        if self.active is not None:
            self.active.cancel(reason)

    def _done(self, stream: ResponseStream) -> None:
        if stream is self.active:
            self._audio_heard = self.voice_locked
            self.active = None
            self._on_default_done(stream)
        else:
            del self.out_of_band[stream.id]
        delay = self._behaviour.wait(self._behaviour.rate_limits_delay)
        self._scheduler.call_later(delay, self._send_rate_limits)

    def _send_rate_limits(self) -> None:
        limit = {"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 1.5}
        self._scheduler.emit("rate_limits.updated", rate_limits=[limit])
