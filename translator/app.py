"""The service: client events and releases in, commands for one gateway out."""

from __future__ import annotations

from typing import Any

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from contracts.broker import (
    CLIENT_EVENTS,
    RELEASES,
    TRANSLATORS,
    AddItems,
    ClientEvent,
    RefuseRequest,
    Release,
    SendRelease,
    Value,
    commands_stream,
)
from runtime import logging, service
from runtime.broker import Consumers, connect, make_broker, publish_to_reader, subscription
from runtime.reclaimer import Intake, Reclaimer
from runtime.service import Service
from session_state.client import Outcome, SessionStateClient
from translator.config import TranslatorSettings
from translator.names import load_names
from translator.release import merge
from translator.translate import Defaults, Refusal, translate

log = structlog.get_logger(__name__)

NOT_PROCESSED = "REQUEST_NOT_PROCESSED"


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
    translator = Translator(redis, SessionStateClient(redis, settings), defaults(settings), settings.stream_max_length)
    client_events = broker.subscriber(stream=subscription(CLIENT_EVENTS, TRANSLATORS))
    client_events(translator.on_client_event)
    releases = broker.subscriber(stream=subscription(RELEASES, TRANSLATORS))
    releases(translator.on_release)
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
        background=[Reclaimer(redis, intakes, settings).run],
    )


def defaults(settings: TranslatorSettings) -> Defaults:
    """What a client's Settings start from. Raises `SettingsError` for a table of names that cannot be used."""
    return Defaults(
        model=settings.upstream_model,
        voice=settings.upstream_voice,
        transcription_model=settings.transcription_model or None,
        turn_owner=settings.turn_owner,
        names=load_names(settings.names_file),
    )


class Translator:
    """One handler per stream. Both may be called twice for one message: the gateway takes each effect once."""

    def __init__(self, redis: Redis, session_state: SessionStateClient, defaults: Defaults, max_length: int) -> None:
        self._redis = redis
        self._session_state = session_state
        self._defaults = defaults
        self._max_length = max_length

    async def on_client_event(self, event: ClientEvent) -> None:
        """Answer with the event's items, and reserve the turn for what needs one."""
        try:
            translation = translate(event, self._defaults)
        except Refusal as refusal:
            await self._command(
                event.gateway,
                RefuseRequest(session=event.session, seq=event.seq, code=refusal.code, description=refusal.description),
            )
            return
        await self._command(
            event.gateway,
            AddItems(session=event.session, seq=event.seq, items=translation.items, notices=translation.notices),
        )
        if translation.intent is not None:
            outcome, release = await self._session_state.reserve(event.turn, translation.intent)
            if release is not None:
                await self.on_release(release)
            elif outcome is Outcome.FULL:
                log.warning("intents_full", session=event.session, seq=event.seq)

    async def on_release(self, release: Release) -> None:
        """Merge what was granted, and have the gateway send it."""
        await self._command(release.gateway, merge(release))

    async def on_event_given_up(self, body: bytes) -> None:
        """No translator could handle this client event: tell its client, as far as it can be read whose it was."""
        try:
            sender = _Sender.model_validate_json(body)
        except ValidationError:
            return
        kind = sender.message.get("type") if isinstance(sender.message, dict) else None
        await self._command(
            sender.gateway,
            RefuseRequest(
                session=sender.session,
                seq=sender.seq,
                code=NOT_PROCESSED,
                description=f"{kind or 'A request'} could not be processed.",
            ),
        )

    async def _command(self, gateway: str, command: AddItems | RefuseRequest | SendRelease) -> None:
        if not await publish_to_reader(self._redis, commands_stream(gateway), command, self._max_length):
            # It has gone; or the server has lost its stream, and it asks again when that is back.
            log.info("gateway_gone", gateway=gateway, session=command.session, command=command.type)
