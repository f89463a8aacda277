"""The continuity part: the silence that a caller hears when its upstream connection is lost, and the cost of sessions
that may be resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.environment import processes_of, settings, under_test
from benchmarks.load.playback import Playback
from benchmarks.load.session import clock
from benchmarks.machine import Cores
from benchmarks.percentiles import median
from benchmarks.processes import resident_bytes
from benchmarks.usage import Meter
from turngate.local.stack import Stack

#: Seconds for anything that is waited for.
_PATIENCE = 60.0
#: Sessions that talk at the same time while the journal's cost is measured.
_TALKING = 10
#: Milliseconds after which a connection is replaced, where that is measured.
_ROLL_OVER_MS = 500
_RESTORE = "turngate_restore_seconds"


@dataclass(frozen=True)
class ContinuitySample:
    """Times in seconds; medians of all rounds, where not said otherwise."""

    #: From the client's first byte to the first audio of the first reply, on a new session.
    first: float
    #: From a typed message to the first audio of its reply, on a connection that is there.
    wait: float
    #: From the loss of a connection in a reply to the next audio, and the silence that is heard: the client plays
    #: meanwhile what has arrived before.
    pause: float
    silence: float
    #: From the loss until the conversation is restored, with no reply running: dial and restore.
    restored: float
    #: The longest silence in a reply, in a session without roll-overs and in one with them, and their number.
    silences: tuple[float, float]
    roll_overs: int
    #: CPU seconds of gateway and broker, and bytes to the broker, for a turn: of a plain session, and of one that may
    #: be resumed.
    turn_cpu: tuple[float, float]
    turn_bytes: tuple[float, float]
    #: Bytes of the gateway's memory for a session with a client, and for a parked one. Not a median.
    memory: tuple[float, float]

    @property
    def heard_ratio(self) -> float:
        """The silence heard at a loss in a reply, against dial and restore."""
        return self.silence / self.restored

    @property
    def pause_ratio(self) -> float:
        """The pause at a loss in a reply, against dial, restore and the wait for a reply."""
        return self.pause / (self.restored + self.wait)


async def run(
    cores: Cores, rounds: int, say: Callable[[str], None], *, losses: int, turns: int, seconds: float, parked: int
) -> ContinuitySample:
    """Measure ``losses`` of each kind, and ``turns`` turns per session with and without a journal, in every round; and
    once ``seconds`` of talk with roll-overs and without, and the memory of ``parked`` sessions."""
    async with _stack(cores) as stack:
        lost = [await _loss_in_a_reply(stack) for _ in range(rounds * losses)]
        restored = [await _loss_while_idle(stack) for _ in range(rounds * losses)]
        plain, resumable = [], []
        for _ in range(rounds):
            plain.append(await _turns(stack, turns, resumable=False))
            resumable.append(await _turns(stack, turns, resumable=True))
        _, undisturbed = await _roll_overs(stack, seconds)
    async with _stack(cores, TURNGATE_UPSTREAM_ROLLOVER_MS=str(_ROLL_OVER_MS)) as stack:
        roll_overs, longest = await _roll_overs(stack, seconds)
    # The parked sessions have connections to the upstream, which a cut would end too.
    async with _stack(cores) as stack:
        memory = await _memory(stack, parked)
    first, wait, pause, silence = (median(values) for values in zip(*lost, strict=True))
    costs = [[median(values) for values in zip(*found, strict=True)] for found in (plain, resumable)]
    sample = ContinuitySample(
        first=first,
        wait=wait,
        pause=pause,
        silence=silence,
        restored=median(restored),
        silences=(undisturbed, longest),
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
    first = sample.first
    return [
        f"a first reply after {first * 1e3:.0f} ms, a later one after {sample.wait * 1e3:.0f} ms",
        f"lost while idle: restored in {sample.restored * 1e3:.0f} ms, {sample.restored / first:.2f} × a first reply",
        f"lost in a reply: a pause of {sample.pause * 1e3:.0f} ms, {sample.pause / first:.2f} × a first reply and "
        f"{sample.pause_ratio:.2f} × (dial + restore + a later reply); {sample.silence * 1e3:.0f} ms are heard, "
        f"{sample.silence / first:.2f} × a first reply and {sample.heard_ratio:.2f} × (dial + restore)",
        f"{sample.roll_overs} roll-overs: {sample.silences[1] * 1e3:.0f} ms of silence in a reply at most, "
        f"{sample.silences[0] * 1e3:.0f} ms without roll-overs",
        "a turn, plain and resumable: CPU {:.2f} and {:.2f} ms, to the broker {:.1f} and {:.1f} KB".format(
            *(cpu * 1e3 for cpu in sample.turn_cpu), *(size / 1024 for size in sample.turn_bytes)
        ),
        "memory of a session: {:.0f} KB with its client, {:.0f} KB parked".format(
            *(size / 1024 for size in sample.memory)
        ),
    ]


def _stack(cores: Cores, **env: str) -> AbstractAsyncContextManager[Stack]:
    return under_test(Stack(env={"TURNGATE_SESSIONS_MAX": "100000", "TURNGATE_PARKED_MAX": "100000", **env}), cores)


class _Caller:
    """A client that plays what it gets."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        #: Of the newest reply.
        self.playback = Playback()

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def until(self, kind: str) -> float:
        """Wait for a message of this type, or for ``audio``; returns when it came."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                frame = await self.connection.recv()
                now = clock()
                if isinstance(frame, bytes):
                    self.playback.arrived(len(frame), now)
                    if kind == "audio":
                        return now
                elif json.loads(frame)["type"] == kind:
                    return now

    async def ask(self, text: str = "Hello?") -> float:
        """Type this, and wait for the first audio of the reply. Returns how long that took."""
        self.playback = Playback()
        asked = clock()
        await self.say(type="InjectUserMessage", content=text)
        return await self.until("audio") - asked

    async def talk(self) -> float:
        """One turn. Returns the wait for its reply."""
        wait = await self.ask()
        await self.until("AgentAudioDone")
        return wait


@asynccontextmanager
async def _call(stack: Stack, *, resumable: bool = False) -> AsyncIterator[_Caller]:
    query = "?resumable=1" if resumable else ""
    async with connect(f"{stack.gateway_url}/v1/agent/converse{query}", compression=None) as connection:
        caller = _Caller(connection)
        await caller.say(**settings())
        await caller.until("SettingsApplied")
        yield caller


async def _loss_in_a_reply(stack: Stack) -> tuple[float, float, float, float]:
    """The wait for the first reply of a session, and for the second; the pause and the silence at a loss in the
    third."""
    async with _pages() as pages:
        # Connects, so that the cut is not late.
        await pages.get(f"{stack.simulator_url}/health")
        began = clock()
        async with _call(stack) as caller:
            await caller.ask()
            first = clock() - began
            await caller.until("AgentAudioDone")
            wait = await caller.talk()
            await caller.ask("Tell me a story. [say 20 words]")
            lost = clock()
            # Pieces that are on their way arrive after the cut, so the pause ends where the longest gap does.
            await asyncio.gather(pages.get(f"{stack.simulator_url}/cut"), caller.until("AgentAudioDone"))
            return first, wait, caller.playback.gap_ended - lost, caller.playback.silence


async def _loss_while_idle(stack: Stack) -> float:
    """Dial and restore, as the gateway measures it, of a session that has talked."""
    async with _call(stack) as caller:
        await caller.talk()
        before = await _metrics(stack)
        await _fetch(f"{stack.simulator_url}/cut")
        await _until_counted(stack, f"{_RESTORE}_count", before, 1)
        after = await _metrics(stack)
    restores, seconds = (after[f"{_RESTORE}_{name}"] - before[f"{_RESTORE}_{name}"] for name in ("count", "sum"))
    return seconds / restores


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


async def _roll_overs(stack: Stack, seconds: float) -> tuple[int, float]:
    """How many there were in a session that talks, and the longest silence that its client hears in a reply."""
    before, silences = await _metrics(stack), [0.0]
    async with _call(stack) as caller:
        until = clock() + seconds
        while clock() < until:
            await caller.talk()
            silences.append(caller.playback.silence)
    after = await _metrics(stack)
    return int(after["turngate_rolled_over_total"] - before["turngate_rolled_over_total"]), max(silences)


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


def _pages() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=_PATIENCE)


async def _fetch(url: str) -> httpx.Response:
    async with _pages() as pages:
        return (await pages.get(url)).raise_for_status()


async def _broker_bytes(stack: Stack) -> int:
    async with Redis.from_url(stack.redis_url) as redis:
        return int((await redis.info("stats"))["total_net_input_bytes"])
