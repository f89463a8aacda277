"""The traces part: CPU time per pair of audio frames, and per exchange of control messages, without traces, with one
turn in ten, and with all, as ratios to that without. It is printed, and not in the report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.environment import Environment, Subject, processes_of, turngate
from benchmarks.parts import control
from benchmarks.parts.frame_latency import measure
from benchmarks.percentiles import median

WITHOUT = "no traces"
#: What the services are told, by subject.
_SAMPLED: Mapping[str, Mapping[str, str]] = {
    WITHOUT: {"OTEL_SDK_DISABLED": "true"},
    "10 % of turns": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
    "every turn": {},
}


@dataclass(frozen=True)
class TracesSample:
    """One round with one subject, in CPU seconds of all of its processes."""

    per_pair: float
    per_exchange: float


#: The samples of all rounds, by subject.
Samples = dict[str, list[TracesSample]]


async def run(
    environment: Environment, sessions: int, rounds: int, seconds: float, turn: float, say: Callable[[str], None]
) -> Samples:
    """Run the part: a stack for each subject, measured by turns. ``turn`` is that of `control.run`."""
    samples: Samples = {name: [] for name in _SAMPLED}
    async with AsyncExitStack() as running:
        endpoint = running.enter_context(_collector())
        stacks = {}
        for name, env in _SAMPLED.items():
            told = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **env}
            stacks[name] = await running.enter_async_context(
                turngate(environment.generator.url, environment.cores, env=told)
            )
        for _ in range(rounds):
            for name, stack in stacks.items():
                subject = Subject(name, stack.gateway_url, processes_of(stack), 24_000)
                audio = await measure(environment.generator, subject, sessions, seconds)
                asked = await control.measure(replace(environment, stack=stack), sessions, seconds, turn, (0.0, 0.0))
                assert audio.cpu_per_pair is not None
                samples[name].append(TracesSample(audio.cpu_per_pair, control.cost([asked])))
                say(summary(name, samples[name][-1:], samples[WITHOUT][-1:]))
    if rounds > 1:
        say(f"medians of {rounds} rounds")
        for name, found in samples.items():
            say(summary(name, found, samples[WITHOUT]))
    return samples


def summary(name: str, samples: Sequence[TracesSample], without: Sequence[TracesSample]) -> str:
    """The result as text, with the median of the ratios within a round."""
    audio = median(one.per_pair / other.per_pair for one, other in zip(samples, without, strict=True))
    asked = median(one.per_exchange / other.per_exchange for one, other in zip(samples, without, strict=True))
    return (
        f"{name:14} {median(one.per_pair for one in samples) * 1e6:6.1f} µs per pair of frames ({audio:.2f}x),"
        f" {median(one.per_exchange for one in samples) * 1e3:5.2f} ms per exchange ({asked:.2f}x)"
    )


@contextmanager
def _collector() -> Iterator[str]:
    """A collector that takes everything; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""
