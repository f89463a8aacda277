"""Reads streams as `turngate.bus.readers` does with FastStream: one batch after another, until the group is lost."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from redis.exceptions import RedisError

from tests.simulation.server import Life, Server
from turngate.bus.entries import Entry, body_of
from turngate.bus.readers import OnEntries

#: Seconds between two tries to read from a server that is gone, or refuses.
_PAUSE = 0.05, 0.5


class SimulatedReaders:
    """The readers of one process."""

    def __init__(self, server: Server, life: Life, random: Random) -> None:
        self._server = server
        self._life = life
        self._random = random
        self._readers: list[_Reader] = []

    def add(self, key: str, group: str, consumer: str, on_entries: OnEntries, *, records: int, own: bool) -> _Reader:
        name = key.encode()
        options = (b"NOACK",) if own else ()
        arguments = (b"GROUP", group.encode(), consumer.encode(), b"COUNT", b"%d" % records, *options)
        reader = _Reader(self._server, self._life, self._random, (*arguments, b"STREAMS", name, b">"), on_entries)
        self._readers.append(reader)
        return reader

    async def start(self) -> None:
        for reader in self._readers:
            reader.start()

    async def stop(self) -> None:
        for reader in self._readers:
            reader.stop()


class _Reader:
    def __init__(
        self, server: Server, life: Life, random: Random, arguments: tuple[bytes, ...], on_entries: OnEntries
    ) -> None:
        self._server = server
        self._life = life
        self._random = random
        self._arguments = arguments
        self._on_entries = on_entries
        self._task: asyncio.Task[None] | None = None

    def alive(self) -> bool:
        return self._life.alive and self._task is not None and not self._task.done()

    async def restart(self) -> None:
        self.stop()
        self.start()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                entries: list[Any] = await self._server.read(self._life, self._arguments)
            except RedisError as error:
                if str(error).startswith("NOGROUP"):
                    return
                await asyncio.sleep(self._random.uniform(*_PAUSE))
                continue
            await self._on_entries(
                [Entry(entry, body_of(dict(zip(fields[::2], fields[1::2], strict=True)))) for entry, fields in entries]
            )
