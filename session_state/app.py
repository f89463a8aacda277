"""The service: turn records in, releases out, a sweeper for what was lost on the way, and an admin HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from session_state.config import SessionStateSettings
from session_state.store import Step, Store
from turngate.bus.broker import Consumers, connect, make_broker, subscribe
from turngate.bus.reclaimer import Intake, Reclaimer
from turngate.bus.streams import Failures, entry
from turngate.process import logging, service
from turngate.process.service import Service, json_response
from turngate.protocol.messages import RELEASES, SESSION_STATES, TURNS, TurnRecord

log = structlog.get_logger(__name__)

#: Turn records that are taken in at a time.
_RECORDS = 256

_known = Gauge("turngate_sessions_known", "Live sessions of all gateways, when the sweeper last looked.")
_waiting = Gauge("turngate_sessions_waiting", "Those in which something is held, when the sweeper last looked.")


def run(settings: SessionStateSettings) -> None:
    """Run session-state until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start."""
    logging.configure(settings, "session-state")
    service.run(lambda: wire(settings))


def wire(settings: SessionStateSettings) -> Service:
    """Every part of a session-state process, connected."""
    redis = connect(settings)
    broker = make_broker(settings)
    store = Store(redis, settings)
    releases = Releases(redis, settings.stream_max_length)
    sweeper = Sweeper(store, releases, settings)

    async def observe(bodies: list[bytes]) -> None:
        failures = Failures()
        newest: dict[str, TurnRecord] = {}
        for record in failures.parsed(TurnRecord, bodies):
            before = newest.get(record.session)
            newest[record.session] = record if before is None or record.version > before.version else before
        await releases.publish(await store.observe([*newest.values()]))
        failures.raise_first()

    turns = subscribe(broker, TURNS, SESSION_STATES, observe, records=_RECORDS)
    # A record that is given up is replaced by the session's next one.
    reclaimer = Reclaimer(redis, [Intake(TURNS, SESSION_STATES, turns)], settings)
    return Service(
        name="session-state",
        settings=settings,
        redis=redis,
        consumers=Consumers(broker, redis, [(TURNS, SESSION_STATES)]),
        host=settings.session_state_host,
        port=settings.session_state_port,
        port_setting="TURNGATE_SESSION_STATE_PORT",
        routes=admin_routes(store),
        background={"sweeper": sweeper.run, "reclaimer": reclaimer.run},
    )


class Releases:
    """Publishes what was granted."""

    def __init__(self, redis: Redis, max_length: int) -> None:
        self._redis = redis
        self._max_length = max_length

    async def publish(self, steps: Sequence[Step]) -> None:
        """Wake a translator for each release. What is lost here is granted again when its lease ends."""
        granted = [step.release for step in steps if step.release is not None]
        if not granted:
            return
        async with self._redis.pipeline(transaction=False) as pipeline:
            for release in granted:
                pipeline.xadd(RELEASES, entry(release), maxlen=self._max_length)
            await pipeline.execute()


class Sweeper:
    """Finds what sleeps although it could go (lost releases, wake-ups that died with their process), and forgets the
    sessions of gateways that have gone."""

    def __init__(self, store: Store, releases: Releases, settings: SessionStateSettings) -> None:
        self._store = store
        self._releases = releases
        self._interval = settings.sweep_interval_ms / 1000
        self._batch = settings.sweep_batch

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.sweep()
            except (RedisError, OSError) as error:
                log.warning("sweep_failed", error=str(error))

    async def sweep(self) -> None:
        """Look once at everything that is due."""
        if overdue := await self._store.overdue(self._batch):
            await self._releases.publish(await self._store.revisit(overdue))
        if forgotten := await self._store.forget_silent():
            log.warning("sessions_forgotten", sessions=forgotten)
        _known.set(await self._store.known())
        _waiting.set(await self._store.waiting())


def admin_routes(store: Store) -> list[Route]:
    """``GET /sessions`` and ``GET /sessions/{id}``: what an operator asks first."""

    async def sessions(_: Request) -> Response:
        return json_response({"sessions": [described async for described in store.sessions()]})

    async def session(request: Request) -> Response:
        name = request.path_params["session"]
        described = await store.session(name)
        if described is None:
            return json_response({"error": f"no live session {name}"}, 404)
        return json_response(described)

    return [Route("/sessions", sessions), Route("/sessions/{session}", session)]
