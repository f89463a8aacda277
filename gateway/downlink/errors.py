"""The upstream's errors, as the client is told of them: which it is not told, and which wait for a reply's words."""

from __future__ import annotations

from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY
from turngate.protocol.openai.server_events import Item, Response, UpstreamError

#: Errors of a healthy session: races that the turn absorbs, and a commit that the server's VAD was faster with.
_NOT_SHOWN = frozenset({ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY})
#: Ends that are expected: where a reply is in flight they wait for its text.
_EXPECTED_ENDS = frozenset({"idle_timeout", "session_max_duration"})


class UpstreamErrors:
    """One session's. Tell the client what `told` returns at once, and what `release` returns after a reply."""

    def __init__(self) -> None:
        #: Expected ends that wait for the reply in flight, by code.
        self._waiting: dict[str, ServerMessage] = {}

    def told(self, event: UpstreamError, *, replying: bool) -> list[ServerMessage]:
        """What the client hears of this error now; ``replying`` is whether a reply is in flight."""
        if event.code in _NOT_SHOWN:
            return []
        message = events.error(event.code, event.error.message or event.code)
        if event.code in _EXPECTED_ENDS and replying:
            self._waiting[event.code] = message
            return []
        return [message]

    def release(self, *, but: str | None = None) -> list[ServerMessage]:
        """No reply is in flight any more: what waited for that. ``but`` is a code that is told otherwise."""
        waiting, self._waiting = self._waiting, {}
        return [message for code, message in waiting.items() if code != but]


#: Why a response is ``incomplete``, by the upstream's reason.
_CUT_OFF = {
    "max_output_tokens": "it reached the most tokens that a reply may have",
    "content_filter": "the upstream's content filter stopped it",
}


def shortfall(response: Response, *, silent: bool) -> list[ServerMessage]:
    """What the client must know of how this response ended: that it failed, that its end is missing, or that it is
    ``silent`` (words came and no audio) although audio was asked for. Empty for a reply that is as it should be."""
    details = response.status_details
    if response.status == "failed":
        error = details.error if details is not None else None
        if error is None:
            return [events.error("response_failed", "The model could not reply.")]
        return [events.error(error.known_code, error.message or "The model could not reply.")]
    if response.status == "incomplete":
        reason = (details.reason if details is not None else None) or "no reason given"
        description = f"The reply was cut off: {_CUT_OFF.get(reason, reason)}."
        return [events.warning("REPLY_INCOMPLETE", description)]
    if silent and "audio" in response.output_modalities:
        return [events.warning("REPLY_WITHOUT_AUDIO", "The model replied with text only although audio was asked for.")]
    return []


def approval_wanted(item: Item) -> ServerMessage:
    """The model asks whether it may use a tool of its own; nobody here can say so, and it will not go on with it."""
    name = item.name or "a tool"
    return events.warning(
        "MCP_APPROVAL_NOT_SUPPORTED", f"The model asks for approval to use {name}; this server cannot give it."
    )
