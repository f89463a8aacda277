"""One response from acceptance to its end: a generator that emits events and yields the pauses between them.

A response holds the slot of the default conversation from its acceptance, which is shortly before the client receives
``response.created``, to its ``response.done``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

from turngate.simulator.behaviour import Behaviour
from turngate.simulator.calls import Call
from turngate.simulator.frames import Event
from turngate.simulator.items import Items
from turngate.simulator.output_items import FunctionCall, Message, OutputContext, OutputItem
from turngate.simulator.replies import ReplyPlan
from turngate.simulator.response_options import ResponseOptions
from turngate.simulator.scheduler import Scheduler, Timer

#: Rough number of tokens of an item, so that the reported usage grows with the conversation.
_TOKENS_PER_ITEM = 12
_SERVER_ERROR = {
    "type": "server_error",
    "code": "server_error",
    "message": "The server had an error while processing your request.",
}

Reason = Literal["turn_detected", "client_cancelled"]


class ResponseStream:
    """A response in progress. It runs on the scheduler's timers and calls ``on_done`` after its last event."""

    def __init__(
        self,
        scheduler: Scheduler,
        behaviour: Behaviour,
        items: Items,
        conversation_id: str,
        options: ResponseOptions,
        plan: ReplyPlan,
        on_done: Callable[[ResponseStream], None],
    ) -> None:
        self.id = scheduler.new_id("resp")
        self.options = options
        self.accepted_at = scheduler.now
        #: True once ``response.created`` was sent. Before that, the client cannot cancel the response.
        self.announced = False
        self._scheduler = scheduler
        self._behaviour = behaviour
        self._items = items if options.in_conversation else None
        self._context_items = len(items)
        self._conversation_id = conversation_id if options.in_conversation else None
        self._plan = plan
        self._on_done = on_done
        self._current: OutputItem | None = None
        self._output: list[Event] = []
        self._tokens = 0
        self._audio_ms = 0
        self._status = plan.ending
        self._reason: Reason | None = None
        self._script = self._steps()
        delay = behaviour.wait(behaviour.created_delay) + plan.late
        self._timer: Timer = scheduler.call_later(delay, self._step)
        self._cancel_timer: Timer | None = None

    @property
    def audio_ms(self) -> int:
        """Milliseconds of audio sent so far, all output items together."""
        return self._audio_ms + (self._current.sent_ms if self._current else 0)

    @property
    def cancelling(self) -> bool:
        """True from an accepted cancellation to ``response.done``. Deltas are still sent during that time."""
        return self._reason is not None

    def cancel(self, reason: Reason) -> None:
        """End this response after the cancel delay; a second call has no effect."""
        if self._reason is None:
            self._reason = reason
            delay = self._behaviour.wait(self._behaviour.cancel_delay)
            self._cancel_timer = self._scheduler.call_later(delay, self._finish)

    def _step(self) -> None:
        for pause in self._script:
            if pause > 0:
                self._timer = self._scheduler.call_later(pause, self._step)
                return
        self._finish()

    def _steps(self) -> Iterator[float]:
        self._announce()
        yield self._behaviour.wait(self._behaviour.thinking)
        limit = self.options.max_output_tokens
        for index, output in enumerate(self._plan.outputs):
            item = self._current = self._new_item(index, output)
            item.open()
            for pause in item.deltas():
                if isinstance(limit, int) and self._tokens + item.tokens >= limit:
                    self._status = "incomplete"
                    return
                yield pause
            if self._status == "completed" or index < len(self._plan.outputs) - 1:
                self._close_current("completed")

    def _new_item(self, index: int, output: str | Call) -> OutputItem:
        context = OutputContext(self._scheduler, self._behaviour, self._items, self.id, index)
        if isinstance(output, Call):
            return FunctionCall(context, output)
        options = self.options
        if self._plan.text_only:
            options = replace(options, session={**options.session, "output_modalities": ["text"]})
        return Message(context, output, options)

    def _announce(self) -> None:
        self.announced = True
        self._scheduler.emit("response.created", response=self._wire("in_progress", None))

    def _close_current(self, status: str) -> None:
        if self._current is not None:
            self._tokens += self._current.tokens
            self._audio_ms += self._current.sent_ms
            self._output.append(self._current.close(status))
            self._current = None

    def _finish(self) -> None:
        """Close the current item, then send ``response.done``."""
        self._timer.cancel()
        if self._cancel_timer is not None:
            self._cancel_timer.cancel()
        if not self.announced:
            self._announce()
        status, details = self._ending()
        self._close_current("incomplete")
        self._scheduler.emit("response.done", response=self._wire(status, details))
        self._on_done(self)

    def _ending(self) -> tuple[str, Event | None]:
        if self._reason is not None:
            return "cancelled", {"type": "cancelled", "reason": self._reason}
        match self._status:
            case "failed":
                return "failed", {"type": "failed", "error": self._plan.error or _SERVER_ERROR}
            case "incomplete":
                return "incomplete", {"type": "incomplete", "reason": self._plan.reason}
            case _:
                return "completed", None

    def _wire(self, status: str, details: Event | None) -> Event:
        output = self.options.output
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": list(self._output),
            "conversation_id": self._conversation_id,
            "output_modalities": self.options.session["output_modalities"],
            "max_output_tokens": self.options.max_output_tokens,
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": None if status == "in_progress" else self._usage(),
            "metadata": self.options.metadata,
        }

    def _usage(self) -> dict[str, Any]:
        heard = len(self.options.session["instructions"]) // 4 + _TOKENS_PER_ITEM * self._context_items
        audio = self.audio_ms // 50
        return {
            "total_tokens": heard + self._tokens + audio,
            "input_tokens": heard,
            "output_tokens": self._tokens + audio,
            "input_token_details": {
                "text_tokens": heard,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": self._tokens, "audio_tokens": audio},
        }
