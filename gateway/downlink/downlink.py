"""The downlink: converts upstream events to messages for the client.

Rules of this module
1. Events are processed in the order of arrival, and the messages for the client are sent in that order.
2. The upstream repeats information (an item is in an event of its own, in its response's events, and in
   ``response.done``). The client gets each text once per item, and each function call once per call id.
3. After ``UserStartedSpeaking`` the client gets nothing more of the interrupted reply, neither text nor audio. Just
   before it, the client gets the part of the reply's text that can have been heard, unless the whole text was sent.
   Function calls of a reply that was complete are still requested.
4. Only items that belong to a response are reported. Items that the gateway adds itself (earlier history, the user's
   text messages) are repeated by the upstream, and ignored here.
5. Out-of-band responses are not reported, nor are errors of races that are recovered elsewhere.
6. All stored state is bounded. If it is exceeded, a message may be sent twice.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.audio.formats import AgentAudio
from gateway.audio.playout import Cut, PlayoutClock, heard_words, up_to_a_word
from gateway.dialect import Dialect
from gateway.downlink.errors import UpstreamErrors, approval_wanted, shortfall
from gateway.downlink.replies import Replies
from gateway.downlink.reply import LostReply, Reply, text_of
from gateway.downlink.silence import Silence
from gateway.downlink.transcripts import Transcripts
from gateway.downlink.user_speech import UserSpeech
from gateway.downlink.wording import Wording
from gateway.recent import Recent
from gateway.timers import Timers
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.server_events import (
    AudioCommitted,
    FunctionCallArgumentsDone,
    InputTranscriptionCompleted,
    InputTranscriptionDelta,
    InputTranscriptionFailed,
    Item,
    ItemDone,
    OutputAudioDone,
    OutputAudioTranscriptDelta,
    OutputAudioTranscriptDone,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    UpstreamError,
)

_NOTHING: Sequence[ServerMessage] = ()
#: Characters that are spoken in a second, at a moderate pace. Text arrives ahead of its audio.
_CHARACTERS_PER_SECOND = 15


class Downlink:
    """One session's downlink. Pass upstream events to `handle`, and audio to `audio` and `forward`; send what they
    return.

    ``remembered`` bounds the number of stored responses, items, calls and utterances, each.
    """

    def __init__(
        self,
        dialect: Dialect,
        history: bool = True,
        *,
        latency_reports: bool = True,
        remembered: int = 256,
        timers: Timers | None = None,
        silence_heard: Callable[[float], None] = lambda seconds: None,
        reply_latency: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        #: Must be told of all audio that is sent to the client.
        self.playout = PlayoutClock()
        #: Converts the audio to the client's format.
        self.voice = AgentAudio()
        #: Makes the messages for the client.
        self.wording = Wording(dialect, history=history, latency_reports=latency_reports)
        self.replies = Replies(remembered)
        #: Name and arguments of the calls that were sent.
        self._calls: Recent[str, tuple[str, str]] = Recent(remembered)
        self._errors = UpstreamErrors()
        #: The user's speech.
        self.user = UserSpeech(
            Transcripts(remembered) if dialect.sends_extensions else None,
            self.wording.text,
            lambda seconds: self.wording.latency("stt_latency", seconds),
            timers or Timers(),
            remembered,
        )
        #: What the client hears of a lost connection.
        self.silence = Silence(silence_heard)
        self._reply_latency = reply_latency
        #: When the input that the next reply answers was complete; None if unknown.
        self._asked_at: float | None = None
        self._routes: dict[type[object], Callable[[Any, float], list[ServerMessage]]] = {
            SpeechStarted: self._speech_started,
            SpeechStopped: self._speech_stopped,
            AudioCommitted: self.user.committed,
            InputTranscriptionDelta: self.user.interim,
            InputTranscriptionCompleted: self.user.final,
            InputTranscriptionFailed: self.user.failed,
            ResponseCreated: self._created,
            OutputItemAdded: self._item_added,
            OutputTextDelta: self._written,
            OutputAudioTranscriptDelta: self._words,
            OutputTextDone: lambda event, now: self._text(event.response_id, event.item_id, event.text, now),
            OutputAudioTranscriptDone: lambda event, now: self._text(
                event.response_id, event.item_id, event.transcript, now
            ),
            OutputAudioDone: self._audio_done,
            FunctionCallArgumentsDone: self._arguments,
            ItemDone: self._item_done,
            OutputItemDone: self._output_item_done,
            ResponseDone: self._done,
            UpstreamError: self._error,
        }

    def handle(self, event: ServerEvent, now: float) -> list[ServerMessage]:
        """The messages to send to the client for ``event``, in order; most events have none."""
        route = self._routes.get(type(event))
        return route(event, now) if route is not None else []

    def audio(self, response_id: str, item_id: str, now: float) -> Sequence[ServerMessage] | None:
        """Process a piece of audio: the messages to send before it, or None if it must not be forwarded."""
        reply = self.replies.begun(response_id, now)
        if reply.muted:
            return None
        if item_id not in reply.sounding:
            reply.sounding.add(item_id)
            reply.sounded_items.add(item_id)
            reply.sounded = True
            self.replies.owns(response_id, item_id)
            self.silence.ends(now)
        return _NOTHING if reply.started else self._start(reply, now)

    def forward(self, response_id: str, item_id: str, pcm: bytes, now: float) -> bytes:
        """This piece goes to the client now, after what `audio` returned for it; returns it in the client's format."""
        voice = self.voice
        frame = voice.feed(response_id, pcm)
        self.playout.forwarded(item_id, len(pcm) / voice.bytes_per_ms, now)
        return frame

    def audio_tail(self, response_id: str) -> bytes:
        """The audio of an item is complete: the rest of it, to send before anything else."""
        reply = self.replies.get(response_id)
        return b"" if reply is None or reply.gone else self.voice.end_item(response_id)

    def greeting(self, text: str) -> list[ServerMessage]:
        """The greeting as text, if it is not spoken. Send it after ``SettingsApplied``."""
        return [*self.wording.text("assistant", text), *self.wording.end()]

    def user_message(self, text: str, now: float) -> list[ServerMessage]:
        """The ``ConversationText`` for an accepted ``InjectUserMessage``."""
        self._asked_at = now
        return self.wording.text("user", text)

    def function_call_taken(self, call_id: str, output: str = "") -> list[ServerMessage]:
        """A ``FunctionCallResponse`` was accepted; ``output`` is the result for the model."""
        return self.wording.result_taken(call_id, self._calls.get(call_id), output)

    def interrupt(self, now: float) -> tuple[list[Cut], list[ServerMessage]]:
        """Interrupt the agent. Returns the items to truncate upstream, and the messages with the text that can have
        been heard and was not sent yet. Send both before the message that ends the reply."""
        self.silence.is_expected()
        cuts = self.playout.cut(now)
        messages: list[ServerMessage] = []
        for cut in cuts:
            reply = self.replies.owner(cut.item_id)
            if reply is not None and not reply.muted:
                messages += self._say(reply, cut.item_id, heard_words(reply.words.get(cut.item_id, ""), cut), now)
        return cuts, messages

    def lost(self, now: float) -> tuple[LostReply | None, list[ServerMessage]]:
        """The upstream's connection is lost. Returns what the client has had of the reply that was running, None if
        there was none, and the messages with its text as far as it was heard. Nothing more of it is sent: call `go_on`
        when another response goes on with it, or `end`."""
        reply = self.replies.newest
        if reply is None or reply.muted:
            return None, []
        if reply.over:
            # All but the end of its audio has arrived.
            return None, self._end(reply)
        self.silence.begins(self.playout.ends_at(now))
        heard = {item_id: self._heard(reply, item_id) for item_id in reply.words | reply.texts}
        messages = [
            message for item_id, text in heard.items() if text for message in self._say(reply, item_id, text, now)
        ]
        for item_id in reply.sounding:
            self.playout.complete(item_id)
        reply.lost = reply.over = True
        return LostReply(reply.id, reply.started, bool(reply.calls), heard), messages

    def heard_of(self, item_id: str) -> str:
        """The text of this item of the newest reply that the client has, or will have when it has played what was
        sent."""
        reply = self.replies.newest
        return "" if reply is None or item_id not in reply.words | reply.texts else self._heard(reply, item_id)

    def take_up(self, reply: LostReply | None, calls: Iterable[Mapping[str, Any]], now: float) -> None:
        """Go on for another gateway, which was in the middle of this reply, if of any, and had sent these calls."""
        for call in calls:
            self._calls[call["call_id"]] = (call["name"], call["arguments"])
        if reply is not None:
            self.replies.take_up(reply, now)

    def _heard(self, reply: Reply, item_id: str) -> str:
        """The text of this item that the client has, or will have when it has played what was sent."""
        words = (reply.texts.get(item_id) or reply.words[item_id]).strip()
        if self.replies.was_told(item_id) or (
            item_id in reply.texts and item_id in reply.sounded_items - reply.sounding
        ):
            return words
        spoken = self.playout.forwarded_ms(item_id) / 1000 * _CHARACTERS_PER_SECOND
        return up_to_a_word(words, int(spoken))

    def end(self, *, owed: bool | None = None) -> list[ServerMessage]:
        """End the newest reply, although its response has not ended. Returns the messages that say so (``owed``: also
        if the client never heard of the reply); not used where ``UserStartedSpeaking`` does."""
        self.silence.is_expected()
        reply = self.replies.newest
        return [] if reply is None or reply.gone else self._end(reply, owed=owed)

    def last_words(self, code: str, now: float) -> list[ServerMessage]:
        """The messages to send before the error with this code that ends the session: the text of the current reply, as
        far as it has arrived, and errors that waited for the end of that reply."""
        reply = self.replies.newest
        messages: list[ServerMessage] = []
        if reply is not None and not reply.muted:
            for item_id, words in (reply.words | reply.texts).items():
                # The text may already have been sent for an item without an id.
                if words.strip() not in reply.said:
                    messages += self._say(reply, item_id, words.strip(), now)
        return messages + self._errors.release(but=code)

    def _speech_started(self, event: SpeechStarted, now: float) -> list[ServerMessage]:
        self.replies.cut_all()
        self.user.started(event)
        return [events.user_started_speaking()]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[ServerMessage]:
        self._asked_at = now
        return self.user.stopped(event, now)

    def _created(self, event: ResponseCreated, now: float) -> list[ServerMessage]:
        before = self.replies.newest
        reply = self.replies.begun(event.response.id, now, event.response)
        if not reply.default:
            return []
        self.voice.begin(reply.id)
        # If the server never sent the end of a finished reply's audio, end the reply now.
        ended = self._end(before) if before is not None and before is not reply and before.over else []
        # One that goes on with another has started before.
        return ended if reply.started else [*ended, *self.wording.thinking()]

    def _item_added(self, event: OutputItemAdded | OutputItemDone, now: float) -> list[ServerMessage]:
        if event.item.id is not None:
            self.replies.owns(event.response_id, event.item.id)
        return []

    def _written(self, event: OutputTextDelta, now: float) -> list[ServerMessage]:
        reply = self.replies.begun(event.response_id, now)
        words = self._words(event, now)
        return [] if reply.muted else [*words, *self._start(reply, now)]

    def _words(self, event: OutputTextDelta | OutputAudioTranscriptDelta, now: float) -> list[ServerMessage]:
        reply = self.replies.begun(event.response_id, now)
        self.replies.owns(event.response_id, event.item_id)
        if reply.muted:
            return []
        reply.words[event.item_id] = reply.words.get(event.item_id, "") + event.delta
        if reply.words_at is not None:
            return []
        reply.words_at = now
        return self.wording.latency("ttt_text_latency", now - reply.since)

    def _text(self, response_id: str, item_id: str, text: str, now: float) -> list[ServerMessage]:
        reply = self.replies.begun(response_id, now)
        if not reply.muted:
            self.replies.owns(response_id, item_id)
            reply.texts[item_id] = f"{reply.texts.get(item_id, '')} {text.strip()}".strip()
        return []

    def _arguments(self, event: FunctionCallArgumentsDone, now: float) -> list[ServerMessage]:
        reply = self.replies.begun(event.response_id, now)
        if not reply.muted and event.arguments is not None:
            self.replies.owns(event.response_id, event.item_id)
            reply.arguments[event.call_id] = event.arguments
        return []

    def _audio_done(self, event: OutputAudioDone, now: float) -> list[ServerMessage]:
        reply = self.replies.begun(event.response_id, now)
        reply.sounding.discard(event.item_id)
        self.playout.complete(event.item_id)
        return self._end(reply) if reply.over and not reply.sounding else []

    def _item_done(self, event: ItemDone, now: float) -> list[ServerMessage]:
        owner = self.replies.owner(event.item.id)
        return [] if owner is None else self._item(owner, event.item, now)

    def _output_item_done(self, event: OutputItemDone, now: float) -> list[ServerMessage]:
        self._item_added(event, now)
        return self._item(self.replies.begun(event.response_id, now), event.item, now)

    def _done(self, event: ResponseDone, now: float) -> list[ServerMessage]:
        response = event.response
        announced = response.id in self.replies
        reply = self.replies.begun(response.id, now, response)
        messages: list[ServerMessage] = []
        complete = response.is_complete
        for item_id in reply.sounding:
            self.playout.complete(item_id)
        if reply.cut and reply.default and complete:
            for item in response.output:
                messages += self._call(reply, item, now) if item.type == "function_call" else []
        if not reply.muted:
            # By item first, because some servers omit the ids in the response's list of items.
            for item_id, text in reply.texts.items():
                messages += self._say(reply, item_id, text, now)
            for item in response.output:
                if complete or item.type != "function_call":
                    messages += self._item(reply, item, now)
            messages += shortfall(response, silent=bool(reply.said) and not reply.sounded)
        reply.over = True
        if reply.default:
            self.silence.is_expected()
            messages += self._errors.release()
        if reply.muted or not reply.sounding:
            # A client that was told of nothing waits for the end of the turn all the same, unless functions are called.
            messages += self._end(reply, owed=reply.started or (announced and not reply.calls))
        return messages

    def _error(self, event: UpstreamError, now: float) -> list[ServerMessage]:
        return self._errors.told(event, replying=self.replies.newest is not None and self.replies.newest.running)

    def _item(self, reply: Reply, item: Item, now: float) -> list[ServerMessage]:
        if reply.muted:
            return []
        if item.type == "function_call":
            return self._call(reply, item, now)
        if item.type == "mcp_approval_request" and not self.replies.was_told(item.id):
            self.replies.note_told(item.id or "")
            return [approval_wanted(item)]
        if item.type == "message" and item.role in (None, "assistant"):
            text = text_of(item) or reply.texts.get(item.id or "", "")
            return self._say(reply, item.id, text, now)
        return []

    def _say(self, reply: Reply, item_id: str | None, text: str, now: float) -> list[ServerMessage]:
        if not text or self.replies.was_told(item_id) or (item_id is None and text in reply.said):
            return []
        if item_id is not None:
            self.replies.note_told(item_id)
        reply.said.add(text)
        return [*self._start(reply, now), *self.wording.text("assistant", text)]

    def _call(self, reply: Reply, item: Item, now: float) -> list[ServerMessage]:
        incomplete = item.status not in (None, "completed")
        if incomplete or not item.call_id or not item.name or item.call_id in self._calls:
            return []
        arguments = item.arguments or reply.arguments.get(item.call_id) or "{}"
        self._calls[item.call_id] = (item.name, arguments)
        first = self.wording.latency("ttt_tool_latency", now - reply.since) if not reply.calls else []
        reply.calls.append(item.call_id)
        return [*first, events.function_call_request(item.call_id, item.name, arguments)]

    def _start(self, reply: Reply, now: float) -> list[ServerMessage]:
        if reply.started:
            return []
        reply.started = True
        asked_at, self._asked_at = self._asked_at, None
        total = now - (reply.since if asked_at is None else asked_at)
        if asked_at is not None:
            self._reply_latency(total)
        words_at = now if reply.words_at is None else reply.words_at
        return [
            *(self.wording.latency("tts_latency", now - words_at) if reply.sounding else []),
            *self.wording.latency("total_latency", total),
            events.agent_started_speaking(total, words_at - reply.since, now - words_at),
        ]

    def _end(self, reply: Reply, *, owed: bool | None = None) -> list[ServerMessage]:
        """``owed``: whether the client is to hear of the end; by default, if it heard of the beginning."""
        told = (reply.started if owed is None else owed) and not reply.gone
        reply.closed, reply.lost = True, False
        reply.forget()
        return self.wording.end() if told else []
