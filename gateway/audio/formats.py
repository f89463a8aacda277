"""Audio conversion of one session, in both directions.

The upstream uses 24 kHz pcm16 or G.711 (`turngate.protocol.deepgram.audio`). If the client's format is the upstream's,
the bytes are passed through unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.audio.resampling import make_resampler
from turngate.kernel import StreamResampler
from turngate.protocol.deepgram.audio import LINEAR16, UPSTREAM_RATE, upstream_bytes_per_ms, upstream_format
from turngate.protocol.deepgram.settings import InputAudio, OutputAudio

#: Converts a piece of audio.
Convert: TypeAlias = Callable[[bytes], bytes]

_SAMPLE_BYTES = 2
#: The length field of a WAV stream of unknown length.
_ENDLESS = 0xFFFF_FFFF
#: The code of the quietest sample, where it is not 0.
_SILENCE = {"mulaw": b"\xff", "alaw": b"\xd5"}
#: The format codes of a WAV header.
_WAV_CODES = {LINEAR16: 1, "alaw": 6, "mulaw": 7}


@dataclass(frozen=True, slots=True)
class Formats:
    """The audio formats of one ``Settings``, validated."""

    input: InputAudio
    output: OutputAudio
    #: The gateway finds the user's turns and commits them, with the upstream's turn detection off.
    manual_commit: bool = False


class DeclaredFormats:
    """The formats in effect: those of the newest confirmed ``Settings``.

    The upstream interprets audio in the new format as soon as it applies the new configuration, so a format takes
    effect when its ``Settings`` is confirmed. Before the first confirmation the newest one is used, and audio is kept
    until then.
    """

    def __init__(self, is_open: Callable[[int], bool]) -> None:
        """``is_open`` returns whether the request with this ``seq`` is unsettled."""
        self._is_open = is_open
        #: By ``seq``, ascending: the formats in effect, and later ones whose ``Settings`` is not confirmed.
        self._declared: dict[int, Formats] = {}

    def declare(self, seq: int, formats: Formats) -> None:
        """This ``Settings`` was accepted. Call `withdraw` if it is refused later."""
        self._declared[seq] = formats

    def withdraw(self, seq: int) -> None:
        """This ``Settings`` was refused."""
        self._declared.pop(seq, None)

    def journaled(self) -> list[dict[str, Any]]:
        """The declared formats, for `take_up`."""
        return [
            {
                "seq": seq,
                "input": formats.input.model_dump(mode="json"),
                "output": formats.output.model_dump(mode="json"),
                "manual_commit": formats.manual_commit,
            }
            for seq, formats in self._declared.items()
        ]

    def take_up(self, journaled: Iterable[Mapping[str, Any]]) -> None:
        """Have the formats that were declared to another gateway."""
        for one in journaled:
            declared, wanted = InputAudio.model_validate(one["input"]), OutputAudio.model_validate(one["output"])
            self.declare(one["seq"], Formats(declared, wanted, one["manual_commit"]))

    @property
    def current(self) -> Formats | None:
        """The formats in effect; None before the first ``Settings``."""
        if len(self._declared) > 1:
            in_force = next((seq for seq in reversed(self._declared) if not self._is_open(seq)), None)
            if in_force is not None:
                self._declared = {seq: formats for seq, formats in self._declared.items() if seq >= in_force}
                return self._declared[in_force]
        return next(reversed(self._declared.values()), None)

    def changes_upstream_input(self, seqs: Iterable[int]) -> bool:
        """Whether these requests, once confirmed together, change the upstream's input format."""
        now, last = self.current, max((seq for seq in seqs if seq in self._declared), default=None)
        return now is not None and last is not None and speaks_differently(self._declared[last].input, now.input)


def speaks_differently(one: InputAudio, other: InputAudio) -> bool:
    """Whether these two have different formats upstream."""
    return upstream_format(one.encoding) != upstream_format(other.encoding)


class ClientAudio:
    """Converts the client's audio for the upstream."""

    __slots__ = ("_resampler", "_whole", "format")

    def __init__(self, form: InputAudio) -> None:
        """``form`` must be accepted by `check_input`."""
        self.format = form
        #: None if every byte is a sample.
        self._whole = WholeSamples() if form.encoding == LINEAR16 else None
        self._resampler = make_resampler(form.sample_rate, UPSTREAM_RATE) if _resampled(form) else None

    def feed(self, chunk: bytes) -> bytes:
        """Convert the next bytes, of any number. The result may be empty, if a sample is incomplete."""
        if self._whole is not None:
            chunk = self._whole.feed(chunk)
        return chunk if self._resampler is None else self._resampler.feed(chunk)

    @property
    def straight(self) -> Convert | None:
        """Does the same as `feed` with an even number of bytes, until that is called again; None if half a sample is
        kept."""
        if self._whole is not None and self._whole.incomplete:
            return None
        return bytes if self._resampler is None else self._resampler.feed


class AgentAudio:
    """Converts the agent's audio for the client, each reply separately.

    A reply keeps the format that was in effect when it started, as it does upstream.
    """

    def __init__(self) -> None:
        self._formats: DeclaredFormats | None = None
        self._response_id: str | None = None
        self._form = OutputAudio()
        #: The header before the reply's first bytes.
        self._header = b""
        self._whole = WholeSamples()
        #: The resampler of the current item; None between items, and if no resampling is needed.
        self._resampler: StreamResampler | None = None
        self._resampled = False

    def follow(self, formats: DeclaredFormats) -> None:
        """Use the output format that is in effect in ``formats`` when a reply starts."""
        self._formats = formats

    def begin(self, response_id: str) -> None:
        """Start a reply; the rest of the previous one is discarded."""
        formats = self._formats.current if self._formats is not None else None
        self._response_id, self._form = response_id, formats.output if formats is not None else OutputAudio()
        self._header = wav_header(self._form) if self._form.container == "wav" else b""
        self._resampled = _resampled(self._form)
        self._reset()

    def feed(self, response_id: str, chunk: bytes) -> bytes:
        """Convert the next piece of a reply for the client. The result may be empty."""
        if response_id != self._response_id:
            self.begin(response_id)
        if self._resampled:
            if self._resampler is None:
                self._resampler = make_resampler(UPSTREAM_RATE, self._form.sample_rate, aligned=True)
            chunk = self._resampler.feed(self._whole.feed(chunk))
        return self._headed(chunk) if self._header else chunk

    @property
    def straight(self) -> Convert | None:
        """Does the same as `feed` with an even number of bytes of the reply that has begun last, until another method
        is called; None before the first piece of an item, and if half a sample is kept."""
        if self._header or self._whole.incomplete:
            return None
        if not self._resampled:
            return bytes
        return None if self._resampler is None else self._resampler.feed

    def end_item(self, response_id: str) -> bytes:
        """The last samples of an item of this reply, whose audio is complete."""
        if response_id != self._response_id or self._resampler is None:
            return b""
        tail = self._resampler.finish()
        self._reset()
        return self._headed(tail)

    @property
    def bytes_per_ms(self) -> int:
        """Bytes for a millisecond of the reply, in the upstream's format."""
        return upstream_bytes_per_ms(self._form.encoding)

    def _headed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        header, self._header = self._header, b""
        return header + chunk

    def _reset(self) -> None:
        self._resampler = None
        self._whole = WholeSamples()


class WholeSamples:
    """Assembles whole pcm16 samples from pieces of any number of bytes."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        #: The first byte of an incomplete sample.
        self._half = b""

    @property
    def incomplete(self) -> bool:
        """Whether the first byte of a sample is kept."""
        return bool(self._half)

    def feed(self, chunk: bytes) -> bytes:
        """Add bytes; returns all complete samples."""
        if not self._half and not len(chunk) % _SAMPLE_BYTES:
            return chunk
        chunk = self._half + chunk
        whole = len(chunk) - len(chunk) % _SAMPLE_BYTES
        chunk, self._half = chunk[:whole], chunk[whole:]
        return chunk


def wav_header(form: OutputAudio) -> bytes:
    """The header of a WAV stream of unknown length. ``form`` must be accepted by `check_output`."""
    size = _SAMPLE_BYTES if form.encoding == LINEAR16 else 1
    rate = form.sample_rate
    # Formats other than PCM also have an extension length (0 here).
    fmt = struct.pack("<HHIIHH", _WAV_CODES[form.encoding], 1, rate, rate * size, size, 8 * size)
    if form.encoding != LINEAR16:
        fmt += struct.pack("<H", 0)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", _ENDLESS, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", _ENDLESS)
    )


def silence(encoding: str, milliseconds: int) -> bytes:
    """Silence in the upstream's format for this encoding of the client (G.711 codes: ITU-T G.711)."""
    return _SILENCE.get(encoding, b"\0") * (milliseconds * upstream_bytes_per_ms(encoding))


def _resampled(form: InputAudio | OutputAudio) -> bool:
    """Whether the client's sample rate differs from the upstream's."""
    return form.encoding == LINEAR16 and form.sample_rate != UPSTREAM_RATE
