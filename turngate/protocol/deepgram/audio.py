"""Audio formats that a client may declare, and the corresponding formats of the upstream.

The gateway converts audio and the translator configures the upstream; both use `upstream_format`. Input and output
formats are independent.
"""

from __future__ import annotations

from typing import Any

from turngate.protocol.deepgram.errors import INVALID_SETTINGS, ClientProtocolError

LINEAR16 = "linear16"
#: The only rate of linear audio upstream (16-bit little-endian mono PCM), in Hz.
UPSTREAM_RATE = 24_000
#: The rates of linear16 audio that clients may send and request, in Hz.
LINEAR16_RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
#: The rate of G.711 audio in Hz; one byte per sample.
G711_RATE = 8_000
#: Supported values of ``audio.output.container``.
CONTAINERS = ("none", "wav")

#: G.711 is passed through unchanged, so that a telephone's audio is not decoded and encoded again.
_G711 = {"mulaw": "audio/pcmu", "alaw": "audio/pcma"}
_RATES = {LINEAR16: LINEAR16_RATES} | dict.fromkeys(_G711, (G711_RATE,))


def upstream_format(encoding: str) -> dict[str, Any]:
    """The upstream's ``format`` object for a client's encoding, of input or output audio."""
    if encoding in _G711:
        return {"type": _G711[encoding]}
    return {"type": "audio/pcm", "rate": UPSTREAM_RATE}


def upstream_bytes_per_ms(encoding: str) -> int:
    """Bytes per millisecond of audio in the format of `upstream_format`."""
    return (G711_RATE if encoding in _G711 else UPSTREAM_RATE * 2) // 1000


def default_rate(encoding: str) -> int:
    """The default sample rate of an encoding, in Hz."""
    return G711_RATE if encoding in _G711 else UPSTREAM_RATE


def check_input(encoding: str, sample_rate: int) -> None:
    """Raise `ClientProtocolError`, which lists the supported values, for an unsupported input format."""
    _check("audio.input", encoding, sample_rate)


def check_output(encoding: str, sample_rate: int, container: str) -> None:
    """Raise `ClientProtocolError`, which lists the supported values, for an unsupported output format."""
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
