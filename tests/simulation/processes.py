"""The processes behind the gateway, wired as shipped: they start, die at any command, and are started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from typing import Literal

import session_state.app
import translator.app
from session_state.config import SessionStateSettings
from tests.redis_stub.client import StubRedis
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.readers import SimulatedReaders
from tests.simulation.server import Server
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.process.service import Service
from turngate.process.settings import BrokerSettings
from turngate.process.supervisor import Supervisor

#: No entry is given up: a storm can end many processes in a row, and then the client would be told so.
_DELIVERIES_MAX = 1_000


@dataclass(slots=True)
class Life:
    """One process from its start to its end."""

    name: str
    #: Whether a storm can end it.
    mortal: bool
    died: Callable[[], None]
    alive: bool = True
    #: It does not reach Redis.
    cut_off: bool = False

    def die(self) -> None:
        """End without a word: it never hears again of what it asked for."""
        self.alive = False
        self.died()


def connect(server: Server, life: Life, settings: BrokerSettings, random: Random) -> Bus:
    """The bus of one process."""
    redis = StubRedis(partial(server.exchange, life))
    return Bus(settings, redis, SimulatedReaders(server, life, random), name=life.name)


class Processes:
    """All processes but the gateway's."""

    def __init__(self, plan: Plan, loop: VirtualLoop, random: Random, server: Server) -> None:
        self.problem = ""
        self._plan = plan
        self._loop = loop
        self._random = random
        self._server = server
        self._number = 0
        turns = plan.defaults.turn_detection
        translators = translator_settings(
            round(plan.reclaim_after * 1000),
            "server" if turns.create_response else "gateway",
            turns.kind,
            plan.defaults.model,
            plan.defaults.transcription_model or "",
        )
        session_states = session_state_settings(round(plan.reclaim_after * 1000))
        for _ in range(plan.translators):
            self._start("translator", partial(translator.app.wire, translators), translators)
        for _ in range(plan.session_states):
            self._start("session-state", partial(session_state.app.wire, session_states), session_states)

    def _start(self, kind: str, wire: Callable[[Bus], Service], settings: BrokerSettings) -> None:
        self._number += 1

        def died() -> None:
            self._server.counts[f"{kind} deaths"] += 1
            self._loop.later(self._plan.restart_after, lambda: self._start(kind, wire, settings))

        life = Life(f"{kind}-{self._number}", mortal=True, died=died)
        service = wire(connect(self._server, life, settings, self._random))
        self._loop.create_task(self._serve(service, life))

    async def _serve(self, service: Service, life: Life) -> None:
        """As `turngate.process.service.serve`, without HTTP."""
        supervisor = Supervisor()
        await service.bus.start()
        supervisor.start("consumer watch", service.bus.watch)
        for name, work in service.background.items():
            # No stream of a simulation reaches its limit; what happens there is tested with a real server.
            if name != "stream limits":
                supervisor.start(name, work)
        await supervisor.wait()
        self.problem = f"{supervisor.ended} of {life.name} ended by itself"


@cache
def translator_settings(
    reclaim_after: int,
    turn_owner: Literal["server", "gateway"],
    turn_detection: Literal["server_vad", "semantic_vad"],
    model: str,
    transcription: str,
) -> TranslatorSettings:
    return TranslatorSettings(
        reclaim_after_ms=reclaim_after,
        deliveries_max=_DELIVERIES_MAX,
        turn_owner=turn_owner,
        turn_detection=turn_detection,
        upstream_model=model,
        transcription_model=transcription,
    )


@cache
def session_state_settings(reclaim_after: int) -> SessionStateSettings:
    return SessionStateSettings(reclaim_after_ms=reclaim_after, sweep_interval_ms=2_000, deliveries_max=_DELIVERIES_MAX)
