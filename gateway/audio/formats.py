"""One session's audio on its way: the client's to the upstream, the agent's to the client.

The upstream takes and gives 24 kHz pcm16 or G.711 (`turngate.protocol.deepgram.audio`). Where a client's format is the
upstream's, its bytes pass untouched.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.audio.resampling import Resampler
from turngate.protocol.deepgram.audio import LINEAR16, UPSTREAM_RATE, upstream_bytes_per_ms, upstream_format
from turngate.protocol.deepgram.settings import InputAudio, OutputAudio

_SAMPLE_BYTES = 2
#: The length of what has no length yet, in a WAV header: to the end of the stream.
_ENDLESS = 0xFFFF_FFFF
#: The format codes of a WAV header.
_WAV_CODES = {LINEAR16: 1, "alaw": 6, "mulaw": 7}


@dataclass(frozen=True, slots=True)
class Formats:
    """What one ``Settings`` declares about audio, checked."""

    input: InputAudio
    output: OutputAudio


class DeclaredFormats:
    """Which formats hold: those of the newest ``Settings`` that is in force.

    The upstream reads audio in its new format from the moment at which it takes the new configuration, so no format
    holds before its ``Settings`` is confirmed. Until the first one is, the newest holds: its audio waits for it anyway.
    """

    def __init__(self, is_open: Callable[[int], bool]) -> None:
        """``is_open`` says of a ``seq`` that its request is not settled."""
        self._is_open = is_open
        #: By ``seq``, ascending: those that hold (or would, once confirmed), and later ones that wait.
        self._declared: dict[int, Formats] = {}

    def declare(self, seq: int, formats: Formats) -> None:
        """This ``Settings`` was accepted. If it is refused later, `withdraw` it at once."""
        self._declared[seq] = formats

    def withdraw(self, seq: int) -> None:
        """This ``Settings`` was refused."""
        self._declared.pop(seq, None)

    @property
    def current(self) -> Formats | None:
        """The formats that hold now; None before the first ``Settings``."""
        if len(self._declared) > 1:
            in_force = next((seq for seq in reversed(self._declared) if not self._is_open(seq)), None)
            if in_force is not None:
                self._declared = {seq: formats for seq, formats in self._declared.items() if seq >= in_force}
                return self._declared[in_force]
        return next(reversed(self._declared.values()), None)

    def changes_upstream_input(self, seqs: Iterable[int]) -> bool:
        """Whether these requests, once confirmed together, make the upstream read its input differently from now."""
        now, last = self.current, max((seq for seq in seqs if seq in self._declared), default=None)
        return now is not None and last is not None and speaks_differently(self._declared[last].input, now.input)


def speaks_differently(one: InputAudio, other: InputAudio) -> bool:
    """Whether the upstream has different formats for these two."""
    return upstream_format(one.encoding) != upstream_format(other.encoding)


class ClientAudio:
    """The client's audio on its way to the upstream."""

    __slots__ = ("_resampler", "_whole", "format")

    def __init__(self, form: InputAudio) -> None:
        """``form`` is one that `check_input` accepts."""
        self.format = form
        #: None where every byte is a sample.
        self._whole = WholeSamples() if form.encoding == LINEAR16 else None
        self._resampler = Resampler(form.sample_rate, UPSTREAM_RATE) if _resampled(form) else None

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes, of any number; returns them as the upstream takes them, empty when a sample is incomplete."""
        if self._whole is not None:
            chunk = self._whole.feed(chunk)
        return chunk if self._resampler is None else self._resampler.feed(chunk)


class AgentAudio:
    """The agent's audio on its way to the client: reply by reply, each complete in itself.

    A reply keeps the format that held when it began, as it does upstream. Nothing of one reply gets into the next.
    """

    def __init__(self) -> None:
        self._formats: DeclaredFormats | None = None
        self._response_id: str | None = None
        self._form = OutputAudio()
        #: What comes before the reply's first bytes.
        self._header = b""
        self._whole = WholeSamples()
        #: Of the item that sounds; None between items, and where the bytes pass as they are.
        self._resampler: Resampler | None = None
        self._resampled = False

    def follow(self, formats: DeclaredFormats) -> None:
        """Each reply shall have the output format that holds there when it begins."""
        self._formats = formats

    def begin(self, response_id: str) -> None:
        """A response has begun. What was left of the one before it is gone."""
        formats = self._formats.current if self._formats is not None else None
        self._response_id, self._form = response_id, formats.output if formats is not None else OutputAudio()
        self._header = wav_header(self._form) if self._form.container == "wav" else b""
        self._resampled = _resampled(self._form)
        self._reset()

    def feed(self, response_id: str, chunk: bytes) -> bytes:
        """The next piece of a reply, as the upstream gave it; returns what the client gets for it, possibly nothing."""
        if response_id != self._response_id:
            self.begin(response_id)
        if self._resampled:
            if self._resampler is None:
                self._resampler = Resampler(UPSTREAM_RATE, self._form.sample_rate, aligned=True)
            chunk = self._resampler.feed(self._whole.feed(chunk))
        return self._headed(chunk) if self._header else chunk

    def end_item(self, response_id: str) -> bytes:
        """The audio of an item of this reply is complete: its last samples, for the client."""
        if response_id != self._response_id or self._resampler is None:
            return b""
        tail = self._resampler.finish()
        self._reset()
        return self._headed(tail)

    def milliseconds(self, chunk: bytes) -> float:
        """How long this piece of the reply is, as the upstream gave it."""
        return len(chunk) / upstream_bytes_per_ms(self._form.encoding)

    def _headed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        header, self._header = self._header, b""
        return header + chunk

    def _reset(self) -> None:
        self._resampler = None
        self._whole = WholeSamples()


class WholeSamples:
    """pcm16 in pieces of any number of bytes, put together again to whole samples."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        #: The first byte of a sample whose second one has not come yet.
        self._half = b""

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes; returns all whole samples that there are now."""
        if not self._half and not len(chunk) % _SAMPLE_BYTES:
            return chunk
        chunk = self._half + chunk
        whole = len(chunk) - len(chunk) % _SAMPLE_BYTES
        chunk, self._half = chunk[:whole], chunk[whole:]
        return chunk


def wav_header(form: OutputAudio) -> bytes:
    """The beginning of a WAV stream whose length nobody knows yet; the samples follow. ``form`` may be any format that
    `check_output` accepts."""
    size = _SAMPLE_BYTES if form.encoding == LINEAR16 else 1
    rate = form.sample_rate
    # Formats other than PCM have the length of their extension at the end (none here).
    fmt = struct.pack("<HHIIHH", _WAV_CODES[form.encoding], 1, rate, rate * size, size, 8 * size)
    if form.encoding != LINEAR16:
        fmt += struct.pack("<H", 0)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", _ENDLESS, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", _ENDLESS)
    )


def _resampled(form: InputAudio | OutputAudio) -> bool:
    """Whether the client's samples are not the upstream's."""
    return form.encoding == LINEAR16 and form.sample_rate != UPSTREAM_RATE
