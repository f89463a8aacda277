"""The service: turn records in, releases out, a sweeper for what was lost on the way, and an admin HTTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from prometheus_client import Gauge
from redis.exceptions import RedisError

from session_state import log_events
from session_state.admin import admin_routes
from session_state.admin_key import AdminKey
from session_state.config import SessionStateSettings
from session_state.console_faults import Faults
from session_state.console_files import console_routes
from session_state.feed import Feed
from session_state.fleet import Fleet
from session_state.store import Step, Store, raise_refusal
from session_state.watchers import Watchers
from turngate.bus import trouble
from turngate.bus.bus import Bus, consumer_name
from turngate.bus.buses import Work, background
from turngate.bus.consumer import Batch
from turngate.bus.limits import StreamLimits
from turngate.bus.reclaimer import Reclaimer
from turngate.process import logging, service
from turngate.process.service import Service
from turngate.protocol.messages import RELEASES, SESSION_STATES, TURNS, TurnRecord
from turngate.tracing.setup import traces

#: Turn records that are taken in at a time.
_RECORDS = 256

_known = Gauge(
    "turngate_sessions_known", "Live sessions of all gateways by their Redis server, at the last sweep.", ["server"]
)
_waiting = Gauge(
    "turngate_sessions_waiting", "Sessions with held intents by their Redis server, at the last sweep.", ["server"]
)


def run(settings: SessionStateSettings) -> None:
    """Run session-state until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start."""
    logging.configure(settings, "session-state")
    with traces("session-state", consumer_name()) as tracer:
        service.run(lambda: wire(settings, *Bus.connect_all(settings, tracer)))


def wire(settings: SessionStateSettings, *buses: Bus) -> Service:
    """Every part of a session-state process, connected. Each bus is on a Redis server of its own."""
    watchers, key = Watchers(settings.watchers_max, [bus.server for bus in buses]), AdminKey(settings.admin_key)
    stores = {bus.server: Store(bus.redis, settings, bus.tracer) for bus in buses}
    for bus in buses:
        # A record that is given up is replaced by the session's next one. Releases go to the server of the session.
        turns = Turns(stores[bus.server], bus)
        bus.consume(TURNS, SESSION_STATES, TurnRecord, turns.on_records, records=_RECORDS)

    def of_one_server(bus: Bus) -> dict[str, Work]:
        return {
            "sweeper": Sweeper(stores[bus.server], bus, settings).run,
            "reclaimer": Reclaimer(bus, settings).run,
            "stream limits": StreamLimits(bus, settings).run,
            "watch": Feed(bus.redis, settings.redis_prefix, watchers, bus.server).run,
        }

    return Service(
        name="session-state",
        buses=buses,
        host=settings.session_state_host,
        port=settings.session_state_port,
        port_setting="TURNGATE_SESSION_STATE_PORT",
        routes=[
            *admin_routes(Fleet(buses, stores), watchers, key),
            *console_routes(str(settings.console_gateway_url).rstrip("/"), key, Faults(settings.console_faults_socket)),
        ],
        on_stop=watchers.end,
        background=background(buses, of_one_server),
    )


class Turns:
    """Takes turn records in, and publishes the releases that they allow."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus

    async def on_records(self, batch: Batch[TurnRecord]) -> None:
        """Apply the newest record of each session: the highest version of the highest epoch."""
        newest: dict[str, TurnRecord] = {}
        for record in batch.messages:
            before = newest.setdefault(record.session, record)
            if (record.epoch, record.version) > (before.epoch, before.version):
                newest[record.session] = record
        await publish_releases(self._bus, await self._store.observe([*newest.values()]))


async def publish_releases(bus: Bus, steps: Sequence[Step]) -> None:
    """Publish what was granted. A release that is lost is granted again when its lease ends. A session that failed was
    logged, and is skipped. Raises what Redis refused, when the others are published."""
    await bus.publish([(RELEASES, step.release) for step in steps if step.release is not None])
    raise_refusal(steps)


class Sweeper:
    """Finds what sleeps although it could go (lost releases, wake-ups that died with their process), and forgets the
    sessions of gateways that have gone."""

    def __init__(self, store: Store, bus: Bus, settings: SessionStateSettings) -> None:
        self._store = store
        self._bus = bus
        self._interval = settings.sweep_interval_ms / 1000
        self._batch = settings.sweep_batch

    async def run(self) -> None:
        """Sweep again and again, until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.8, 1) * self._interval)
            try:
                await self.sweep()
            except (RedisError, OSError, TimeoutError) as error:
                trouble.note(error, "sweep")

    async def sweep(self) -> None:
        """Look once at everything that is due. Redis errors pass through."""
        if overdue := await self._store.overdue(self._batch):
            await publish_releases(self._bus, await self._store.revisit(overdue))
        if forgotten := await self._store.forget_silent():
            log_events.sessions_forgotten(sessions=forgotten)
        _known.labels(self._bus.server).set(await self._store.known())
        _waiting.labels(self._bus.server).set(await self._store.waiting())
