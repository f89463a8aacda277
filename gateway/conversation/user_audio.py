"""The user's audio: when it goes upstream, in which format, and what is sent when it stops in the middle of a turn.

Rules of this module
1. Until the session is configured, and while a greeting is spoken that the user may not interrupt, audio is kept. Then
   it is handled like audio that arrives at that moment.
2. The formats, and who finds the user's turns, change when the ``Settings`` that asks for it is confirmed.
3. The upstream's turn detection counts audio, not time. When a client sends no audio while its user speaks (a mute
   button, push-to-talk), the gateway sends silence in real time until the upstream ends the turn. If the upstream does
   not, the gateway commits the audio; if that is not answered either, the turn ends here.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from gateway.audio.early import EarlyAudio
from gateway.audio.formats import ClientAudio, Convert, DeclaredFormats, Formats, silence, speaks_differently
from gateway.continuity.recent_audio import RecentAudio
from gateway.conversation.context import Context
from gateway.conversation.manual_turns import ManualTurns
from gateway.conversation.user_turns import UserTurns
from gateway.timers import Timer
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.audio import upstream_bytes_per_ms
from turngate.protocol.deepgram.settings import InputAudio
from turngate.protocol.openai.client_events import append_event
from turngate.protocol.openai.server_events import ServerEvent

#: Milliseconds of silence in one event.
_SILENCE_MS = 100
#: Seconds of silence after which the gateway commits. The most patient turn detection (``semantic_vad`` with the
#: eagerness ``low``) waits for 8 s (https://platform.openai.com/docs/guides/realtime-vad).
_SILENCE_LONGEST = 10.0
#: Bytes of kept audio in one event.
_APPEND_MAX_BYTES = 256 * 1024


class UserAudio:
    """One session's audio from the client."""

    def __init__(
        self,
        context: Context,
        turns: UserTurns,
        observe: Callable[[ServerEvent, float], None],
        refuse: Callable[[str, str], None],
    ) -> None:
        """``observe`` handles the events that the upstream would send if its turn detection were on; ``refuse`` tells
        the client an error's code and description."""
        self._context = context
        self._turns = turns
        self._observe = observe
        self._refuse = refuse
        self._refused = False
        self._formats = DeclaredFormats(lambda seq: context.requests.get(seq) is not None)
        context.downlink.voice.follow(self._formats)
        #: Set from the first audio in the formats in force on.
        self._converter: ClientAudio | None = None
        self._in_force: Formats | None = None
        #: Converts audio that goes straight upstream, until anything else than audio comes: then set it to None, and
        #: `feed` decides anew. See `StraightAudio`.
        self.straight: Convert | None = None
        #: Set while the upstream's turn detection is off.
        self._manual_turns: ManualTurns | None = None
        self._early = EarlyAudio(context.limits.early_audio)
        #: What the upstream has been sent, and has not committed.
        self.recent = RecentAudio(context.limits.early_audio)
        self._withheld = False
        self._gap = context.limits.audio_gap
        #: When audio has come.
        self.heard_at = 0.0
        #: When silence was begun to be sent; None while it is not.
        self._silent_since: float | None = None
        #: The gateway has committed the turn that it sent silence for.
        self._committed = False

    # --- formats

    def declare(self, seq: int, formats: Formats) -> None:
        """The ``Settings`` with this ``seq`` was accepted. Call `withdraw` if it is refused later."""
        in_force = self._formats.current
        self._formats.declare(seq, formats)
        if in_force is not None and speaks_differently(in_force.input, formats.input):
            # What was said so far is committed in the format in which it was said.
            self.end_turn(self.heard_at)

    def withdraw(self, seq: int) -> None:
        """The ``Settings`` with this ``seq`` was refused."""
        self._formats.withdraw(seq)

    def confirmed(self, now: float) -> None:
        """A configuration was confirmed: its formats are in force, and audio that was kept for it is handled."""
        formats = self._formats.current
        if formats is not None:
            self._adopt(formats, now)
            self._handle_early(now)

    @property
    def kept_bytes(self) -> int:
        """Bytes of audio that is kept."""
        return len(self._early) + len(self.recent)

    def keeps(self) -> InputAudio | None:
        """The format of the audio that waits for the first configuration; None if none waits."""
        return None if self._context.configured or self._converter is None else self._converter.format

    def set_gap(self, milliseconds: int | None) -> None:
        """Set how long the client may send no audio while its user speaks; None leaves it unchanged."""
        if milliseconds is not None:
            self._gap = milliseconds / 1000

    # --- audio

    def feed(self, chunk: bytes, now: float) -> bytes | None:
        """A binary frame of the client; returns what to send upstream now. None if there is something else to send:
        an error, or audio that goes among the events."""
        self.straight = None
        formats = self._formats.current
        if formats is None:
            if not self._refused:
                self._refused = True
                self._refuse("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "Audio came before Settings; send Settings first.")
            return None
        if formats is not self._in_force or self._converter is None:
            self._adopt(formats, now)
            self._converter = ClientAudio(formats.input)
        self.heard_at = now
        update = self._context.upstream_config.update
        if update is not None and self._formats.changes_upstream_input(update.configures):
            # The upstream reads this in the old format or in the new one: nobody knows until it has answered.
            self._context.tell_once(
                events.warning("AUDIO_DROPPED", "Audio that came while `audio.input` was being changed was dropped.")
            )
            return b""
        audio = self._converter.feed(chunk)
        if self._withheld or not self._context.live:
            return self._keep(audio)
        if self._manual_turns is None:
            self.recent.sent(audio)
            self.straight = self._converter.straight
            return audio
        self._manual_turns.feed(audio, now)
        return None

    def withhold(self) -> None:
        """Keep the audio until `let_go`."""
        self._withheld = True

    def let_go(self, now: float) -> None:
        """Handle the audio that was withheld, and withhold no more."""
        if self._withheld:
            self._withheld = False
            self._handle_early(now)

    def _keep(self, audio: bytes) -> bytes | None:
        if self._early.keep(audio):
            return b""
        self._warn_of_dropped()
        return None

    def _warn_of_dropped(self) -> None:
        self._context.tell_once(
            events.warning(
                "AUDIO_DROPPED", "More audio came than is kept before it can be used; the oldest was dropped."
            )
        )

    def _handle_early(self, now: float) -> None:
        if self._withheld or not self._context.live:
            return
        for piece in _pieces(self._early.take()):
            if self._manual_turns is not None:
                self._manual_turns.feed(piece, now)
            else:
                self._append(piece)

    def _append(self, piece: bytes) -> None:
        """Send audio among the events."""
        self.recent.sent(piece)
        self._context.send(partial(append_event, piece), "append")

    def _adopt(self, formats: Formats, now: float) -> None:
        """Use these formats from now on."""
        context, before = self._context, self._in_force
        self._in_force = formats
        changed = before is not None and before.input != formats.input
        if changed:
            self._converter = None
        self.recent.use(upstream_bytes_per_ms(formats.input.encoding))
        manual = self._manual_turns is not None
        if context.configured and (formats.manual_commit is not manual or (manual and changed)):
            self.end_turn(now)
            self._manual_turns = None
            if formats.manual_commit:
                self._manual_turns = ManualTurns(context, formats.input.encoding, self._observe, self._append)

    # --- the end of a turn

    def end_turn(self, now: float) -> None:
        """The user's turn is over because the client says so; nothing happens when there is none."""
        if self._manual_turns is not None:
            self._manual_turns.end_turn(now)
        else:
            self._turns.force_commit()

    def manual_turn_due(self, now: float) -> None:
        """Audio of a turn that the gateway ends may have stopped coming."""
        assert self._manual_turns is not None
        self._manual_turns.due(now)

    def speech_started(self, start_ms: int | None, now: float) -> None:
        """The user speaks since this time of the connection's audio (None if unknown): from now on, audio must come."""
        self.recent.started(start_ms)
        self._context.timers.clear(Timer.RESUMED_SPEECH)
        self._silent_since, self._committed = None, False
        if self._manual_turns is None:
            self._context.timers.set(Timer.AUDIO_GAP, max(self.heard_at + self._gap, now))

    def speech_stopped(self, end_ms: int | None) -> None:
        """The user stopped speaking at this time of the connection's audio; None if unknown."""
        self.recent.stopped(end_ms)
        self.speech_ended()

    def committed(self) -> bytes:
        """The user's turn was committed. Returns its audio."""
        self._context.timers.clear(Timer.RESUMED_SPEECH)
        self.speech_ended()
        return self.recent.committed()

    def speech_ended(self) -> None:
        """The user's turn has ended, and silence is not needed any more."""
        self._silent_since = None
        self._context.timers.clear(Timer.AUDIO_GAP)

    def gap_due(self, now: float) -> None:
        """The audio may have stopped coming in the middle of a turn."""
        timers, since = self._context.timers, self._silent_since
        if self._committed:
            self._turns.force_end(now)
            self.speech_ended()
        elif self.heard_at + self._gap > now and (since is None or self.heard_at > since):
            self._silent_since = None
            timers.set(Timer.AUDIO_GAP, self.heard_at + self._gap)
        elif since is not None and now - since >= _SILENCE_LONGEST:
            self._committed = True
            self._turns.force_commit()
            timers.set(Timer.AUDIO_GAP, now + self._context.limits.reply)
        else:
            self._silent_since = now if since is None else since
            formats = self._in_force
            piece = silence(formats.input.encoding if formats is not None else "linear16", _SILENCE_MS)
            self._append(piece)
            timers.set(Timer.AUDIO_GAP, now + _SILENCE_MS / 1000)

    # --- another gateway

    def journaled(self) -> dict[str, Any]:
        """The formats, and how long the audio may stop, for `take_up`."""
        return {"formats": self._formats.journaled(), "gap": self._gap, "withheld": self._withheld}

    def unsent(self) -> bytes:
        """The audio that the upstream has not committed, or not been sent. It is not kept any more."""
        return self.recent.take() + self._early.take()

    def take_up(self, journaled: Mapping[str, Any], audio: bytes, now: float) -> None:
        """Go on for another gateway, with this audio, which the conversation does not have yet."""
        self._formats.take_up(journaled["formats"])
        self._gap, self._withheld = journaled["gap"], journaled["withheld"]
        formats = self._formats.current
        if formats is not None:
            self._adopt(formats, now)
        if self._context.configured and not self._withheld:
            self.recent.sent(audio)
        else:
            self._early.keep(audio)

    # --- another connection

    def lost(self) -> None:
        """The upstream's connection is lost: audio is kept until `restored`."""
        for timer in (Timer.AUDIO_GAP, Timer.RESUMED_SPEECH):
            self._context.timers.clear(timer)
        if self._manual_turns is not None:
            self._manual_turns.pause()

    def restored(self, now: float) -> None:
        """Another connection is where the conversation is: send the audio that the lost one had not committed, and what
        came since."""
        if self.recent.dropped:
            self._warn_of_dropped()
        speaking = self._context.turn.user_speaking
        for piece in _pieces(self.recent.take()):
            self._append(piece)
        if speaking:
            self.recent.started(0)
        if self._manual_turns is not None:
            self._manual_turns.resume(now)
        elif speaking:
            self.heard_at = max(self.heard_at, now)
            self._context.timers.set(Timer.RESUMED_SPEECH, now + self._context.limits.promise)
        self._handle_early(now)
        self._turns.restored()

    def resumed_speech_due(self, now: float) -> None:
        """The new connection does not hear the speech that began on the one before: commit it."""
        self._committed = True
        self._turns.force_commit()
        self._context.timers.set(Timer.AUDIO_GAP, now + self._context.limits.reply)


def _pieces(audio: bytes) -> Iterator[bytes]:
    return (audio[start : start + _APPEND_MAX_BYTES] for start in range(0, len(audio), _APPEND_MAX_BYTES))
