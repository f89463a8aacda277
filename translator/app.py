"""The service: client events and releases in, commands for one gateway out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import uuid4

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from session_state.client import Outcome, Reservation, SessionStateClient
from translator.config import TranslatorSettings
from translator.mapping.defaults import Defaults
from translator.mapping.release import merge
from translator.mapping.result import Refusal
from translator.mapping.routes import translate
from turngate.bus.broker import Consumers, connect, make_broker, subscribe
from turngate.bus.reclaimer import Intake, Reclaimer
from turngate.bus.streams import Failures, entry
from turngate.process import logging, service
from turngate.process.service import Service
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    RELEASES,
    TRANSLATORS,
    AddItems,
    ClientEvent,
    Command,
    Intent,
    RefuseRequest,
    Release,
    Value,
    commands_stream,
)

log = structlog.get_logger(__name__)

NOT_PROCESSED = "REQUEST_NOT_PROCESSED"
#: Entries that are handled at a time.
_RECORDS = 32

#: A command, and the gateway that it is for.
Addressed: TypeAlias = tuple[str, Command]


class _Sender(Value):
    """Who asked: as much of a `ClientEvent` as an answer needs."""

    session: str
    gateway: str
    seq: int
    message: Any = None


def run(settings: TranslatorSettings) -> None:
    """Run a translator until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start."""
    logging.configure(settings, "translator")
    service.run(lambda: wire(settings))


def wire(settings: TranslatorSettings) -> Service:
    """Every part of a translator process, connected."""
    redis = connect(settings)
    broker = make_broker(settings)
    translator = Translator(redis, SessionStateClient(redis, settings), settings.defaults, settings.stream_max_length)
    client_events = subscribe(broker, CLIENT_EVENTS, TRANSLATORS, translator.on_client_events, records=_RECORDS)
    releases = subscribe(broker, RELEASES, TRANSLATORS, translator.on_releases, records=_RECORDS)
    intakes = [
        Intake(CLIENT_EVENTS, TRANSLATORS, client_events, translator.on_event_given_up),
        # The intents of a release that is given up are granted again, or time out at their gateway.
        Intake(RELEASES, TRANSLATORS, releases),
    ]
    return Service(
        name="translator",
        settings=settings,
        redis=redis,
        consumers=Consumers(broker, redis, [(CLIENT_EVENTS, TRANSLATORS), (RELEASES, TRANSLATORS)]),
        host=settings.translator_host,
        port=settings.translator_port,
        port_setting="TURNGATE_TRANSLATOR_PORT",
        background={"reclaimer": Reclaimer(redis, intakes, settings).run},
    )


class Translator:
    """One handler per stream. Both may get a message twice: the gateway takes each effect once."""

    def __init__(self, redis: Redis, session_state: SessionStateClient, defaults: Defaults, max_length: int) -> None:
        self._redis = redis
        self._session_state = session_state
        self._defaults = defaults
        self._max_length = max_length

    async def on_client_events(self, bodies: list[bytes]) -> None:
        """Answer with each event's items, and reserve the turn for what needs one."""
        failures = Failures()
        commands: list[Addressed] = []
        wanted: list[Reservation] = []
        for event, answer, intent in failures.attempted(self._answer, failures.parsed(ClientEvent, bodies)):
            if intent is None or isinstance(answer, RefuseRequest):
                commands.append((event.gateway, answer))
            else:
                wanted.append(_reservation(event, answer, intent))
        if wanted:
            for asked, (outcome, release) in zip(wanted, await self._session_state.reserve(wanted), strict=True):
                if release is not None:
                    commands.append(_carried_out(release))
                elif outcome is Outcome.FULL:
                    log.warning("intents_full", session=asked.record.session, seq=asked.intent.seq)
        await self._send(commands)
        failures.raise_first()

    async def on_releases(self, bodies: list[bytes]) -> None:
        """Merge what was granted, and have the gateway send it."""
        failures = Failures()
        await self._send(failures.attempted(_carried_out, failures.parsed(Release, bodies)))
        failures.raise_first()

    async def on_event_given_up(self, body: bytes) -> None:
        """No translator could handle this client event: tell its client, as far as it can be read whose it was."""
        try:
            sender = _Sender.model_validate_json(body)
        except ValidationError:
            return
        kind = sender.message.get("type") if isinstance(sender.message, dict) else None
        description = f"{kind or 'A request'} could not be processed."
        refusal = RefuseRequest(session=sender.session, seq=sender.seq, code=NOT_PROCESSED, description=description)
        await self._send([(sender.gateway, refusal)])

    def _answer(self, event: ClientEvent) -> tuple[ClientEvent, AddItems | RefuseRequest, Intent | None]:
        session, seq = event.session, event.seq
        try:
            done = translate(event, self._defaults)
        except Refusal as refusal:
            code, description = refusal.code, refusal.description
            return event, RefuseRequest(session=session, seq=seq, code=code, description=description), None
        return event, AddItems(session=session, seq=seq, items=done.items, notices=done.notices), done.intent

    async def _send(self, commands: Sequence[Addressed]) -> None:
        """Never makes a gateway's stream: one that is not there has gone, or the server has lost it; then the gateway
        asks again when it is back."""
        if not commands:
            return
        async with self._redis.pipeline(transaction=False) as pipeline:
            for gateway, command in commands:
                pipeline.xadd(commands_stream(gateway), entry(command), maxlen=self._max_length, nomkstream=True)
            await pipeline.execute()


def _carried_out(release: Release) -> Addressed:
    return release.gateway, merge(release)


def _reservation(event: ClientEvent, answer: AddItems, intent: Intent) -> Reservation:
    release = Release(id=uuid4().hex, session=event.session, gateway=event.gateway, intents=(intent,))
    return Reservation(event.turn, intent, answer, merge(release))
