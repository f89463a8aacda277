"""Audio formats: what a client may declare, and what the upstream then listens to and speaks.

The gateway converts audio and the translator configures the upstream; they agree by `upstream_format`, and by nothing
else. Input and output are separate in ``Settings`` and upstream, so every pair of them works.
"""

from __future__ import annotations

from typing import Any

from turngate.protocol.deepgram.errors import INVALID_SETTINGS, ClientProtocolError

LINEAR16 = "linear16"
#: Hz, of the upstream's own linear audio: 16-bit little-endian mono PCM, and no other rate.
UPSTREAM_RATE = 24_000
#: Hz, of the linear16 audio that clients may send and ask for.
LINEAR16_RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
#: Hz, of G.711 audio: one byte a sample.
G711_RATE = 8_000
#: What ``audio.output.container`` may be.
CONTAINERS = ("none", "wav")

#: G.711 passes through as it is, so that a telephone's audio is never decoded and encoded again on the way.
_G711 = {"mulaw": "audio/pcmu", "alaw": "audio/pcma"}
_RATES = {LINEAR16: LINEAR16_RATES} | dict.fromkeys(_G711, (G711_RATE,))


def upstream_format(encoding: str) -> dict[str, Any]:
    """The upstream's ``format`` object for a client that sends, or wants, audio in this encoding."""
    if encoding in _G711:
        return {"type": _G711[encoding]}
    return {"type": "audio/pcm", "rate": UPSTREAM_RATE}


def upstream_bytes_per_ms(encoding: str) -> int:
    """How many bytes of the upstream's audio in the format of `upstream_format` are a millisecond."""
    return (G711_RATE if encoding in _G711 else UPSTREAM_RATE * 2) // 1000


def usual_rate(encoding: str) -> int:
    """The rate (Hz) of an encoding where none is declared."""
    return G711_RATE if encoding in _G711 else UPSTREAM_RATE


def check_input(encoding: str, sample_rate: int) -> None:
    """Raises `ClientProtocolError`, which lists what is supported, for audio that this server cannot read."""
    _check("audio.input", encoding, sample_rate)


def check_output(encoding: str, sample_rate: int, container: str) -> None:
    """Raises `ClientProtocolError`, which lists what is supported, for a format that the agent's audio cannot have."""
    _check("audio.output", encoding, sample_rate)
    if container not in CONTAINERS:
        raise _unsupported("audio.output.container", repr(container), CONTAINERS)


def _check(path: str, encoding: str, sample_rate: int) -> None:
    rates = _RATES.get(encoding)
    if rates is None:
        raise _unsupported(f"{path}.encoding", repr(encoding), _RATES)
    if sample_rate not in rates:
        raise _unsupported(f"{path}.sample_rate", f"{sample_rate} Hz with {encoding}", rates)


def _unsupported(field: str, asked: str, supported: Any) -> ClientProtocolError:
    listed = ", ".join(map(str, supported))
    return ClientProtocolError(
        INVALID_SETTINGS, f"Settings: `{field}` {asked} is not supported; supported: {listed}.", field
    )
