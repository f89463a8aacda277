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
from gateway.downlink.reply import LostReply, Reply, text_of
from gateway.downlink.transcripts import Transcripts
from gateway.downlink.user_speech import UserSpeech
from gateway.recent import Recent
from gateway.timers import Timers
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import LatencyStage, Role, ServerMessage
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
    Response,
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
    ) -> None:
        #: Must be told of all audio that is sent to the client.
        self.playout = PlayoutClock()
        #: Converts the audio to the client's format.
        self.voice = AgentAudio()
        self._extended = dialect.sends_extensions
        self._progress = dialect.sends_progress
        self._latency_reports = dialect.sends_progress and latency_reports
        self._dialect_has_history = dialect.sends_history
        self._history = history and dialect.sends_history
        self._replies: Recent[str, Reply] = Recent(remembered)
        self._current: Reply | None = None
        #: The response that an item belongs to.
        self._owners: Recent[str, str] = Recent(remembered)
        #: Items whose text was sent.
        self._told: Recent[str, None] = Recent(remembered)
        #: Name and arguments of the calls that were sent.
        self._calls: Recent[str, tuple[str, str]] = Recent(remembered)
        self._errors = UpstreamErrors()
        #: The user's speech.
        self.user = UserSpeech(
            Transcripts(remembered) if dialect.sends_extensions else None,
            self._text_messages,
            lambda seconds: self._latency("stt_latency", seconds),
            timers or Timers(),
            remembered,
        )
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

    def show_history(self, wanted: bool) -> None:
        """Set whether the client wants ``History``; it is only sent in a dialect that has it."""
        self._history = wanted and self._dialect_has_history

    def handle(self, event: ServerEvent, now: float) -> list[ServerMessage]:
        """The messages to send to the client for ``event``, in order; most events have none."""
        route = self._routes.get(type(event))
        return route(event, now) if route is not None else []

    def audio(self, response_id: str, item_id: str, now: float) -> Sequence[ServerMessage] | None:
        """Process a piece of audio: the messages to send before it, or None if it must not be forwarded."""
        reply = self._replies.get(response_id) or self._reply(response_id, now)
        if reply.muted:
            return None
        if item_id not in reply.sounding:
            reply.sounding.add(item_id)
            reply.sounded_items.add(item_id)
            reply.sounded = True
            self._owners[item_id] = response_id
        return _NOTHING if reply.started else self._start(reply, now)

    def forward(self, response_id: str, item_id: str, pcm: bytes, now: float) -> bytes:
        """This piece goes to the client now, after what `audio` returned for it; returns it in the client's format."""
        voice = self.voice
        frame = voice.feed(response_id, pcm)
        self.playout.forwarded(item_id, voice.milliseconds(pcm), now)
        return frame

    def audio_tail(self, response_id: str) -> bytes:
        """The audio of an item is complete: the rest of it, to send before anything else."""
        reply = self._replies.get(response_id)
        return b"" if reply is None or reply.gone else self.voice.end_item(response_id)

    def greeting(self, text: str) -> list[ServerMessage]:
        """The greeting as text, if it is not spoken. Send it after ``SettingsApplied``."""
        return [*self._text_messages("assistant", text), *self._end_messages()]

    def user_message(self, text: str, now: float) -> list[ServerMessage]:
        """The ``ConversationText`` for an accepted ``InjectUserMessage``."""
        self._asked_at = now
        return self._text_messages("user", text)

    def function_call_taken(self, call_id: str, output: str = "") -> list[ServerMessage]:
        """A ``FunctionCallResponse`` was accepted; ``output`` is the result for the model."""
        messages = [events.agent_thinking()] if self._extended else []
        if (call := self._calls.get(call_id)) is not None:
            if self._progress:
                messages.append(events.function_call_response(call_id, call[0], output))
            if self._history:
                messages.append(events.history_call(call_id, *call, output))
        return messages

    def calls_of(self, response_id: str) -> list[str]:
        """The ids of this response's function calls that were requested from the client."""
        reply = self._replies.get(response_id)
        return reply.calls if reply is not None else []

    def interrupt(self, now: float) -> tuple[list[Cut], list[ServerMessage]]:
        """Interrupt the agent. Returns the items to truncate upstream, and the messages with the text that can have
        been heard and was not sent yet. Send both before the message that ends the reply."""
        cuts = self.playout.cut(now)
        messages: list[ServerMessage] = []
        for cut in cuts:
            reply = self._replies.get(self._owners.get(cut.item_id, ""))
            if reply is not None and not reply.muted:
                messages += self._say(reply, cut.item_id, heard_words(reply.words.get(cut.item_id, ""), cut), now)
        return cuts, messages

    def lost(self, now: float) -> tuple[LostReply | None, list[ServerMessage]]:
        """The upstream's connection is lost. Returns what the client has had of the reply that was running, None if
        there was none, and the messages with its text as far as it was heard. Nothing more of it is sent: call `go_on`
        when another response goes on with it, or `end`."""
        reply = self._current
        if reply is None or reply.muted:
            return None, []
        if reply.over:
            # All but the end of its audio has arrived.
            return None, self._end(reply)
        heard = {item_id: self._heard(reply, item_id) for item_id in reply.words | reply.texts}
        messages = [
            message for item_id, text in heard.items() if text for message in self._say(reply, item_id, text, now)
        ]
        for item_id in reply.sounding:
            self.playout.complete(item_id)
        reply.lost = reply.over = True
        return LostReply(reply.id, reply.started, bool(reply.calls), heard), messages

    @property
    def newest(self) -> Reply | None:
        """The newest reply; None if there was none."""
        return self._current

    @property
    def shows_history(self) -> bool:
        """Whether the client wants ``History``."""
        return self._history

    def heard_of(self, item_id: str) -> str:
        """The text of this item of the newest reply that the client has, or will have when it has played what was
        sent."""
        reply = self._current
        return "" if reply is None or item_id not in reply.words | reply.texts else self._heard(reply, item_id)

    def told(self) -> frozenset[str]:
        """The items whose text was sent."""
        return frozenset(self._told)

    def was_told(self, item_id: str) -> bool:
        """Whether the client was sent the text of this item."""
        return item_id in self._told

    def spoken(self, text: str) -> list[ServerMessage]:
        """The messages with what the agent has said at another gateway."""
        return self._text_messages("assistant", text)

    def take_up(self, reply: LostReply | None, calls: Iterable[Mapping[str, Any]], now: float) -> None:
        """Go on for another gateway, which was in the middle of this reply, if of any, and had sent these calls."""
        for call in calls:
            self._calls[call["call_id"]] = (call["name"], call["arguments"])
        if reply is not None:
            self._current = Reply(reply.id, now, started=reply.started, lost=True, over=True)
            self._replies[reply.id] = self._current

    def _heard(self, reply: Reply, item_id: str) -> str:
        """The text of this item that the client has, or will have when it has played what was sent."""
        words = (reply.texts.get(item_id) or reply.words[item_id]).strip()
        if item_id in self._told or (item_id in reply.texts and item_id in reply.sounded_items - reply.sounding):
            return words
        spoken = self.playout.forwarded_ms(item_id) / 1000 * _CHARACTERS_PER_SECOND
        return up_to_a_word(words, int(spoken))

    def go_on(self, response_id: str, now: float) -> None:
        """This response goes on with the reply that was lost: for the client it is the same one. Call before `handle`
        gets its ``response.created``."""
        before = self._current
        if before is not None and before.lost:
            before.lost, before.closed = False, True
            self._current = self._replies[response_id] = Reply(response_id, now, started=before.started)

    def mutes(self, response_id: str) -> bool:
        """Whether nothing more of this response is sent."""
        reply = self._replies.get(response_id)
        return reply is not None and reply.muted

    def has_delivered(self, response_id: str, item_id: str) -> bool:
        """Whether the client has had this item: its text, or some of its audio."""
        reply = self._replies.get(response_id)
        return item_id in self._told or (reply is not None and item_id in reply.sounded_items)

    def has_sounded(self, response_id: str) -> bool:
        """Whether audio of this response was forwarded to the client."""
        reply = self._replies.get(response_id)
        return reply is not None and reply.sounded

    def has_begun(self, response_id: str) -> bool:
        """Whether the client has heard anything of this response, or was asked for a function call."""
        reply = self._replies.get(response_id)
        return reply is not None and (reply.started or bool(reply.calls) or reply.cut)

    @property
    def silent(self) -> bool:
        """Whether nothing of the newest reply has arrived yet."""
        reply = self._current
        return reply is not None and reply.running and not (reply.started or reply.words or reply.calls)

    def end(self, *, owed: bool | None = None) -> list[ServerMessage]:
        """End the newest reply, although its response has not ended. Returns the messages that say so (``owed``: also
        if the client never heard of the reply); not used where ``UserStartedSpeaking`` does."""
        reply = self._current
        return [] if reply is None or reply.gone else self._end(reply, owed=owed)

    def last_words(self, code: str, now: float) -> list[ServerMessage]:
        """The messages to send before the error with this code that ends the session: the text of the current reply, as
        far as it has arrived, and errors that waited for the end of that reply."""
        reply = self._current
        messages: list[ServerMessage] = []
        if reply is not None and not reply.muted:
            for item_id, words in (reply.words | reply.texts).items():
                # The text may already have been sent for an item without an id.
                if words.strip() not in reply.said:
                    messages += self._say(reply, item_id, words.strip(), now)
        return messages + self._errors.release(but=code)

    def is_over(self, response_id: str, now: float) -> None:
        """This response, of which nothing is known, is over: nothing of it will be sent."""
        self._replies[response_id] = Reply(response_id, now, closed=True)

    def cut(self) -> None:
        """The newest reply is cancelled or interrupted: nothing more of it will be sent."""
        if self._current is not None:
            self._current.cut = True

    def _speech_started(self, event: SpeechStarted, now: float) -> list[ServerMessage]:
        for reply in self._replies.values():
            reply.cut = True
        self.user.started(event)
        return [events.user_started_speaking()]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[ServerMessage]:
        self._asked_at = now
        return self.user.stopped(event, now)

    def _created(self, event: ResponseCreated, now: float) -> list[ServerMessage]:
        before = self._current
        reply = self._reply(event.response.id, now, event.response)
        if not reply.default:
            return []
        self.voice.begin(reply.id)
        # If the server never sent the end of a finished reply's audio, end the reply now.
        ended = self._end(before) if before is not None and before is not reply and before.over else []
        # One that goes on with another has started before.
        return [*ended, events.agent_thinking()] if self._progress and not reply.started else ended

    def _item_added(self, event: OutputItemAdded | OutputItemDone, now: float) -> list[ServerMessage]:
        if event.item.id is not None:
            self._owners[event.item.id] = event.response_id
        return []

    def _written(self, event: OutputTextDelta, now: float) -> list[ServerMessage]:
        reply = self._reply(event.response_id, now)
        words = self._words(event, now)
        return [] if reply.muted else [*words, *self._start(reply, now)]

    def _words(self, event: OutputTextDelta | OutputAudioTranscriptDelta, now: float) -> list[ServerMessage]:
        reply = self._reply(event.response_id, now)
        self._owners[event.item_id] = event.response_id
        if reply.muted:
            return []
        reply.words[event.item_id] = reply.words.get(event.item_id, "") + event.delta
        if reply.words_at is not None:
            return []
        reply.words_at = now
        return self._latency("ttt_text_latency", now - reply.since)

    def _text(self, response_id: str, item_id: str, text: str, now: float) -> list[ServerMessage]:
        reply = self._reply(response_id, now)
        if not reply.muted:
            self._owners[item_id] = response_id
            reply.texts[item_id] = f"{reply.texts.get(item_id, '')} {text.strip()}".strip()
        return []

    def _arguments(self, event: FunctionCallArgumentsDone, now: float) -> list[ServerMessage]:
        reply = self._reply(event.response_id, now)
        if not reply.muted and event.arguments is not None:
            self._owners[event.item_id] = event.response_id
            reply.arguments[event.call_id] = event.arguments
        return []

    def _audio_done(self, event: OutputAudioDone, now: float) -> list[ServerMessage]:
        reply = self._reply(event.response_id, now)
        reply.sounding.discard(event.item_id)
        self.playout.complete(event.item_id)
        return self._end(reply) if reply.over and not reply.sounding else []

    def _item_done(self, event: ItemDone, now: float) -> list[ServerMessage]:
        owner = self._replies.get(self._owners.get(event.item.id or "", ""))
        return [] if owner is None else self._item(owner, event.item, now)

    def _output_item_done(self, event: OutputItemDone, now: float) -> list[ServerMessage]:
        self._item_added(event, now)
        return self._item(self._reply(event.response_id, now), event.item, now)

    def _done(self, event: ResponseDone, now: float) -> list[ServerMessage]:
        response = event.response
        announced = response.id in self._replies
        reply = self._reply(response.id, now, response)
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
            messages += self._errors.release()
        if reply.muted or not reply.sounding:
            # A client that was told of nothing waits for the end of the turn all the same, unless functions are called.
            messages += self._end(reply, owed=reply.started or (announced and not reply.calls))
        return messages

    def _error(self, event: UpstreamError, now: float) -> list[ServerMessage]:
        return self._errors.told(event, replying=self._current is not None and self._current.running)

    def _item(self, reply: Reply, item: Item, now: float) -> list[ServerMessage]:
        if reply.muted:
            return []
        if item.type == "function_call":
            return self._call(reply, item, now)
        if item.type == "mcp_approval_request" and item.id not in self._told:
            self._told[item.id or ""] = None
            return [approval_wanted(item)]
        if item.type == "message" and item.role in (None, "assistant"):
            text = text_of(item) or reply.texts.get(item.id or "", "")
            return self._say(reply, item.id, text, now)
        return []

    def _say(self, reply: Reply, item_id: str | None, text: str, now: float) -> list[ServerMessage]:
        if not text or item_id in self._told or (item_id is None and text in reply.said):
            return []
        if item_id is not None:
            self._told[item_id] = None
        reply.said.add(text)
        return [*self._start(reply, now), *self._text_messages("assistant", text)]

    def _call(self, reply: Reply, item: Item, now: float) -> list[ServerMessage]:
        incomplete = item.status not in (None, "completed")
        if incomplete or not item.call_id or not item.name or item.call_id in self._calls:
            return []
        arguments = item.arguments or reply.arguments.get(item.call_id) or "{}"
        self._calls[item.call_id] = (item.name, arguments)
        first = self._latency("ttt_tool_latency", now - reply.since) if not reply.calls else []
        reply.calls.append(item.call_id)
        return [*first, events.function_call_request(item.call_id, item.name, arguments)]

    def _reply(self, response_id: str, now: float, response: Response | None = None) -> Reply:
        reply = self._replies.get(response_id)
        if reply is None:
            reply = Reply(response_id, now, default=response is None or response.is_default)
            self._replies[response_id] = reply
            if reply.default:
                self._current = reply
        return reply

    def _start(self, reply: Reply, now: float) -> list[ServerMessage]:
        if reply.started:
            return []
        reply.started = True
        asked_at, self._asked_at = self._asked_at, None
        total = now - (reply.since if asked_at is None else asked_at)
        words_at = now if reply.words_at is None else reply.words_at
        return [
            *(self._latency("tts_latency", now - words_at) if reply.sounding else []),
            *self._latency("total_latency", total),
            events.agent_started_speaking(total, words_at - reply.since, now - words_at),
        ]

    def _end(self, reply: Reply, *, owed: bool | None = None) -> list[ServerMessage]:
        """``owed``: whether the client is to hear of the end; by default, if it heard of the beginning."""
        told = (reply.started if owed is None else owed) and not reply.gone
        reply.closed, reply.lost = True, False
        reply.forget()
        return self._end_messages() if told else []

    def _latency(self, stage: LatencyStage, seconds: float) -> list[ServerMessage]:
        return [events.latency_report(stage, seconds)] if self._latency_reports else []

    def _end_messages(self) -> list[ServerMessage]:
        return [events.agent_audio_done(), *([events.agent_done()] if self._extended else [])]

    def _text_messages(self, role: Role, text: str) -> list[ServerMessage]:
        return [events.conversation_text(role, text), *([events.history(role, text)] if self._history else [])]
