"""How the upstream finds the user's turns: from what the operator sets and what a client says about a turn's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from turngate.protocol.deepgram.settings import Agent, ListenProvider

#: Milliseconds: what the upstream accepts for ``idle_timeout_ms``.
_IDLE_MS = (5_000, 30_000)
#: Of Deepgram's ``eot_threshold``, the values from which on the semantic VAD is to wait longer, or shorter, than usual.
_PATIENT, _HASTY = 0.8, 0.6
#: Milliseconds of silence that end a turn at the lowest ``eot_threshold`` (0.5), and how many more for each 0.1 above.
#: Deepgram's usual threshold, 0.7, comes out at 500, which is usual for the upstream.
_SILENCE_LOWEST_MS, _SILENCE_STEP_MS = 300, 100


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """The operator's choice. None leaves a value to the upstream."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    #: True when the upstream asks for the reply by itself at the end of a turn.
    create_response: bool = True
    #: True when the user's speech cancels a reply that is running.
    interrupt_response: bool = True
    #: server_vad: how loud speech is, 0 to 1.
    threshold: float | None = None
    #: server_vad: ms of audio before the onset that belong to the turn.
    prefix_padding_ms: int | None = None
    #: server_vad: ms of silence that end a turn.
    silence_duration_ms: int | None = None
    #: server_vad: ms of the user's silence after which the agent speaks up.
    idle_timeout_ms: int | None = None
    #: semantic_vad: how soon a turn is taken to be over.
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


def turn_detection(agent: Agent, chosen: TurnDetection) -> dict[str, Any] | None:
    """The upstream's ``turn_detection`` object, complete; None when the gateway commits the audio itself."""
    if agent.use_manual_audio_commit:
        return None
    detection: dict[str, Any] = {
        "type": chosen.kind,
        "create_response": chosen.create_response,
        "interrupt_response": chosen.interrupt_response,
    }
    if chosen.kind == "server_vad":
        names = ["threshold", "prefix_padding_ms", "silence_duration_ms"]
        wanted = agent.idle_timeout_ms
        detection["idle_timeout_ms"] = _idle_timeout(chosen.idle_timeout_ms if wanted is None else wanted)
    else:
        names = ["eagerness"]
    detection |= {name: value for name in names if (value := getattr(chosen, name)) is not None}
    if agent.listen is not None:
        detection |= end_of_turn(agent.listen.provider, chosen)
    return detection


def end_of_turn(provider: ListenProvider, chosen: TurnDetection) -> dict[str, Any]:
    """What ``eot_threshold`` and ``eot_timeout_ms`` change of a ``turn_detection`` object: the nearest that the
    upstream has. Without a ``type``, so the rest of the object stays as it is."""
    threshold, longest = provider.eot_threshold, provider.eot_timeout_ms
    if chosen.kind == "semantic_vad":
        return {} if threshold is None else {"eagerness": _eagerness(threshold)}
    if threshold is None and (longest is None or chosen.silence_duration_ms is None):
        return {}
    silence = _silence_ms(threshold) if threshold is not None else chosen.silence_duration_ms
    return {"silence_duration_ms": silence if longest is None or silence is None else min(silence, longest)}


def _eagerness(threshold: float) -> str:
    if threshold >= _PATIENT:
        return "low"
    return "high" if threshold <= _HASTY else "medium"


def _silence_ms(threshold: float) -> int:
    return _SILENCE_LOWEST_MS + round((threshold - 0.5) * 10 * _SILENCE_STEP_MS)


def _idle_timeout(wanted: float | None) -> int | None:
    lowest, highest = _IDLE_MS
    return None if wanted is None or wanted < 0 else int(min(max(wanted, lowest), highest))
