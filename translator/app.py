"""The service: client events and releases in, commands for one gateway out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import uuid4

from pydantic import ValidationError

from session_state.client import Outcome, Reservation, SessionStateClient, raise_refusal
from translator import log_events
from translator.config import TranslatorSettings
from translator.mapping.defaults import Defaults
from translator.mapping.release import merge
from translator.mapping.result import Refusal
from translator.mapping.routes import translate
from turngate.bus.bus import Bus, consumer_name
from turngate.bus.buses import background
from turngate.bus.consumer import Batch
from turngate.bus.limits import StreamLimits
from turngate.bus.reclaimer import Reclaimer
from turngate.process import logging, service
from turngate.process.log_context import about
from turngate.process.model_ends import warn_of_ends
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
from turngate.tracing.setup import traces

NOT_PROCESSED = "REQUEST_NOT_PROCESSED"
#: Entries that are handled at a time.
_RECORDS = 32

#: The message that a command is the answer to, the gateway that it is for, and the command.
_Addressed: TypeAlias = tuple[Any, str, Command]


class _Sender(Value):
    """Who asked: as much of a `ClientEvent` as an answer needs."""

    session: str
    gateway: str
    seq: int
    message: Any = None
    turn: Any = None

    @property
    def epoch(self) -> int:
        """That of its turn record, as far as it can be read."""
        epoch = self.turn.get("epoch") if isinstance(self.turn, dict) else None
        return epoch if isinstance(epoch, int) else 0


def run(settings: TranslatorSettings) -> None:
    """Run a translator until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start."""
    logging.configure(settings, "translator")
    warn_of_ends(filter(None, [settings.transcription_model]))
    with traces("translator", consumer_name()) as tracer:
        service.run(lambda: wire(settings, *Bus.connect_all(settings, tracer)))


def wire(settings: TranslatorSettings, *buses: Bus) -> Service:
    """Every part of a translator process, connected. Each bus is on a Redis server of its own."""
    for bus in buses:
        _consume(settings, bus)
    return Service(
        name="translator",
        buses=buses,
        host=settings.translator_host,
        port=settings.translator_port,
        port_setting="TURNGATE_TRANSLATOR_PORT",
        background=background(
            buses,
            lambda bus: {"reclaimer": Reclaimer(bus, settings).run, "stream limits": StreamLimits(bus, settings).run},
        ),
    )


def _consume(settings: TranslatorSettings, bus: Bus) -> None:
    """Have the requests of the sessions of one server translated; the answers go to the same server."""
    translator = Translator(bus, SessionStateClient(bus.redis, settings, bus.tracer), settings.defaults)
    bus.consume(
        CLIENT_EVENTS,
        TRANSLATORS,
        ClientEvent,
        translator.on_client_events,
        records=_RECORDS,
        on_given_up=translator.on_event_given_up,
        span="translate",
    )
    # The intents of a release that is given up are granted again, or time out at their gateway.
    bus.consume(RELEASES, TRANSLATORS, Release, translator.on_releases, records=_RECORDS, span="release")


class Translator:
    """One handler per stream. Both may get a message twice: the gateway takes each effect once."""

    def __init__(self, bus: Bus, session_state: SessionStateClient, defaults: Defaults) -> None:
        self._bus = bus
        self._session_state = session_state
        self._defaults = defaults

    async def on_client_events(self, batch: Batch[ClientEvent]) -> None:
        """Answer with each event's items, and reserve the turn for what needs one."""
        commands: list[_Addressed] = []
        wanted: list[tuple[ClientEvent, Reservation]] = []
        for event in batch.messages:
            try:
                answer, intent = self._answer(event)
                if intent is None or isinstance(answer, RefuseRequest):
                    commands.append((event, event.gateway, answer))
                else:
                    wanted.append((event, _reservation(event, answer, intent, batch.traceparent(event))))
            except Exception as error:
                batch.fail(event, error)
        steps = await self._session_state.reserve([asked for _, asked in wanted])
        for (event, _), step in zip(wanted, steps, strict=True):
            try:
                if step.error is not None:
                    batch.fail(event, step.error)
                elif step.release is not None:
                    commands.append((event, *_carried_out(step.release, batch.traceparent(event))))
                elif step.outcome is Outcome.FULL:
                    with about(event.session, event.traceparent):
                        log_events.intents_full(seq=event.seq)
            except Exception as error:
                batch.fail(event, error)
        await self._send(batch, commands)
        raise_refusal(steps)

    async def on_releases(self, batch: Batch[Release]) -> None:
        """Merge what was granted, and have the gateway send it."""
        commands: list[_Addressed] = []
        for release in batch.messages:
            try:
                commands.append((release, *_carried_out(release, batch.traceparent(release))))
            except Exception as error:
                batch.fail(release, error)
        await self._send(batch, commands)

    async def on_event_given_up(self, body: bytes) -> None:
        """No translator could handle this client event: tell its client, as far as it can be read whose it was."""
        try:
            sender = _Sender.model_validate_json(body)
        except ValidationError:
            return
        kind = sender.message.get("type") if isinstance(sender.message, dict) else None
        description = f"{kind or 'A request'} could not be processed."
        refusal = RefuseRequest(
            session=sender.session, epoch=sender.epoch, seq=sender.seq, code=NOT_PROCESSED, description=description
        )
        await self._bus.publish([(commands_stream(sender.gateway), refusal)], create=False)

    def _answer(self, event: ClientEvent) -> tuple[AddItems | RefuseRequest, Intent | None]:
        session, epoch, seq = event.session, event.turn.epoch, event.seq
        try:
            done = translate(event, self._defaults)
        except Refusal as refusal:
            description = refusal.description
            return (
                RefuseRequest(session=session, epoch=epoch, seq=seq, code=refusal.code, description=description),
                None,
            )
        answer = AddItems(session=session, epoch=epoch, seq=seq, items=done.items, notices=done.notices)
        return answer, done.intent

    async def _send(self, batch: Batch[Any], commands: Sequence[_Addressed]) -> None:
        """Never creates a gateway's stream: one that does not exist has gone, or the server has lost it; then the
        gateway publishes its requests again when it is back."""
        errors = await self._bus.publish(
            [(commands_stream(gateway), command) for _, gateway, command in commands], create=False
        )
        for (message, _, _), error in zip(commands, errors, strict=True):
            if error is not None:
                batch.fail(message, error)


def _carried_out(release: Release, traceparent: str | None) -> tuple[str, Command]:
    return release.gateway, merge(release, traceparent)


def _reservation(event: ClientEvent, answer: AddItems, intent: Intent, traceparent: str | None) -> Reservation:
    if event.traceparent is not None:
        reserved = {"traceparent": event.traceparent, "reserved_at_ms": int(time.time() * 1000)}
        intent = intent.model_copy(update=reserved)
    release = Release(
        id=uuid4().hex, session=event.session, gateway=event.gateway, epoch=event.turn.epoch, intents=(intent,)
    )
    return Reservation(event.turn, intent, answer, merge(release, traceparent))
