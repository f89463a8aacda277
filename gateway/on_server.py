"""The parts of a gateway process that have to do with one Redis server, connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from prometheus_client import Gauge

from gateway.config import GatewaySettings
from gateway.moves import Moves
from gateway.probe import Probe
from gateway.redis_servers import RedisServer
from gateway.session.claims import Claims
from gateway.session.journal_writer import JournalWriter
from gateway.session.publisher import Publisher
from session_state.owners import OwnersClient
from turngate.bus.bus import Bus
from turngate.bus.buses import Work
from turngate.bus.consumer import Batch
from turngate.protocol.messages import GATEWAYS, SESSION_STATES, TRANSLATORS, Command, commands_stream

#: Seconds between two looks at whether sessions of the server are served.
_PROBE_INTERVAL = 1.0
#: Commands that are read at a time, and those that are executed before audio is served.
_COMMANDS = 64
_COMMANDS_AT_ONCE = 8

_works = Gauge(
    "turngate_redis_works",
    "1 while requests of sessions on this Redis server are answered: it can be written to, and translators and "
    "session-state read its streams. No session begins on one with 0.",
    ["server"],
)


class OnServer:
    """Call `consume`, start the bus, and run the tasks of `background`."""

    def __init__(self, settings: GatewaySettings, bus: Bus) -> None:
        self.bus = bus
        self._gateway = settings.gateway_id
        self._publisher = Publisher(bus, settings.turn_fold_ms / 1000)
        self.probe = Probe(self._works, _PROBE_INTERVAL)
        owners = OwnersClient(bus.redis, settings, settings.resume_window_ms + settings.session_ttl_ms)
        self._journals = JournalWriter(owners, settings.journal_fold_ms / 1000)
        moves = Moves()
        if settings.sessions_move:
            claims = Claims(owners, settings.gateway_id, settings.claim_wait_ms / 1000, bus.tracer)
            moves = Moves(claims, self._journals)
        _works.labels(bus.server).set_function(lambda: float(self.probe()))
        leaving = bus.server in settings.leaving
        self.server = RedisServer(self._publisher, moves, bus.server, self.probe, leaving)

    def consume(self, execute: Callable[[Command, str], None]) -> None:
        """Have the commands for this gateway executed; ``execute`` is called with each, and the server's name."""

        async def on_commands(batch: Batch[Command]) -> None:
            for number, command in enumerate(batch.messages):
                if number and number % _COMMANDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                execute(command, self.bus.server)

        self.bus.consume(commands_stream(self._gateway), GATEWAYS, Command, on_commands, records=_COMMANDS, own=True)

    @property
    def background(self) -> Mapping[str, Work]:
        """The tasks for the process's whole life, by name."""
        return {"probe": self.probe.run, "publisher": self._publisher.run, "journal writer": self._journals.run}

    async def drain(self, timeout: float) -> None:
        """Return when everything that waits is published and written, at the latest after ``timeout`` seconds."""
        with self.bus.logging():
            await asyncio.gather(self._publisher.drain(timeout), self._journals.drain(timeout))

    async def _works(self) -> bool:
        with self.bus.logging():
            return await self.bus.ready(TRANSLATORS, SESSION_STATES)
