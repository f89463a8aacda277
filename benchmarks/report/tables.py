"""The tables of the report, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.environment import DIRECT, RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.exchange import EXCHANGES
from benchmarks.parts import audio, bursts, control, flood
from benchmarks.parts.capacity import Capacity
from benchmarks.parts.continuity import ContinuitySample
from benchmarks.parts.frame_latency import AudioSample
from benchmarks.parts.idle import IdleSample
from benchmarks.parts.memory import MemorySample
from benchmarks.parts.peers import PeersSample
from benchmarks.parts.restart import RestartSample
from benchmarks.parts.translators import ThroughputSample
from benchmarks.percentiles import median

CARRIERS = (RELAY, SAME_RATE, RESAMPLED)
SUBJECTS = (*CARRIERS, DIRECT)
#: From this share of its core on, the generator may have been the bottleneck.
FULL = 0.9


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text, with numbers in the others."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def audio_table(samples: audio.Samples, counts: Sequence[int]) -> str:
    head = ("", "sessions", "p50 ms", "p99 ms", "p99.9 ms", "µs per pair", "lost", "p99 / A", "µs / A")
    return table(head, (_audio_row(samples, name, count) for count in counts for name in SUBJECTS))


def bursts_table(samples: audio.Samples, counts: Sequence[int]) -> str:
    head = ("", "sessions", "p50 ms", "p99 ms", "p99.9 ms", "µs per pair", "lost", "p99 / A", "µs / A")
    return table(head, (_burst_row(samples, name, count) for count in counts for name in CARRIERS))


def peers_table(sample: PeersSample) -> str:
    head = ("", "sessions", "p50 ms", "p99 ms", "p99.9 ms", "µs per pair", "lost", "p99 / A", "µs / A")
    rows = sorted(sample.audio, key=lambda place: place[1])
    return table(head, (_audio_row(sample.audio, name, count) for name, count in rows))


def generator_table(samples: audio.Samples, counts: Sequence[int]) -> str:
    head = ("sessions", "share of its core", "late p50 ms", "late p99 ms", "other CPU, max")
    rows = []
    for count in counts:
        found = [row for name in SUBJECTS for row in samples[name, count]]
        share = max(row.usage.generator_share for row in found)
        late = [median(row.lateness[which] for row in found) * 1e3 for which in (0, 1)]
        foreign = max(row.usage.foreign for row in found)
        full = " **full**" if share > FULL else ""
        rows.append((str(count), f"{share:.0%}{full}", f"{late[0]:.2f}", f"{late[1]:.2f}", f"{foreign:.0%}"))
    return table(head, rows)


def capacity_table(capacities: dict[str, Capacity]) -> str:
    baseline = capacities[RELAY].sessions
    rows = []
    for name, capacity in capacities.items():
        full = ", **full**" if capacity.generator_cpu > FULL else ""
        ratio = f"{capacity.sessions / baseline:.2f}" if baseline else ""
        shown = f"{'≥ ' if capacity.beyond else ''}{capacity.sessions}"
        rows.append((name, shown, ratio, f"{capacity.generator_cpu:.0%}{full}"))
    return table(("", "sessions", "/ A", "generator's share of its core"), rows)


def control_table(samples: control.Samples) -> str:
    head = ("", "sessions", "p50 ms", "p99 ms", "p50 / B", "p99 / B")
    rows = []
    for count, found in samples.items():
        base = control.middle(found, control.BARE)
        for name in (control.BARE, *EXCHANGES):
            ours = control.middle(found, name)
            ratios = [f"{ours[which] / base[which]:.2f}" for which in (0, 1)]
            rows.append((name, str(count), f"{ours[0] * 1e3:.2f}", f"{ours[1] * 1e3:.2f}", *ratios))
    return table(head, rows)


def talking_table(silent: control.Samples, talking: control.Samples) -> str:
    head = ("", "sessions", "p50 ms, silent", "with audio", "ratio", "p99 ms, silent", "with audio", "ratio")
    rows = []
    for count, loaded in talking.items():
        quiet = silent[count]
        for name in EXCHANGES:
            before, after = control.middle(quiet, name), control.middle(loaded, name)
            cells = [
                cell
                for which in (0, 1)
                for cell in (
                    f"{before[which] * 1e3:.2f}",
                    f"{after[which] * 1e3:.2f}",
                    f"{control.ratio(quiet, loaded, name, which):.2f}",
                )
            ]
            rows.append((name, str(count), *cells))
    return table(head, rows)


def memory_table(sample: MemorySample) -> str:
    head = ("", "silent, KB", "after steady audio, KB", "after bursts, KB")
    found = (sample.silent, sample.steady, sample.talked)
    return table(head, ((kind, *(f"{sizes[kind] / 1024:.1f}" for sizes in found)) for kind in sample.talked))


def control_cost(samples: control.Samples) -> str:
    """The CPU time per exchange, one line for each number of sessions."""
    lines = []
    for count, found in samples.items():
        kinds = ", ".join(f"{kind} {spent * 1e3:.2f}" for kind, spent in control.cost_by_kind(found).items())
        lines.append(
            f"- {count} session{'s' * (count > 1)}: {control.cost(found) * 1e3:.2f} ms of CPU time per exchange\n"
            f"  ({kinds}); {sum(sample.exchanges for sample in found)} exchanges, "
            f"{sum(sample.unanswered for sample in found)} without an answer"
        )
    return "\n".join(lines)


def translators_table(samples: dict[int, list[ThroughputSample]]) -> str:
    head = ("translators", "messages/s", "/ one", "p50 ms", "p99 ms", "CPU ms, translator", "CPU ms, broker and driver")
    least = median(sample.per_second for sample in next(iter(samples.values())))
    rows = []
    for count, found in samples.items():
        rate = median(sample.per_second for sample in found)
        rows.append(
            (
                str(count),
                f"{rate:.0f}",
                f"{rate / least:.2f}",
                f"{median(sample.p50 for sample in found) * 1e3:.0f}",
                f"{median(sample.p99 for sample in found) * 1e3:.0f}",
                f"{median(sample.translator_cpu for sample in found) * 1e3:.2f}",
                f"{median(sample.other_cpu for sample in found) * 1e3:.2f}",
            )
        )
    return table(head, rows)


def restart_table(restarts: dict[str, RestartSample]) -> str:
    head = (
        "one of two translators",
        "restart, s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "p99 before",
        "requests",
        "unanswered",
    )
    rows = (
        (
            name,
            f"{one.away:.1f}",
            *(f"{value * 1e3:.1f}" for value in one.during),
            f"{one.before[1] * 1e3:.1f}",
            str(one.requests),
            str(one.unanswered),
        )
        for name, one in restarts.items()
    )
    return table(head, rows)


def flood_table(samples: flood.Samples) -> str:
    return table(
        ("one client sends", "p99 of the others, against that without it"),
        ((kind, f"× {median(ratios):.2f}") for kind, ratios in samples.items()),
    )


def idle_table(sample: IdleSample) -> str:
    head = ("", "CPU, % of a core", "memory per session, KB")
    spent = {**sample.usage.by_kind, **sample.relay_usage.by_kind}
    seconds = sample.usage.seconds
    return table(
        head,
        ((kind, f"{spent[kind] / seconds:.2%}", f"{size / 1024:.1f}") for kind, size in sample.memory.items()),
    )


def silence_table(sample: ContinuitySample) -> str:
    times = {
        "lost while idle: restored": sample.restored,
        "lost in a reply: the next audio": sample.pause,
        "lost in a reply: silence heard": sample.silence,
        "roll-overs: longest silence heard in a reply": sample.silences[1],
    }
    rows = ((name, f"{time * 1e3:.0f}", f"{time / sample.first:.2f}") for name, time in times.items())
    return table(("", "ms", "/ a first connection"), rows)


def journal_table(sample: ContinuitySample) -> str:
    return table(
        ("of a session", "that cannot be resumed", "that can", "ratio"),
        (
            ("CPU of gateway and broker for a turn, ms", *_compared(sample.turn_cpu, 1e3)),
            ("bytes to the broker for a turn, KB", *_compared(sample.turn_bytes, 1 / 1024)),
        ),
    )


def parked_memory(sample: ContinuitySample) -> str:
    attached, parked, ratio = _compared(sample.memory, 1 / 1024)
    return f"A session takes {attached} KB of the gateway's memory with its client, and {parked} KB parked ({ratio} ×)."


def _compared(values: tuple[float, float], unit: float) -> tuple[str, str, str]:
    return f"{values[0] * unit:.1f}", f"{values[1] * unit:.1f}", f"{values[1] / values[0]:.2f}"


def _audio_row(samples: audio.Samples, name: str, count: int) -> tuple[str, ...]:
    rows, baseline = samples[name, count], samples[RELAY, count]
    return _row(name, count, rows, baseline, audio.latency)


def _burst_row(samples: audio.Samples, name: str, count: int) -> tuple[str, ...]:
    return _row(name, count, samples[name, count], samples[RELAY, count], bursts.latency)


def _row(
    name: str,
    count: int,
    rows: Sequence[AudioSample],
    baseline: Sequence[AudioSample],
    latency: Callable[[Sequence[AudioSample], str], float],
) -> tuple[str, ...]:
    shown = [latency(rows, percentile) for percentile in ("p50", "p99", "p99.9")]
    spent, least = audio.cost(rows), audio.cost(baseline)
    slow = f"{shown[1] / latency(baseline, 'p99'):.2f}" if name != DIRECT else ""
    cost = (f"{spent * 1e6:.0f}", f"{spent / least:.2f}") if spent is not None and least else ("", "")
    lost = str(sum(row.lost for row in rows))
    return name, str(count), *(f"{value * 1e3:.2f}" for value in shown), cost[0], lost, slow, cost[1]
