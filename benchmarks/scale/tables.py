"""The tables of docs/scale.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from textwrap import fill

from benchmarks.scale.calls import CALLS
from benchmarks.scale.costs import (
    BOTH,
    CLAIM,
    CLAIMED,
    CONNECT,
    ENTRY,
    EXCHANGE,
    GATEWAY,
    KINDS,
    RECORD,
    REDIS,
    REQUEST,
    REVISIT,
    SESSION_STATE,
    SETTINGS,
    SILENT,
    TRANSLATOR,
    TURN,
    UP,
    WHOLE,
    UnitCosts,
)
from benchmarks.scale.gateway_loss import GatewayLoss
from benchmarks.scale.needs import Need, busy_services, need, per_second, predicted
from benchmarks.scale.results import AWAY, PLAIN, RETURNING, STEP, Loss, Simulated, Waits

_LIVE = {
    CONNECT: "a session: connect, dial, `Settings`, end",
    UP: "a second of audio from the client",
    BOTH: "a second of audio both ways",
    TURN: "a turn: the user speaks, the model answers",
    SETTINGS: "a repeated `Settings`",
    EXCHANGE: "a request, in the mean of four kinds, with the replies around it",
    SILENT: "a heartbeat",
    CLAIM: "a session taken up from a gateway that died, with dial and restore",
}
_BUSY = {
    RECORD: "a turn record",
    REQUEST: "a request",
    ENTRY: "a journal entry",
    WHOLE: "a whole journal",
    CLAIMED: "a claim with its journal",
    REVISIT: "the sweeper's look at a session",
}
#: Ports from which one address can connect to one other, by Linux' default.
_PORTS = 28_232
_OPEN_FILES = 1_024
#: Seconds from the beginning of a simulation until its load is that of a steady state.
_SETTLED = 10


def needed(costs: UnitCosts, sizes: Sequence[int]) -> str:
    """What each number of sessions needs."""
    found = [need(costs, CALLS, size) for size in sizes]
    plain = [need(costs, CALLS, size, journals=False) for size in sizes]

    def cores(kind: str, of: Sequence[Need] = found) -> list[str]:
        return [f"{one.processes[kind]:,} ({_short(one.cores[kind])})" for one in of]

    def memory(kind: str) -> list[str]:
        return [_bytes(one.memory[kind]) for one in found]

    rows = {
        "gateway processes (cores used)": cores(GATEWAY),
        "… sessions in each": [f"{one.sessions / one.processes[GATEWAY]:.0f}" for one in found],
        "… open files in each": [f"{one.open_files:,}" for one in found],
        "… memory in all": memory(GATEWAY),
        "translators (cores used)": cores(TRANSLATOR),
        "session-state processes (cores used)": cores(SESSION_STATE),
        "Redis servers (cores used), clients may return": cores(REDIS),
        "Redis servers (cores used), clients cannot return": cores(REDIS, plain),
        "… memory in all, clients may return": memory(REDIS),
        "… traffic of all": [f"{_bytes(one.redis_bytes)}/s" for one in found],
        "network, clients": [_bits(one.client_bits) for one in found],
        "network, upstream": [_bits(one.upstream_bits) for one in found],
        "sessions that begin per second": [_short(one.begin) for one in found],
    }
    return _table(["", *(f"{size:,} sessions" for size in sizes)], ([name, *values] for name, values in rows.items()))


def breaks(costs: UnitCosts, sizes: Sequence[int]) -> str:
    """What breaks first at each number of sessions, and then."""
    small, middle, large = (need(costs, CALLS, size) for size in sizes)
    each = per_second(costs, CALLS, busy=True)[REDIS]
    servers = "server" if middle.processes[REDIS] == 1 else "servers"
    rows = [
        [
            f"{sizes[0]:,}",
            f"the gateway's core ({small.cores[GATEWAY]:.2f} of one): frames are late before anything else is full",
            "`TURNGATE_GATEWAY_WORKERS`, or a second gateway. A process that has as many sessions as its core carries "
            f"stays within the usual limit of {_OPEN_FILES:,} open files",
        ],
        [
            f"{sizes[1]:,}",
            f"gateway cores ({middle.cores[GATEWAY]:.0f}), then Redis: {each * sizes[1]:.0%} of the one core that a "
            "server can use. Its memory and the translators are far from a limit",
            f"{middle.processes[GATEWAY]} workers on several machines behind a load balancer; "
            f"{middle.processes[REDIS]} Redis {servers}. Ask the upstream for its limits on sessions and tokens per "
            f"minute. From one address, {_PORTS:,} connections to one address and port are possible: beyond that the "
            "gateways need several addresses, or a NAT with several",
        ],
        [
            f"{sizes[2]:,}",
            f"the network: {_bits(large.client_bits + large.upstream_bits)} in all, of which "
            f"{_bits(large.client_bits)} pass the load balancer twice; then Redis ({large.cores[REDIS]:.1f} cores)",
            f"{large.processes[GATEWAY]} workers; {large.processes[REDIS]} Redis servers; "
            f"{large.processes[SESSION_STATE]} processes of session-state. Whoever lists all sessions "
            "(`GET /sessions`, the console) reads them all",
        ],
    ]
    return _table(["sessions", "what is full first", "what to do"], rows, left=3)


def live(costs: UnitCosts) -> str:
    """The units that are measured through a gateway."""
    rows = []
    for unit, text in _LIVE.items():
        cost = costs.work[unit]
        traffic = f"{cost.to_redis / 1e3:.1f} / {cost.from_redis / 1e3:.1f}"
        rows.append([text, *(_micro(cost.of(kind)) for kind in KINDS), traffic, _range(cost.spread)])
    return _table(["unit", *(f"{_NAMES[kind]} µs" for kind in KINDS), "KB to / from Redis", "range µs"], rows)


def busy(costs: UnitCosts) -> str:
    """The units that are measured without one."""
    rows = []
    for unit, text in _BUSY.items():
        cost = costs.work[unit]
        found = [_micro(cost.of(kind)) if cost.of(kind) > 5e-6 else "" for kind in KINDS]
        traffic = f"{cost.to_redis / 1e3:.1f} / {cost.from_redis / 1e3:.1f}"
        rows.append([text, *found, traffic, _range(cost.spread)])
    return _table(["unit", *(f"{_NAMES[kind]} µs" for kind in KINDS), "KB to / from Redis", "range µs"], rows)


def memory(costs: UnitCosts) -> str:
    """The rows about memory."""
    held = costs.memory
    rows = {
        "gateway, a silent session": held.silent,
        "gateway, a session that has talked": held.talked,
        "gateway, the same while it is parked": held.parked,
        "Redis, a session whose client cannot return": held.redis_plain,
        "Redis, a session with its journal after a few turns": held.redis_journal,
        **{f"a process without sessions: {_NAMES[kind]}": held.process[kind] for kind in KINDS},
    }
    lines = [f"| {name} | {_bytes(value)} |" for name, value in rows.items()]
    return "\n".join([*lines, f"| gateway, open files per session | {costs.descriptors:.1f} |"])


def checks(costs: UnitCosts) -> str:
    """What was predicted, and what was measured."""
    rows = []
    for check in costs.checks:
        light, services = predicted(costs, check), busy_services(costs, check.units)
        for number, kind in enumerate(KINDS):
            found = check.cpu[kind]
            model = f"{light[kind]:.2f}" if kind == GATEWAY else f"{light[kind]:.2f} and {services[kind]:.2f}"
            name = "" if number else check.name
            rows.append([name, _NAMES[kind], model, f"{found:.2f}", _ratio(found, light[kind])])
    return _table(["load", "process", "model, s", "measured, s", "measured / model"], rows, left=2)


def losses(simulated: Simulated) -> str:
    """The losses beside each other."""
    found = {name: simulated.losses[name] for name in (PLAIN, RETURNING)}
    heads = [f"{one.plan.servers} servers, {name}" for name, one in found.items()]

    def row(text: str, value: Iterable[str]) -> list[str]:
        return [text, *value]

    every = [*found.values()]
    rows = [
        row("requests asked", (f"{one.asked:,}" for one in every)),
        row("… carried out, once each", (f"{one.executed:,}" for one in every)),
        row("… over with their call / still held at the end", (f"{one.ended:,} / {one.open:,}" for one in every)),
        row("… published again / told to a gateway twice", (f"{one.again:,} / {one.repeated:,}" for one in every)),
        row("wait at the lost server before it (p50 / p99 / p99.9)", (_waits(one.lost_before) for one in every)),
        row("**… of those that could go while it is away**", (f"**{_waits(one.lost_during)}**" for one in every)),
        row("… of those, from its return", (_waits(one.since_return) for one in every)),
        row("… of those after its return", (_waits(one.lost_after) for one in every)),
        row("wait at the others before it", (_waits(one.others_before) for one in every)),
        row("**… while it is away**", (f"**{_waits(one.others_during)}**" for one in every)),
        row("… after its return, in the storm", (_waits(one.others_after) for one in every)),
        row("Redis CPU of another server before / while / after", (_shares(one) for one in every)),
        row("records that wait at the return", (f"{_waiting(one):,}" for one in every)),
        row("longest wait for the CPU of the server after its return", (f"{one.queue:.2f} s" for one in every)),
        row("until its queue is as before", (_over(one) for one in every)),
        row("sessions that were recorded anew, with their journals", (f"{one.rewritten:,}" for one in every)),
        row("calls that began elsewhere meanwhile", (f"{sum(one.begun.values()):,}" for one in every)),
    ]
    return _table(["", *heads], rows)


def storm(loss: Loss) -> str:
    """The storm after the return, in words."""
    text = (
        "**The storm.** A publisher's pause is half a second to a second long, so "
        f"{loss.plan.gateways:,} gateways come within one second, each with what it has, 32 messages at a time and one "
        "batch after the other. The server then uses its whole core until what waited is done: the requests of "
        f"{_away(loss):.0f} s, published again by their gateways while they wait, and a record of every session. How "
        "long that takes depends on how much of its core the server needs anyway."
    )
    return fill(text, 120)


def recoveries(simulated: Simulated) -> str:
    """How long the storm lasts with more servers."""
    seconds = simulated.losses[PLAIN].plan
    longest = seconds.seconds - seconds.back_at
    rows = [
        [
            f"{one.servers}{', with its data' * one.kept}",
            f"{one.share:.0%}",
            f"{one.over:.0f} s" if one.over < longest else f"more than {longest:.0f} s",
            f"{one.p50:.1f} s",
            f"{one.p99:.1f} s",
        ]
        for one in simulated.recoveries
    ]
    heads = ["servers", "core used before", "until the queue is as before", "request released after the return, p50"]
    return _table([*heads, "p99"], rows)


def _away(loss: Loss) -> float:
    return loss.plan.back_at - (loss.plan.lost_at or 0.0)


def occupancy(simulated: Simulated, costs: UnitCosts) -> str:
    """How many calls each server has over time."""
    servers = len(simulated.occupancy[0])
    each = per_second(costs, CALLS, busy=True, journals=False)[REDIS]
    rows = []
    for seconds in (0, 30, 120, 300, 420, 600, 900, 1_200, 1_800):
        counts = simulated.occupancy[round(seconds / STEP)]
        state = "away" if 0 < seconds <= AWAY else ""
        most = max(counts[1:])
        rows.append([f"{seconds} s", state, *(f"{count:,}" for count in counts), f"{each * most:.0%}"])
    heads = ["after the loss", "the first is", *(f"server {number + 1}" for number in range(servers))]
    return _table([*heads, "Redis CPU of the fullest other"], rows)


def gateways(simulated: Simulated) -> str:
    """The loss of one gateway, and of a machine."""

    def row(text: str, one: GatewayLoss) -> list[str]:
        return [
            text,
            f"{one.sessions:,}",
            f"{one.p50:.1f} / {one.p99:.1f} / {one.last:.1f} s",
            f"{one.claims:,}",
            f"{one.dials:,}",
            f"{one.gateway_share:.1%}",
            f"{one.redis_share:.1%}",
        ]

    heads = ["lost", "sessions", "back after (p50 / p99 / last)", "claims/s", "dials/s"]
    return _table(
        [*heads, "more CPU of a gateway, at most", "more CPU of a Redis server"],
        [row("one gateway process", simulated.gateway), row("a machine with 16 of them", simulated.machine)],
    )


def figure_text(loss: Loss) -> str:
    """What the figure shows."""
    return (
        f"While one of {loss.plan.servers} Redis servers is away, requests of its sessions wait for it, up to "
        f"{loss.lost_during.p99:.0f} s, and those of other sessions as before"
    )


_NAMES = {GATEWAY: "gateway", TRANSLATOR: "translator", SESSION_STATE: "session-state", REDIS: "Redis"}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """``left``: columns that are aligned to the left."""
    lines = [list(heads), ["---" if number < left else "---:" for number in range(len(heads))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _waits(found: Waits) -> str:
    return " / ".join(_time(value) for value in (found.p50, found.p99, found.p999))


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"


def _shares(loss: Loss) -> str:
    plan = loss.plan
    times = [_SETTLED, int(plan.lost_at or 0), int(plan.back_at), int(plan.seconds)]
    means = [
        max(sum(loss.share[name][begin:end]) / (end - begin) for name in plan.names[1:])
        for begin, end in pairwise(times)
    ]
    return " / ".join(f"{mean:.0%}" for mean in means)


def _over(loss: Loss) -> str:
    longest = loss.plan.seconds - loss.plan.back_at
    return f"{loss.over:.0f} s" if loss.over < longest else f"more than {longest:.0f} s"


def _waiting(loss: Loss) -> int:
    return loss.backlog[loss.plan.names[0]][int(loss.plan.back_at)]


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def _range(spread: tuple[float, float]) -> str:
    low, high = (_micro(value) for value in spread)
    return low if low == high else f"{low}–{high}"


def _ratio(measured: float, model: float) -> str:
    return f"{measured / model:.2f}" if model else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} bytes"


def _bits(value: float) -> str:
    return f"{value / 1e9:.1f} Gbit/s" if value >= 1e9 else f"{value / 1e6:.0f} Mbit/s"
