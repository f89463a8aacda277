"""A master with a replica, and a sentinel that knows them: real servers, and a failover while somebody talks."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from tests.end_to_end.client import Client
from turngate.bus.connection import connect
from turngate.bus.server import require_server
from turngate.local.broker import find_server, server_command
from turngate.local.ports import free_port
from turngate.local.stack import Stack
from turngate.process.settings import BrokerSettings, SettingsError, load

PATIENCE_SECONDS = 60
NAME = "talks"


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def server(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    with running(*server_command(find_server(), port), "--dir", str(folder), *options) as process:
        yield process


class Fleet:
    """A master, its replica, and a sentinel."""

    def __init__(self, folder: Path) -> None:
        self.master, self.replica, self.sentinel = free_port(), free_port(), free_port()
        self.nobody = free_port()
        self.configuration = folder / "sentinel.conf"
        self.configuration.write_text(
            f"port {self.sentinel}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self.master} 1\n"
            f"sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 5000\n"
        )

    @property
    def url(self) -> str:
        # The first sentinel is down.
        return f"redis+sentinel://127.0.0.1:{self.nobody},127.0.0.1:{self.sentinel}/{NAME}/2"

    async def until_the_sentinel_knows_the_replica(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), Redis(port=self.sentinel, decode_responses=True) as sentinel:
            while True:
                try:
                    if any(one["port"] == self.replica for one in await sentinel.sentinel_slaves(NAME)):
                        return
                except redis.ConnectionError:
                    pass
                await asyncio.sleep(0.05)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[tuple[Fleet, subprocess.Popen[bytes]]]:
    one = Fleet(tmp_path)
    with (
        server(tmp_path / "master", one.master) as master,
        server(tmp_path / "replica", one.replica, "--replicaof", "127.0.0.1", str(one.master)),
        running(str(find_server()), str(one.configuration), "--sentinel"),
    ):
        await one.until_the_sentinel_knows_the_replica()
        yield one, master


async def test_a_conversation_outlives_the_master(fleet: tuple[Fleet, subprocess.Popen[bytes]]) -> None:
    servers, master = fleet
    async with Stack(redis_url=servers.url, translators=2, pace=0.1) as stack, Client(stack) as client:
        await client.configured(prompt="Before.")
        assert "Hello" in await client.turn("Hello?")
        with redis.Redis(port=servers.master, db=2) as there:
            assert there.exists("turngate.client-events")
        master.kill()
        # Held while no Redis can be written to, and carried out by the next one.
        await client.say(type="UpdatePrompt", prompt="After.")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.until("PromptUpdated")
        assert "After." in await client.turn("What are your instructions?")
        with redis.Redis(port=servers.replica, db=2) as there:
            assert there.info("replication")["role"] == "master"
        assert client.of_type("Error") == []


async def test_a_master_that_is_demoted_is_left(fleet: tuple[Fleet, subprocess.Popen[bytes]]) -> None:
    servers, _ = fleet
    client = connect(load(BrokerSettings, redis_url=servers.url))
    ordered = False
    async with Redis(port=servers.sentinel) as sentinel, client, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            # Refused until the sentinel knows the replica well, and while the change is under way.
            with contextlib.suppress(redis.RedisError):
                if not ordered:
                    ordered = await sentinel.sentinel_failover(NAME)
                await client.set("a", 1)
                if (await client.info("server"))["tcp_port"] == servers.replica:
                    break
            await asyncio.sleep(0.05)


async def test_sentinels_that_know_no_master_are_reported_at_start() -> None:
    settings = load(BrokerSettings, redis_url=f"redis+sentinel://:secret@127.0.0.1:{free_port()}/{NAME}")
    async with connect(settings) as client:
        with pytest.raises(SettingsError) as refused:
            await require_server(client, settings)
    assert NAME in str(refused.value)
    assert "secret" not in str(refused.value)
