"""What a number of sessions needs: unit costs times what the calls do. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load.frames import FRAME_SECONDS, UPSTREAM_RATE, appended, delta, frame_bytes
from benchmarks.scale.calls import FEWEST, GATEWAY_SHARE, REDIS_SHARE, SERVICE_SHARE, STORM_SHARE, Calls
from benchmarks.scale.costs import (
    BOTH,
    CONNECT,
    ENTRIES,
    ENTRY,
    EXCHANGE,
    GATEWAY,
    KINDS,
    RECORD,
    RECORDS,
    REDIS,
    REQUEST,
    REQUESTS,
    SESSION_STATE,
    TRANSLATOR,
    TURN,
    UP,
    Check,
    UnitCosts,
)

#: Sessions from which on the servers have so much to do that the costs of busy ones hold.
BUSY_FROM = 5_000
#: Bytes around a frame of audio: WebSocket (client's masked, and server's), TLS 1.3, TCP and IP with time stamps.
_MASKED, _PLAIN, _TLS, _PACKET = 8, 4, 22, 52
_CLIENT_RATE = 16_000


@dataclass(frozen=True)
class Need:
    """What ``sessions`` sessions need."""

    sessions: int
    #: Cores that are busy, by kind of process.
    cores: Mapping[str, float]
    #: Processes by kind, at the shares of `calls`.
    processes: Mapping[str, int]
    #: Bytes of memory, by kind.
    memory: Mapping[str, float]
    #: Open files of one gateway process.
    open_files: int
    #: Bits per second between clients and gateways, and between gateways and the upstream, both directions together;
    #: and bytes per second at all Redis servers.
    client_bits: float
    upstream_bits: float
    redis_bytes: float
    #: Sessions that begin, per second.
    begin: float


def per_second(costs: UnitCosts, calls: Calls, *, busy: bool, journals: bool = True) -> dict[str, float]:
    """CPU seconds of each kind of process for one second of one session. ``journals``: its client may return."""
    control = {TURN: calls.turns / 60, EXCHANGE: calls.requests / 60, CONNECT: 1 / calls.length}
    light = of_units(costs, control)
    audio = of_units(costs, {UP: 1 - calls.spoken, BOTH: calls.spoken})[GATEWAY]
    services = busy_services(costs, control, journals=journals) if busy else light
    return services | {GATEWAY: light[GATEWAY] + audio}


def busy_services(costs: UnitCosts, units: Mapping[str, float], *, journals: bool = True) -> dict[str, float]:
    """CPU seconds of Redis, translators and session-state for so many units, where much is done at a time."""
    counted = {name: unit for name, unit in _BUSY.items() if journals or name != ENTRIES}
    counts = {name: sum(costs.work[unit].count(name) * number for unit, number in units.items()) for name in counted}
    return {kind: sum(costs.cpu(unit, kind) * counts[name] for name, unit in counted.items()) for kind in KINDS[1:]}


def of_units(costs: UnitCosts, units: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each kind of process for so many units of work."""
    return {kind: sum(costs.cpu(unit, kind) * number for unit, number in units.items()) for kind in KINDS}


def need(costs: UnitCosts, calls: Calls, sessions: int, *, journals: bool = True) -> Need:
    """``journals``: clients may return."""
    each = per_second(costs, calls, busy=sessions >= BUSY_FROM, journals=journals)
    cores = {kind: spent * sessions for kind, spent in each.items()}
    shares = {GATEWAY: GATEWAY_SHARE, REDIS: REDIS_SHARE, TRANSLATOR: SERVICE_SHARE, SESSION_STATE: SERVICE_SHARE}
    fewest = {GATEWAY: 1, REDIS: 1, TRANSLATOR: FEWEST, SESSION_STATE: FEWEST}
    processes = {kind: max(fewest[kind], math.ceil(cores[kind] / shares[kind])) for kind in KINDS}
    if processes[REDIS] > 1:
        for kind, unit in ((TRANSLATOR, REQUEST), (SESSION_STATE, RECORD)):
            storm = costs.cpu(unit, kind) / costs.cpu(unit, REDIS)
            processes[kind] = max(processes[kind], math.ceil((cores[kind] + storm) / STORM_SHARE))
    memory = {kind: costs.memory.process[kind] * processes[kind] for kind in KINDS}
    memory[GATEWAY] += costs.memory.talked * sessions
    memory[REDIS] += (costs.memory.redis_journal if journals else costs.memory.redis_plain) * sessions
    client, upstream = audio_bits(calls)
    units = {TURN: calls.turns / 60, EXCHANGE: calls.requests / 60, CONNECT: 1 / calls.length}
    traffic = sum((costs.work[unit].to_redis + costs.work[unit].from_redis) * share for unit, share in units.items())
    return Need(
        sessions=sessions,
        cores=cores,
        processes=processes,
        memory=memory,
        open_files=math.ceil(costs.descriptors * sessions / processes[GATEWAY]),
        client_bits=client * sessions,
        upstream_bits=upstream * sessions,
        redis_bytes=traffic * sessions,
        begin=sessions / calls.length,
    )


def audio_bits(calls: Calls) -> tuple[float, float]:
    """Bits per second of one session: of the client's connection, and of the upstream's, both directions together.
    Counted, not measured: every frame in a packet of its own."""
    around = _TLS + _PACKET
    client = frame_bytes(_CLIENT_RATE) + _MASKED + around
    client_down = frame_bytes(UPSTREAM_RATE) + _PLAIN + around
    up, down = len(appended()) + _MASKED + around, len(delta("resp_C9G8pPBCd", "item_C9G8pPBCd")) + _PLAIN + around
    frames = 8 / FRAME_SECONDS
    return (client + client_down * calls.spoken) * frames, (up + down * calls.spoken) * frames


def predicted(costs: UnitCosts, check: Check) -> dict[str, float]:
    """The CPU seconds by kind of process that the unit costs predict for what was done in a check."""
    return of_units(costs, check.units)


#: What Redis, translators and session-state are asked to do, and the unit with its cost where much is done at a time.
_BUSY = {RECORDS: RECORD, REQUESTS: REQUEST, ENTRIES: ENTRY}
