"""The input audio buffer: uncommitted audio, detection of the user's turns, and the idle timeout.

Positions are in samples of the input format, counted from the start of the session.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import partial

import pybase64

from turngate.simulator.audio import decode, format_of
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.errors import RefusedError, invalid
from turngate.simulator.frames import Event
from turngate.simulator.items import Item, Items
from turngate.simulator.response_options import Origin
from turngate.simulator.responses import Responses
from turngate.simulator.scheduler import Scheduler, Timer
from turngate.simulator.vad import Vad, VadOptions

#: The shortest audio that can be committed, in milliseconds.
COMMIT_MS = 100
#: The largest audio in one append, in bytes.
APPEND_BYTES = 15 * 1024 * 1024


class InputAudio:
    """Receives the user's audio and detects turns.

    ``respond`` is called when the server should create a response automatically. It must handle an occupied slot.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        behaviour: Behaviour,
        items: Items,
        responses: Responses,
        respond: Callable[[Origin], None],
        audio_input: Event,
    ) -> None:
        self._scheduler = scheduler
        self._behaviour = behaviour
        self._items = items
        self._responses = responses
        self._respond = respond
        #: Between ``speech_started`` and ``speech_stopped``.
        self.user_speaking = False
        self._buffer = bytearray()
        #: Positions: the buffer's first sample, the next sample to arrive, and the start of the current turn.
        self._start = self._position = self._turn_start = 0
        #: The id of the item that the current turn will become.
        self._item_id = ""
        self._vad: Vad | None = None
        self._auto_response: Timer | None = None
        self._idle: Timer | None = None
        self._idle_start = 0
        #: The format of the received audio.
        self.format = format_of(audio_input["format"])
        self.configure(audio_input)

    def configure(self, audio_input: Event) -> None:
        """Apply ``session.audio.input``. Speech in progress is discarded only if turn detection or format changed."""
        fmt = format_of(audio_input["format"])
        if fmt is not self.format:
            self._position = self._position * fmt.rate // self.format.rate
            self.format = fmt
            self._empty()
        self._turn_detection: Event | None = audio_input["turn_detection"]
        self._transcribes = audio_input["transcription"] is not None
        options = VadOptions.of(self._turn_detection, fmt.rate) if self._turn_detection else None
        if options != (self._vad.options if self._vad else None):
            self._vad = Vad(options, self._position) if options else None
            self.user_speaking = False
        if self._idle_timeout() is None:
            self._stop_idle()

    def append(self, audio: str) -> None:
        """Append base64 audio; raises `RefusedError` if it is invalid or not a whole number of samples."""
        try:
            data = pybase64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise invalid(
                "audio", "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value."
            ) from None
        if len(data) > APPEND_BYTES:
            raise invalid("audio", f"Invalid 'audio': {len(data)} bytes are more than the maximum of {APPEND_BYTES}.")
        if len(data) % self.format.bytes_per_sample:
            raise invalid("audio", f"Invalid 'audio': {len(data)} bytes are not a whole number of 16-bit samples.")
        self._buffer += data
        self._position += len(data) // self.format.bytes_per_sample
        if self._vad:
            for change in self._vad.hear(decode(data, self.format)):
                if change.kind == "started":
                    self._speech_started(change.at)
                else:
                    self._speech_stopped(change.at)
            if not self.user_speaking:
                self._drop_until(self._position - self._vad.lookback)
        self._drop_until(self._position - self._behaviour.max_audio_bytes // self.format.bytes_per_sample)

    def commit(self) -> None:
        """Commit the buffer for the client, without an automatic response. Raises `RefusedError` below 100 ms."""
        length = (self._position - self._start) * 1000 / self.format.rate
        if length < COMMIT_MS:
            raise RefusedError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {COMMIT_MS}ms of audio, but buffer only has {length:.2f}ms of audio.",
            )
        item_id = self._item_id if self.user_speaking else self._scheduler.new_id("item")
        if self.user_speaking:
            self._send_stopped(self._position)
        self._commit(item_id, self._start, self._position, f"{length / 1000:.1f}")
        if self._vad:
            self._vad.reset()

    def clear(self) -> None:
        """Discard the buffer, including a turn in progress."""
        self._empty()
        if self._vad:
            self._vad.reset()
        self.user_speaking = False
        self._scheduler.emit("input_audio_buffer.cleared")

    def start_idle(self, playback_ms: int) -> None:
        """Start the idle timeout after a response has ended, allowing ``playback_ms`` for playing its audio."""
        timeout = self._idle_timeout()
        self._stop_idle()
        if timeout is not None and not self.user_speaking:
            self._idle_start = self._position
            self._idle = self._scheduler.call_later((playback_ms + timeout) / 1000, self._idle_ended)

    def _idle_timeout(self) -> int | None:
        return self._turn_detection.get("idle_timeout_ms") if self._turn_detection else None

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idle_ended(self) -> None:
        if self._responses.active is not None:
            return
        item_id = self._scheduler.new_id("item")
        self._scheduler.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=self.format.ms(self._idle_start),
            audio_end_ms=self.format.ms(self._position),
            item_id=item_id,
        )
        self._commit(item_id, max(self._start, self._idle_start), self._position, "")
        self._respond_soon("idle")

    def _speech_started(self, at: int) -> None:
        assert self._vad is not None
        assert self._turn_detection is not None
        self._turn_start = max(self._start, at - self._vad.options.prefix)
        self._item_id = self._scheduler.new_id("item")
        self._scheduler.emit(
            "input_audio_buffer.speech_started",
            audio_start_ms=self.format.ms(self._turn_start),
            item_id=self._item_id,
        )
        self.user_speaking = True
        self._stop_idle()
        if self._turn_detection["interrupt_response"]:
            if self._auto_response is not None:
                self._auto_response.cancel()
            self._responses.interrupt()

    def _speech_stopped(self, at: int) -> None:
        assert self._vad is not None
        assert self._turn_detection is not None
        self._send_stopped(at)
        spoken = (self._vad.last_loud - self._vad.first_loud) / self.format.rate
        self._commit(self._item_id, self._turn_start, at, f"{spoken:.1f}")
        if self._turn_detection["create_response"]:
            self._respond_soon("vad")

    def _send_stopped(self, at: int) -> None:
        self._scheduler.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=self.format.ms(at), item_id=self._item_id
        )
        self.user_speaking = False

    def _respond_soon(self, origin: Origin) -> None:
        delay = self._behaviour.wait(self._behaviour.auto_response_delay)
        self._auto_response = self._scheduler.call_later(delay, partial(self._respond, origin))

    def _commit(self, item_id: str, start: int, end: int, seconds: str) -> None:
        """Commit the audio between two positions as an item.

        ``seconds`` is the formatted length of the speech in it, empty if there is none.
        """
        size = self.format.bytes_per_sample
        audio = self._buffer[max(0, start - self._start) * size : max(0, end - self._start) * size]
        self._drop_until(end)
        wire: Event = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        encoded = [pybase64.b64encode_as_string(bytes(audio))]
        item = Item(wire, encoded, len(audio), self.format.ms(end - start), seconds)
        self._scheduler.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=self._items.last_id())
        previous = self._items.add(item)
        self._scheduler.emit("conversation.item.added", previous_item_id=previous, item=wire)
        self._scheduler.emit("conversation.item.done", previous_item_id=previous, item=wire)
        if self._transcribes:
            delay = self._behaviour.wait(self._behaviour.transcription_delay)
            self._scheduler.call_later(delay, partial(self._transcribe, item))

    def _transcribe(self, item: Item) -> None:
        item_id = item.wire["id"]
        if item_id not in self._items:
            return
        part = {"item_id": item_id, "content_index": 0}
        pieces = ("(speech, ", f"{item.heard} s)") if item.heard else ()
        for piece in pieces:
            self._scheduler.emit("conversation.item.input_audio_transcription.delta", **part, delta=piece)
        transcript = "".join(pieces)
        item.wire = {**item.wire, "content": [{"type": "input_audio", "transcript": transcript}]}
        self._scheduler.emit(
            "conversation.item.input_audio_transcription.completed",
            **part,
            transcript=transcript,
            usage={"type": "duration", "seconds": item.audio_ms / 1000},
        )

    def _empty(self) -> None:
        self._buffer.clear()
        self._start = self._position

    def _drop_until(self, position: int) -> None:
        if position > self._start:
            del self._buffer[: (position - self._start) * self.format.bytes_per_sample]
            self._start = position
