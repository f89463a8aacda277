"""The continuity part: the silence that a caller hears when its upstream connection is lost, and the cost of sessions
that may be resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.environment import processes_of, settings
from benchmarks.load.session import clock
from benchmarks.machine import Cores
from benchmarks.percentiles import median
from benchmarks.processes import resident_bytes
from benchmarks.usage import Meter
from turngate.local.stack import Stack

#: Bytes of the agent's audio in a second: pcm16 at 24 kHz.
_SECOND = 48_000
#: Seconds for anything that is waited for.
_PATIENCE = 60.0
#: Sessions that talk at the same time while the journal's cost is measured.
_TALKING = 10
#: Milliseconds after which a connection is replaced, where that is measured.
_ROLL_OVER_MS = 2_000
_SILENCE = "turngate_silence_heard_seconds"


@dataclass(frozen=True)
class ContinuitySample:
    """Times in seconds, medians of all rounds."""

    #: From the client's first byte to the first audio of the first reply, on a new session.
    first: float
    #: From the loss of a connection in a reply to the next audio, and the silence that is heard: the client plays
    #: meanwhile what has arrived before.
    pause: float
    silence: float
    #: From the loss until the conversation is restored, with no reply running.
    restored: float
    #: The longest silence that was heard at a roll-over, and the number of roll-overs.
    at_roll_over: float
    roll_overs: int
    #: CPU seconds of gateway and broker, and bytes to the broker, for a turn: of a plain session, and of one that may
    #: be resumed.
    turn_cpu: tuple[float, float]
    turn_bytes: tuple[float, float]
    #: Bytes of the gateway's memory for a session with a client, and for a parked one.
    memory: tuple[float, float]

    @property
    def ratio(self) -> float:
        """The pause at a loss, as a share of the wait for a first reply."""
        return self.pause / self.first


async def run(cores: Cores, rounds: int, turns: int, parked: int, say: Callable[[str], None]) -> ContinuitySample:
    """Measure: ``rounds`` losses, ``turns`` turns per session with and without a journal, ``parked`` sessions."""
    async with _stack(cores) as stack:
        memory = await _memory(stack, parked)
        losses = [await _loss_in_a_reply(stack) for _ in range(rounds)]
        restored = await _loss_while_idle(stack, rounds)
        costs = [await _turns(stack, turns, resumable=resumable) for resumable in (False, True)]
    async with _stack(cores, TURNGATE_UPSTREAM_ROLLOVER_MS=str(_ROLL_OVER_MS)) as stack:
        roll_overs, longest = await _roll_overs(stack)
    sample = ContinuitySample(
        first=median([first for first, _, _ in losses]),
        pause=median([pause for _, pause, _ in losses]),
        silence=median([silence for _, _, silence in losses]),
        restored=restored,
        at_roll_over=longest,
        roll_overs=roll_overs,
        turn_cpu=(costs[0][0], costs[1][0]),
        turn_bytes=(costs[0][1], costs[1][1]),
        memory=memory,
    )
    for line in summary(sample):
        say(line)
    return sample


def summary(sample: ContinuitySample) -> list[str]:
    """The result as text for the terminal."""
    return [
        f"lost in a reply: a pause of {sample.pause * 1e3:.0f} ms, {sample.ratio:.2f} × a first reply "
        f"({sample.first * 1e3:.0f} ms), of which {sample.silence * 1e3:.0f} ms are heard; "
        f"lost while idle: restored in {sample.restored * 1e3:.0f} ms",
        f"{sample.roll_overs} roll-overs: {sample.at_roll_over * 1e3:.0f} ms of silence at most",
        "a turn, plain and resumable: CPU {:.2f} and {:.2f} ms, to the broker {:.1f} and {:.1f} KB".format(
            *(cpu * 1e3 for cpu in sample.turn_cpu), *(size / 1024 for size in sample.turn_bytes)
        ),
        "memory of a session: {:.0f} KB with its client, {:.0f} KB parked".format(
            *(size / 1024 for size in sample.memory)
        ),
    ]


@asynccontextmanager
async def _stack(cores: Cores, **env: str) -> AsyncIterator[Stack]:
    stack = Stack(env={"TURNGATE_SESSIONS_MAX": "100000", "TURNGATE_PARKED_MAX": "100000", **env})
    try:
        with cores.under_test():
            await stack.__aenter__()
        yield stack
    finally:
        await stack.stop()


class _Caller:
    """A client that knows until when it has something to play."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._played_until: float | None = None
        #: The longest silence between two pieces of audio since it was set to 0.
        self.silence = 0.0

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def until(self, kind: str) -> float:
        """Wait for a message of this type, or for ``audio``; returns when it came."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                frame = await self.connection.recv()
                now = clock()
                if isinstance(frame, bytes):
                    self._heard(len(frame), now)
                    if kind == "audio":
                        return now
                elif json.loads(frame)["type"] == kind:
                    return now

    def _heard(self, size: int, now: float) -> None:
        played_until = now if self._played_until is None else self._played_until
        self.silence = max(self.silence, now - played_until)
        self._played_until = max(played_until, now) + size / _SECOND

    async def talk(self) -> None:
        """One turn."""
        await self.say(type="InjectUserMessage", content="Hello?")
        await self.until("AgentAudioDone")


@asynccontextmanager
async def _call(stack: Stack, *, resumable: bool = False) -> AsyncIterator[_Caller]:
    query = "?resumable=1" if resumable else ""
    async with connect(f"{stack.gateway_url}/v1/agent/converse{query}", compression=None) as connection:
        caller = _Caller(connection)
        await caller.say(**settings())
        await caller.until("SettingsApplied")
        yield caller


async def _loss_in_a_reply(stack: Stack) -> tuple[float, float, float]:
    """The wait for the first reply of a session; the pause and the silence at a loss in the second."""
    began = clock()
    async with _call(stack) as caller:
        await caller.say(type="InjectUserMessage", content="Hello?")
        first = await caller.until("audio") - began
        await caller.until("AgentAudioDone")
        await caller.say(type="InjectUserMessage", content="Tell me a story. [say 60 words]")
        await caller.until("audio")
        caller.silence = 0.0
        await _fetch(f"{stack.simulator_url}/cut")
        lost = clock()
        pause = await caller.until("audio") - lost
        await caller.until("AgentAudioDone")
        return first, pause, caller.silence


async def _loss_while_idle(stack: Stack, rounds: int) -> float:
    before = await _metrics(stack)
    async with _call(stack) as caller:
        await caller.talk()
        for _ in range(rounds):
            await _fetch(f"{stack.simulator_url}/cut")
            await _until_counted(stack, "turngate_restore_seconds_count", before, 1)
            before_this, before = before, await _metrics(stack)
    spent = before["turngate_restore_seconds_sum"] - before_this["turngate_restore_seconds_sum"]
    return spent / max(before["turngate_restore_seconds_count"] - before_this["turngate_restore_seconds_count"], 1)


async def _turns(stack: Stack, turns: int, *, resumable: bool) -> tuple[float, float]:
    """CPU seconds and bytes to the broker of one turn."""
    async with AsyncExitStack() as calls:
        callers = [await calls.enter_async_context(_call(stack, resumable=resumable)) for _ in range(_TALKING)]
        watched = {name: pid for name, pid in processes_of(stack).items() if name.startswith(("gateway", "broker"))}
        meter, bytes_before = Meter(watched), await _broker_bytes(stack)
        for _ in range(turns):
            await asyncio.gather(*(caller.talk() for caller in callers))
        done = turns * len(callers)
        return meter.read().subject / done, (await _broker_bytes(stack) - bytes_before) / done


async def _memory(stack: Stack, count: int) -> tuple[float, float]:
    """Bytes of the gateway for a session with its client, and for a parked one; both have talked once."""
    gateway = stack.processes["gateway-1"].pid
    assert gateway is not None
    async with _call(stack) as caller:
        await caller.talk()
    before = resident_bytes(gateway)
    async with AsyncExitStack() as calls:
        callers = [await calls.enter_async_context(_call(stack, resumable=True)) for _ in range(count)]
        await asyncio.gather(*(caller.talk() for caller in callers))
        attached = resident_bytes(gateway)
        sessions = await _metrics(stack)
        for caller in callers:
            caller.connection.transport.abort()
        await _until_counted(stack, "turngate_parked_total", sessions, count)
        parked = resident_bytes(gateway)
    return (attached - before) / count, (parked - before) / count


async def _roll_overs(stack: Stack) -> tuple[int, float]:
    """How many there were in a session that talks, and the longest silence heard at one."""
    before = await _metrics(stack)
    async with _call(stack) as caller:
        until = clock() + 3 * _ROLL_OVER_MS / 1000
        while clock() < until:
            await caller.talk()
    after = await _metrics(stack)
    count = int(after["turngate_rolled_over_total"] - before["turngate_rolled_over_total"])
    return count, after[f"{_SILENCE}_sum"] - before[f"{_SILENCE}_sum"]


async def _until_counted(stack: Stack, name: str, before: dict[str, float], more: int) -> None:
    async with asyncio.timeout(_PATIENCE):
        while (await _metrics(stack))[name] < before[name] + more:
            await asyncio.sleep(0.02)


async def _metrics(stack: Stack) -> dict[str, float]:
    """The gateway's metrics without labels."""
    text = (await _fetch(f"{stack.internal_url('gateway')}/metrics")).text
    pairs: Sequence[Sequence[str]] = [
        line.split(" ") for line in text.splitlines() if "{" not in line and line[0] != "#"
    ]
    return {name: float(value) for name, value in pairs}


async def _fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as client:
        return (await client.get(url)).raise_for_status()


async def _broker_bytes(stack: Stack) -> int:
    async with Redis.from_url(stack.redis_url) as redis:
        return int((await redis.info("stats"))["total_net_input_bytes"])
