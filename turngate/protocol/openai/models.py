"""OpenAI's models by name: this server's defaults, and the ends that OpenAI has announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

DEFAULT_REALTIME = "gpt-realtime-2.1"
DEFAULT_TRANSCRIPTION = "gpt-transcribe"


@dataclass(frozen=True, slots=True)
class End:
    """From this day on a model does not answer any more; ``replacement`` is what OpenAI names in its place."""

    on: date
    replacement: str


_REALTIME_END = End(date(2027, 1, 20), DEFAULT_REALTIME)
_MINI_END = End(date(2027, 1, 20), "gpt-realtime-2.1-mini")
_TRANSCRIPTION_END = End(date(2027, 2, 26), DEFAULT_TRANSCRIPTION)

#: As of 2026-11-26, from the docstrings of OpenAI's SDK (realtime session and audio transcription, 3.57.0).
ANNOUNCED_ENDS: Mapping[str, End] = {
    "gpt-realtime": _REALTIME_END,
    "gpt-realtime-2025-08-28": _REALTIME_END,
    "gpt-realtime-mini": _MINI_END,
    "gpt-realtime-mini-2025-10-06": _MINI_END,
    "gpt-realtime-mini-2025-12-15": _MINI_END,
    "gpt-audio-mini": _MINI_END,
    "gpt-audio-mini-2025-10-06": _MINI_END,
    "gpt-audio-mini-2025-12-15": _MINI_END,
    "gpt-4o-mini-transcribe": _TRANSCRIPTION_END,
    "gpt-4o-mini-transcribe-2025-12-15": _TRANSCRIPTION_END,
    "gpt-4o-transcribe": _TRANSCRIPTION_END,
    "gpt-4o-transcribe-diarize": _TRANSCRIPTION_END,
    "whisper-1": _TRANSCRIPTION_END,
}


def end_of(model: str, announced: date | None = None) -> End | None:
    """When this model ends: as ``announced`` by the upstream itself where it said so, else as in `ANNOUNCED_ENDS`; None
    where no end is known."""
    known = ANNOUNCED_ENDS.get(model)
    if announced is None:
        return known
    return End(announced, known.replacement if known is not None else "")
