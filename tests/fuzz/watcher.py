"""What must hold of a session whatever happens to it, seen from outside: from what it puts out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from gateway.conversation.conversation import Conversation, Effects
from tests.unit.schemas import accepted_by_clients, accepted_by_openai
from turngate.protocol.deepgram import ClientProtocolError, parse_client_message
from turngate.protocol.openai.server_events import (
    OutputAudioDelta,
    OutputItemAdded,
    ResponseDone,
    UpstreamProtocolError,
    parse_server_event,
)

_CLOSE_CODES = {1000, 1011, 1012}


class Watcher:
    """Shown everything that goes out, it fails on

    - a frame that the official SDKs would not accept;
    - a second ``AgentStartedSpeaking`` for one response, or output of a response before its first;
    - a second end of one reply, anything of it after its end, or more ends than beginnings;
    - an item's words told twice;
    - anything of a reply after the user has interrupted it;
    - an item that is truncated where no audio of it was, or that was not forwarded;
    - a client frame that cannot be used and is not answered, and an end without a code.
    """

    def __init__(self, conversation: Conversation, judge_every: int) -> None:
        self._conversation = conversation
        self._judge_every = judge_every
        self._seen = 0
        #: Messages to the client so far.
        self.told = 0
        self.ended = False
        self._started: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        #: Milliseconds of each item that went to the client.
        self._forwarded: Counter[str] = Counter()
        #: Responses of which anything was heard, and those that are over for the client.
        self._known: set[str] = set()
        self._dead: set[str] = set()
        #: ``AgentStartedSpeaking`` that an item caused whose response its event does not name.
        self._nameless = 0
        #: The response that held the slot before the event.
        self._holder: str | None = None
        #: How often a reply may still end; a greeting that is only shown ends without having begun.
        self._endable = 0 if conversation.context.dialect.speaks_greeting else 1

    def see(self, out: Effects, cause: dict[str, Any] | None) -> None:
        """Everything that came out, and the upstream event that caused it, if one did."""
        self.told += len(out.messages)
        for message in out.messages:
            self._judge(message, accepted_by_clients)
        for event in out.to_upstream:
            self._judge(event, accepted_by_openai)
            if event["type"] == "conversation.item.truncate":
                assert event["item_id"] in self._forwarded, f"{event['item_id']} had not begun"
                assert 0 <= event["audio_end_ms"] <= self._forwarded[event["item_id"]]
        self._speech(out, self._response_of(cause), cause)
        self._holder = self._conversation.context.turn.response_id
        for message in out.messages:
            if message["type"] == "ConversationText" and message["role"] == "assistant":
                self._words_of(message["content"])
        limits = self._conversation.context.limits
        assert len(self._conversation.context.requests) <= limits.requests + limits.calls + 1
        assert len(self._conversation.context.calls.open) <= limits.calls
        ending = self._conversation.ending
        if ending is not None and not self.ended:
            self.ended = True
            assert ending.code in _CLOSE_CODES
            assert ending.reason
            assert any(message["type"] == "Error" and message["code"] for message in out.messages)

    def audio(self, response: str, item: str, forwarded_ms: int) -> None:
        """Audio of this response has come; so much of it was forwarded."""
        self._known.add(response)
        if forwarded_ms:
            self._forwarded[item] += forwarded_ms
            assert response not in self._dead, f"audio of {response} after its end"
            self._must_have_begun(response, "audio")

    def client_frame(self, frame: bytes, out: Effects, last_seq: int, told: int) -> None:
        """A client frame went in, when so many requests and messages had been; this came out."""
        try:
            dialect = self._conversation.context.dialect
            parse_client_message(frame, strict=dialect.strict_fields, omitted=dialect.omitted)
        except ClientProtocolError:
            assert any(message["type"] == "Error" for message in out.messages), frame
            assert self._conversation.context.requests.last_seq == last_seq

    def _speech(self, out: Effects, response: str | None, cause: dict[str, Any] | None) -> None:
        kinds = [message["type"] for message in out.messages]
        stalled = any(message.get("code") == "REPLY_STALLED" for message in out.messages)
        ended = cause is not None and cause.get("type") == "response.done" and not self._started[response or ""]
        if stalled or ended:
            # The end of a reply that said nothing is told all the same.
            self._endable += kinds.count("AgentAudioDone")
        self._endable += kinds.count("AgentStartedSpeaking") - kinds.count("AgentAudioDone")
        assert self._endable >= 0, "the end of a reply that had not begun"
        if response is None:
            self._nameless += kinds.count("AgentStartedSpeaking")
        else:
            self._known.add(response)
            for message in out.messages:
                if message["type"] == "AgentStartedSpeaking":
                    self._started[response] += 1
                elif message["type"] == "ConversationText" and message["role"] == "assistant":
                    self._must_have_begun(response, "words")
            assert self._started[response] <= 1, f"{response} started speaking twice"
            if response in self._dead:
                spoken = [kind for kind in kinds if kind in ("AgentStartedSpeaking", "ConversationText")]
                assert not spoken, f"{spoken} of {response} after its end"
        if "UserStartedSpeaking" in kinds:
            agent = {"AgentStartedSpeaking", "AgentAudioDone", "ConversationText"}
            assert not agent.intersection(kinds[kinds.index("UserStartedSpeaking") :]) or "Error" in kinds
            self._dead |= self._known
        kind = cause.get("type") if cause is not None else None
        if response is not None and kind in ("response.done", "response.output_audio.done", "response.audio.done"):
            assert kinds.count("AgentAudioDone") <= 1
            if "AgentAudioDone" in kinds:
                assert response not in self._dead
                self._dead.add(response)

    def _must_have_begun(self, response: str, what: str) -> None:
        if not self._started[response] and self._nameless:
            self._nameless -= 1
            self._started[response] = 1
        assert self._started[response] == 1, f"{what} of {response} before AgentStartedSpeaking"

    def _words_of(self, content: str) -> None:
        item = content.partition(" ")[0]
        if item.startswith("item_"):
            self._words[item] += 1
            assert self._words[item] == 1, f"the words of {item} were told twice"

    def _judge(self, frame: dict[str, Any], accepted: Any) -> None:
        self._seen += 1
        if self._seen % self._judge_every == 0:
            accepted(orjson.loads(orjson.dumps(frame)))

    def _response_of(self, cause: dict[str, Any] | None) -> str | None:
        """The response that something of comes with this event."""
        if cause is None:
            return None
        try:
            event = parse_server_event(cause)
        except UpstreamProtocolError:
            return None
        empty = isinstance(event, OutputAudioDelta) and not event.pcm
        if event is None or empty or isinstance(event, OutputItemAdded):
            return None
        if (
            isinstance(event, ResponseDone)
            and event.response.is_default
            and (self._holder or "").startswith("unnamed-")
        ):
            # The end of one that began without an id.
            return self._holder
        response = getattr(event, "response", None)
        # One without an id is taken as the response that holds the slot.
        named = response.id if response is not None else getattr(event, "response_id", None)
        return named or None
