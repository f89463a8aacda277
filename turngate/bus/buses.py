"""The buses of one process, each on one of several Redis servers: started, watched and stopped together.

One server that is down holds up none of the others: each bus has tasks of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from turngate.bus import log_events
from turngate.bus.bus import Bus
from turngate.bus.server import ServerSilentError, require_server
from turngate.process.settings import SettingsError
from turngate.process.supervisor import Supervisor

#: Seconds that the others get to answer at start when one server has answered.
_OTHERS_SECONDS = 1.0

#: A task for the process's whole life.
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Buses:
    """From `start` to `stop`; then call `close`."""

    def __init__(self, buses: Sequence[Bus]) -> None:
        self._all = buses
        #: Answers to `ready` that are not needed any more.
        self._asking: set[asyncio.Task[bool]] = set()

    async def start(self, supervisor: Supervisor) -> None:
        """Return when every server that answers is consumed from, or the process should stop. Others are consumed from
        when they come. Raises `SettingsError` if none answers, or if one cannot be used."""
        silent = await self._require()
        for bus in self._all:
            supervisor.start(task_name("consumer watch", bus, self._all), _watch(bus, silent.get(bus.server)))
        # One that has answered may refuse what is needed, for a while.
        coming = [asyncio.ensure_future(bus.started.wait()) for bus in self._all if bus.server not in silent]
        stopping = asyncio.ensure_future(supervisor.wait())
        try:
            await asyncio.wait([*coming, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done() and len(coming) > 1:
                await asyncio.wait(coming, timeout=_OTHERS_SECONDS)
        finally:
            for waiting in (*coming, stopping):
                waiting.cancel()

    async def ready(self, *groups: str) -> bool:
        """Whether one server at least works (`Bus.ready`). Returns as soon as one says so."""
        asking = {asyncio.create_task(self._is_ready(bus, groups)) for bus in self._all}
        self._asking |= asking
        for task in asking:
            task.add_done_callback(self._asking.discard)
        for answer in asyncio.as_completed(asking):
            if await answer:
                return True
        return False

    def alive(self) -> bool:
        """Whether every stream is read of every server that has answered so far."""
        return all(bus.alive() for bus in self._all if bus.started.is_set())

    async def stop(self) -> None:
        """Stop consuming, when the supervised tasks have ended (`Bus.stop`)."""
        await asyncio.gather(*(self._stop(bus) for bus in self._all))

    async def close(self) -> None:
        """Close the clients for commands. Call it last."""
        for bus in self._all:
            await bus.close()

    async def _require(self) -> Mapping[str, ServerSilentError]:
        """The servers that do not answer, and what is said of each. Raises `SettingsError` if it is all of them, or if
        one cannot be used."""
        looks = {asyncio.create_task(_look(bus)): bus.server for bus in self._all}
        done: set[asyncio.Task[None]] = set()
        late = set(looks)
        while late:
            answered = any(task.exception() is None for task in done)
            more, late = await asyncio.wait(
                late, timeout=_OTHERS_SECONDS if answered else None, return_when=asyncio.FIRST_COMPLETED
            )
            done |= more
            if not more:
                break
        for task in late:
            task.cancel()
        failed = {looks[task]: error for task in done if (error := task.exception()) is not None}
        silent = {server: error for server, error in failed.items() if isinstance(error, ServerSilentError)}
        for server, error in failed.items():
            if server not in silent or len(silent) == len(looks):
                raise error
        return silent | {looks[task]: ServerSilentError("no answer yet") for task in late}

    async def _is_ready(self, bus: Bus, groups: Iterable[str]) -> bool:
        with bus.logging():
            return await bus.ready(*groups)

    async def _stop(self, bus: Bus) -> None:
        with bus.logging():
            await bus.stop()


def background(buses: Sequence[Bus], works: Callable[[Bus], Mapping[str, Work]]) -> dict[str, Work]:
    """The tasks that concern one server each, for each server, by their names. They begin when its bus has started."""
    return {task_name(name, bus, buses): _when_started(bus, work) for bus in buses for name, work in works(bus).items()}


def task_name(name: str, bus: Bus, buses: Sequence[Bus]) -> str:
    """The name of a task that concerns the server of one of these buses."""
    return name if len(buses) == 1 else f"{name} of {bus.server}"


def _when_started(bus: Bus, work: Work) -> Work:
    async def begun() -> None:
        with bus.logging():
            await bus.started.wait()
            await work()

    return begun


async def _look(bus: Bus) -> None:
    with bus.logging():
        await require_server(bus.redis, bus.settings, bus.server)


def _watch(bus: Bus, away: SettingsError | None) -> Work:
    """Starts the bus, whose server may be away, and watches it."""

    async def watch() -> None:
        with bus.logging():
            if away is not None:
                log_events.server_away(error=str(away))
            await bus.start()
            if away is not None:
                log_events.server_came()
            await bus.watch()

    return watch
