"""Faults in what runs around the cores: publisher, handlers, consumers, reclaimer, sweeper, and the watch over them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from redis.exceptions import RedisError

import session_state.app
import session_state.script
import turngate.bus.consumer
from gateway.session import publisher
from gateway.session.publisher import Publisher
from session_state.app import Sweeper
from session_state.store import Step
from translator.app import Translator
from turngate.bus import trouble
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch, Consumer
from turngate.bus.reclaimer import Reclaimer
from turngate.bus.scripts import Script
from turngate.protocol.messages import ClientEvent, Release


@dataclass(frozen=True, slots=True)
class Fault:
    """``put_in`` breaks the code until the patch is undone."""

    name: str
    put_in: Callable[[pytest.MonkeyPatch], None]
    #: The seed to begin with, for one that is seldom met.
    first: int = 0


def script_says(name: str, right: str, wrong: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Another text in the script of this name."""

    def put_in(patch: pytest.MonkeyPatch) -> None:
        source_of = session_state.script.source_of
        assert source_of(name).count(right) == 1, f"{name} does not say {right!r}"
        patch.setattr(
            session_state.script,
            "source_of",
            lambda asked: source_of(asked).replace(right, wrong) if asked == name else source_of(asked),
        )

    return put_in


class _NoPause:
    async def pause(self) -> None:
        await asyncio.sleep(0)

    def reset(self) -> None:
        pass


def _publisher_without_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publisher, "Backoff", _NoPause)


def _handler_without_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trouble, "Backoff", _NoPause)
    patch.setattr(turngate.bus.consumer, "_TRIES", 10_000)


def _publisher_dies(patch: pytest.MonkeyPatch) -> None:
    # As a task that nobody supervises: the first error ends it, and nobody hears of that.
    publish_of = Publisher._publish

    async def publish(self: Publisher, messages: Any) -> None:
        try:
            await publish_of(self, messages)
        except RedisError:
            await asyncio.Event().wait()

    patch.setattr(Publisher, "_publish", publish)


def _reclaimer_dies(patch: pytest.MonkeyPatch) -> None:
    async def reclaim(self: Reclaimer, consumer: Consumer[Any]) -> None:
        raise LookupError("an entry without the field")

    patch.setattr(Reclaimer, "reclaim", reclaim)


def _reclaimer_sleeps(patch: pytest.MonkeyPatch) -> None:
    async def reclaim(self: Reclaimer, consumer: Consumer[Any]) -> None:
        await asyncio.Event().wait()

    patch.setattr(Reclaimer, "reclaim", reclaim)


def _consumer_not_revived(patch: pytest.MonkeyPatch) -> None:
    async def revive(self: Bus) -> None:
        await self._create_groups()

    patch.setattr(Bus, "_revive", revive)


def _release_lost_in_a_batch(patch: pytest.MonkeyPatch) -> None:
    async def publish(bus: Bus, steps: Sequence[Step]) -> None:
        await publish_of(bus, steps[:1])

    publish_of = session_state.app.publish_releases
    patch.setattr(session_state.app, "publish_releases", publish)


def _releases_lost_in_a_batch(patch: pytest.MonkeyPatch) -> None:
    on_releases_of = Translator.on_releases

    async def on_releases(self: Translator, batch: Batch[Release]) -> None:
        await on_releases_of(self, Batch(batch.messages[-1:]))

    patch.setattr(Translator, "on_releases", on_releases)


def _events_lost_in_a_batch(patch: pytest.MonkeyPatch) -> None:
    on_client_events_of = Translator.on_client_events

    async def on_client_events(self: Translator, batch: Batch[ClientEvent]) -> None:
        await on_client_events_of(self, Batch(batch.messages[-1:]))

    patch.setattr(Translator, "on_client_events", on_client_events)


def _wake_up_lost(patch: pytest.MonkeyPatch) -> None:
    # The gateway's retransmission mends it after some seconds, and the judge wants no such delay in good weather.
    async def publish(bus: Bus, steps: Sequence[Step]) -> None:
        pass

    async def sweep(self: Sweeper) -> None:
        pass

    patch.setattr(session_state.app, "publish_releases", publish)
    patch.setattr(Sweeper, "sweep", sweep)


def _script_not_loaded_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Script, "run_all", Script._evaluate)


FAULTS_IN_SHELLS = (
    Fault("the publisher does not pause", _publisher_without_pause),
    Fault("a handler does not pause", _handler_without_pause),
    Fault("the publisher stops at the first error, unnoticed", _publisher_dies),
    Fault("the reclaimer dies", _reclaimer_dies),
    Fault("the reclaimer stops, unnoticed", _reclaimer_sleeps),
    Fault("a consumer whose group was lost is not revived", _consumer_not_revived),
    Fault("a release is lost in a batch of turn records", _release_lost_in_a_batch),
    Fault("a release is lost in a batch of releases", _releases_lost_in_a_batch),
    Fault("a request is lost in a batch of requests", _events_lost_in_a_batch),
    Fault("the wake-up is lost between storing and telling, and nobody sweeps", _wake_up_lost),
    Fault("the script is not loaded again into an emptied server", _script_not_loaded_again),
)
