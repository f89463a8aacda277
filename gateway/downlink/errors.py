"""The upstream's errors for the client: which are not reported, and which are delayed until the end of a reply."""

from __future__ import annotations

from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY
from turngate.protocol.openai.server_events import Item, Response, UpstreamError

#: Errors of a healthy session, which are not reported: races that are recovered, and a commit after the server's own.
_NOT_SHOWN = frozenset({ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY})
#: Expected ends of a session. During a reply they are delayed until its text has been sent.
_EXPECTED_ENDS = frozenset({"idle_timeout", "session_max_duration"})


class UpstreamErrors:
    """The errors of one session. Send the messages of `told` at once, and those of `release` after a reply."""

    def __init__(self) -> None:
        #: Delayed errors, by code.
        self._waiting: dict[str, ServerMessage] = {}

    def told(self, event: UpstreamError, *, replying: bool) -> list[ServerMessage]:
        """The messages for this error to send now; ``replying`` is whether a reply is in progress."""
        if event.code in _NOT_SHOWN:
            return []
        message = events.error(event.code, event.error.message or event.code)
        if event.code in _EXPECTED_ENDS and replying:
            self._waiting[event.code] = message
            return []
        return [message]

    def release(self, *, but: str | None = None) -> list[ServerMessage]:
        """The delayed errors, at the end of a reply, except one with the code ``but``, which is reported elsewhere."""
        waiting, self._waiting = self._waiting, {}
        return [message for code, message in waiting.items() if code != but]


#: Descriptions of the upstream's reasons for an ``incomplete`` response.
_CUT_OFF = {
    "max_output_tokens": "it reached the maximum number of output tokens",
    "content_filter": "the upstream's content filter stopped it",
}


def shortfall(response: Response, *, silent: bool) -> list[ServerMessage]:
    """The messages about an unusual end of a response: it failed, it is incomplete, or it is ``silent`` (text without
    audio) although audio was requested. Empty for a normal end."""
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
        return [
            events.warning("REPLY_WITHOUT_AUDIO", "The model replied with text only, although audio was requested.")
        ]
    return []


def approval_wanted(item: Item) -> ServerMessage:
    """The model requests approval for one of its tools. This server cannot approve it, so the tool is not used."""
    name = item.name or "a tool"
    return events.warning(
        "MCP_APPROVAL_NOT_SUPPORTED", f"The model asks for approval to use {name}; this server cannot give it."
    )
