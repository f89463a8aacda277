"""The peers part: audio through other servers and through turngate, in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from picows import WSError

from benchmarks.environment import RELAY, RESAMPLED, Environment, Subject, processes_of, turngate
from benchmarks.parts.audio import HEAD, Samples, table_row
from benchmarks.parts.frame_latency import measure
from benchmarks.peers.start import LITELLM_PLAIN, peers

#: turngate with a plain upstream, as LiteLLM's proxy beside it.
PLAIN = "turngate, 16 kHz, plain"


@dataclass
class PeersSample:
    """The measurements by name and number of sessions, and why others are missing, by name."""

    audio: Samples = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


async def run(
    environment: Environment, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> PeersSample:
    """Run the part. Those with a plain upstream that are to be compared with each other only get the first number of
    sessions. What a peer cannot carry is missing."""
    result = PeersSample()
    samples = result.audio
    say(HEAD)
    async with (
        peers(environment) as (found, result.missing),
        turngate(environment.generator.url, environment.cores) as stack,
    ):
        plain = Subject(PLAIN, stack.gateway_url, processes_of(stack), 16_000)
        subjects = [one for one in environment.subjects if one.name in (RELAY, RESAMPLED)] + [*found, plain]
        for _ in range(rounds):
            for count in counts:
                for subject in subjects:
                    if count != counts[0] and subject.name in (PLAIN, LITELLM_PLAIN):
                        continue
                    try:
                        sample = await measure(environment.generator, subject, count, seconds)
                    except (TimeoutError, RuntimeError, OSError, WSError, ExceptionGroup) as error:
                        if subject.name in (RELAY, RESAMPLED, PLAIN):
                            raise
                        result.missing[f"{subject.name}, {count} sessions"] = _reason(error)
                        say(f"{subject.name}, {count} sessions: {_reason(error)}")
                        continue
                    samples.setdefault((subject.name, count), []).append(sample)
                    say(table_row(subject.name, count, [sample], samples[RELAY, count][-1:]))
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for (name, count), rows in samples.items():
            say(table_row(name, count, rows, samples[RELAY, count]))
    return result


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).splitlines()[0] if str(error) else type(error).__name__
