"""Upstreams that answer in text once an assistant's message was added to a conversation, although audio was asked for.

This was reported of several models (https://github.com/livekit/agents/issues/2471). If the first reply after a
conversation was restored is text, it is not passed on. The restored messages are replaced by one message that tells
what was said, and the reply is asked for again. Other conversations of the process are restored in that form from then
on.

No I/O, no clock.
"""

from __future__ import annotations

from functools import partial

from gateway.continuity.transcript import HISTORY
from gateway.conversation.context import Context
from turngate.protocol.openai.client_events import item_create, item_delete
from turngate.protocol.openai.server_events import (
    OutputAudioTranscriptDelta,
    OutputTextDelta,
    Response,
    ResponseDone,
    ServerEvent,
)


class TextOnly:
    """Watches one conversation's replies. Call `watch` before an event is handled, and `caught` at a response's end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: The response that is text; None if none was found.
        self._response: str | None = None
        #: Text was asked for at some time since the restoration: a response that began then is rightly text, although
        #: audio may be asked for by now.
        self._may_be_text = False

    def watch(self, event: ServerEvent) -> None:
        """Look at the first reply after a restoration."""
        context = self._context
        if not context.unproven:
            self._may_be_text = False
            return
        self._may_be_text |= "audio" not in (context.upstream_config.confirmed.get("output_modalities") or ["audio"])
        response_id = context.turn.response_id
        if response_id is None:
            return
        match event:
            case OutputAudioTranscriptDelta() if event.response_id == response_id:
                context.unproven = False
            case OutputTextDelta() if event.response_id == response_id and self._is_wrong(response_id):
                self._response = response_id
                context.downlink.replies.cut()
            case ResponseDone() if event.response.id == response_id and self._response is None:
                if self._may_be_text:
                    # It shows nothing; the next one is looked at.
                    self._may_be_text = False
                else:
                    context.unproven = not event.response.is_complete

    def caught(self, response: Response) -> bool:
        """A response has ended. Returns whether it was text instead of audio: what was restored is restored in another
        form, and the caller asks for it again."""
        if self._response != response.id:
            return False
        context = self._context
        self._response, context.unproven = None, False
        context.counters.restored_as_message = True
        items = context.replayed()
        kept = {item["id"] for item in items}
        gone = [item_id for item_id in context.restored_items if item_id not in kept]
        for item_id in (*gone, *(item.id for item in response.output if item.id is not None)):
            context.send(partial(item_delete, item_id), "truncate")
        for item in items:
            if item["id"] == HISTORY:
                context.send(lambda event_id, item=item: item_create(item, event_id, "root"), "truncate")  # type: ignore[misc]
        context.restored_items = context.restored_items & kept | {HISTORY}
        return True

    def _is_wrong(self, response_id: str) -> bool:
        return not self._may_be_text and not self._context.downlink.replies.has_sounded(response_id)
