"""A gateway's process: the shipped bus, publisher, journal writer and claims, without sockets."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Protocol, cast

from gateway.moves import Moves
from gateway.session.claims import Claims
from gateway.session.journal_writer import Journaled, JournalWriter
from gateway.session.publisher import Publisher
from session_state.config import SessionSettings
from session_state.owners import JournalEntry, OwnersClient
from tests.simulation.loop import VirtualLoop
from tests.simulation.processes import Life, connect
from tests.simulation.server import Server
from turngate.bus.consumer import Batch
from turngate.process.settings import BrokerSettings
from turngate.process.supervisor import Supervisor
from turngate.protocol.messages import (
    GATEWAYS,
    Command,
    JournalComplete,
    SessionClaimed,
    TurnCommand,
    commands_stream,
)

if TYPE_CHECKING:
    from gateway.session.session import Session as Shell

#: Commands that are read at a time, and how long what nothing waits for may wait for others, in seconds.
_COMMANDS, _FOLD = 64, 0.25
#: Seconds for which Redis keeps what is known of a session.
_TTL = 3_600


class Served(Journaled, Protocol):
    """A session of this gateway. ``killed``: what is sent to its gateway arrives nowhere."""

    killed: bool

    def command(self, command: TurnCommand) -> None: ...


class Gateway:
    """It does not die: that would end its sessions. It may be cut off from Redis."""

    def __init__(
        self,
        name: str,
        server: Server,
        random: Random,
        loop: VirtualLoop,
        claim_wait: float,
        crashed: Callable[[str], None],
    ) -> None:
        """``claim_wait``: seconds for which a gateway that was the owner of a session may complete its journal.
        ``crashed`` is called with what a session raises."""
        self.name = name
        self.problem = ""
        #: Its sessions by name.
        self.sessions: dict[str, Served] = {}
        self.life = Life(name, mortal=False, died=lambda: None)
        self._loop = loop
        self._crashed = crashed
        self._bus = connect(server, self.life, _settings(), random)
        owners = OwnersClient(self._bus.redis, SessionSettings(), _TTL * 1_000)
        self.publisher = Publisher(self._bus, _FOLD)
        self.journals = JournalWriter(owners, _FOLD)
        self.moves = Moves(Claims(owners, name, claim_wait), self.journals)
        self._bus.consume(commands_stream(name), GATEWAYS, Command, self._on_commands, records=_COMMANDS, own=True)

    async def serve(self, started: Callable[[], None]) -> None:
        """As `gateway.app.Gateway.serve`; ``started`` is called when clients may come."""
        supervisor = Supervisor()
        await self._bus.start()
        supervisor.start("consumer watch", self._bus.watch)
        supervisor.start("publisher", self.publisher.run)
        supervisor.start("journal writer", self.journals.run)
        started()
        await supervisor.wait()
        self.problem = f"{supervisor.ended} of {self.name} ended by itself"

    def fenced(self, session: Served, entry: JournalEntry) -> None:
        """As `gateway.server.GatewayServer`."""
        self._loop.create_task(self.moves.fenced(cast("Shell", session), entry))

    @property
    def busy(self) -> str:
        """Empty when nothing waits to be published."""
        return f"records or requests of {self.name} are not published yet" if self.publisher.waiting else ""

    async def _on_commands(self, batch: Batch[Command]) -> None:
        for command in batch.messages:
            try:
                self._take(command)
            except Exception:
                # The bus isolates it; here it is a finding.
                self._crashed(traceback.format_exc(limit=-2))
                raise

    def _take(self, command: Command) -> None:
        """As `gateway.server.GatewayServer.command`."""
        session = self.sessions.get(command.session)
        match command:
            case JournalComplete():
                self.moves.completed(command)
            case SessionClaimed():
                if session is None or not session.killed:
                    self._loop.create_task(self.moves.give(command, cast("Shell | None", session)))
            case _ if session is not None:
                session.command(command)


@cache
def _settings() -> BrokerSettings:
    return BrokerSettings()
