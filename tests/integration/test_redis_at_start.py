"""What is said at start about a Redis that cannot be used. Never the password."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis
from structlog.testing import capture_logs

from turngate.bus.bus import Bus
from turngate.bus.buses import Buses
from turngate.bus.connection import connect
from turngate.bus.server import require_server
from turngate.local.broker import find_server, server_command, start_broker
from turngate.local.ports import free_port
from turngate.process.parent_death import dies_with_parent
from turngate.process.settings import BrokerSettings, SettingsError, load
from turngate.process.supervisor import Supervisor


async def refusal(url: str) -> str:
    settings = load(BrokerSettings, redis_url=url)
    redis = connect(settings)
    try:
        with pytest.raises(SettingsError) as refused:
            await require_server(redis, settings)
    finally:
        await redis.aclose()
    return str(refused.value)


@pytest.fixture
def clustered(tmp_path: Path) -> Iterator[str]:
    """The URL of a server in cluster mode."""
    port = free_port()
    command = [*server_command(find_server(), port), "--cluster-enabled", "yes", "--dir", str(tmp_path)]
    process = subprocess.Popen(dies_with_parent(command), stdout=subprocess.DEVNULL)
    with sync_redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
                break
            except sync_redis.ConnectionError:
                assert process.poll() is None
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


async def test_a_wrong_password_is_called_so_and_not_shown(broker_url: str) -> None:
    admin: Any
    with sync_redis.Redis.from_url(broker_url) as admin:
        admin.execute_command("ACL", "SETUSER", "someone", "reset", "on", ">right", "~*", "+@all")
        said = await refusal(broker_url.replace("redis://", "redis://someone:planted@"))
        admin.execute_command("ACL", "DELUSER", "someone")
    assert said == f"TURNGATE_REDIS_URL: Redis at {broker_url} refused the user name or the password"


async def test_a_missing_password_is_called_so(broker_url: str) -> None:
    with sync_redis.Redis.from_url(broker_url) as admin:
        admin.config_set("requirepass", "right")
        try:
            said = await refusal(broker_url)
        finally:
            admin.config_set("requirepass", "")
    assert "refused the user name or the password" in said


async def test_a_server_that_is_away_is_named_without_its_password() -> None:
    said = await refusal("redis://someone:planted@127.0.0.1:1/0")
    assert "TURNGATE_REDIS_URL: Redis at redis://127.0.0.1:1/0 does not answer" in said
    assert "planted" not in said


async def test_a_server_that_is_being_started_is_waited_for() -> None:
    port = free_port()
    redis = connect(load(BrokerSettings, redis_url=f"redis://127.0.0.1:{port}/0"))
    waiting = asyncio.create_task(require_server(redis, load(BrokerSettings, redis_url=f"redis://127.0.0.1:{port}/0")))
    try:
        # It has been refused once at least.
        _, pending = await asyncio.wait([waiting], timeout=0.2)
        assert pending
        with start_broker(port):
            await waiting
    finally:
        waiting.cancel()
        await redis.aclose()


async def test_a_cluster_is_refused(clustered: str) -> None:
    assert "is in cluster mode, which is not supported" in await refusal(clustered)


async def test_a_server_that_may_evict_keys_is_used_with_a_warning(broker_url: str) -> None:
    settings = load(BrokerSettings, redis_url=broker_url)
    admin: Any
    with sync_redis.Redis.from_url(broker_url) as admin:
        before = admin.config_get("maxmemory*")
        try:
            admin.config_set("maxmemory", 10**9)
            admin.config_set("maxmemory-policy", "allkeys-lru")
            with capture_logs() as logs:
                await check(settings)
            admin.config_set("maxmemory-policy", "noeviction")
            with capture_logs() as silence:
                await check(settings)
        finally:
            for name in ("maxmemory", "maxmemory-policy"):
                admin.config_set(name, before[name])
    assert [(line["event"], line["policy"]) for line in logs] == [("redis_may_evict", "allkeys-lru")]
    assert silence == []


async def check(settings: BrokerSettings) -> None:
    redis = connect(settings)
    await require_server(redis, settings)
    await redis.aclose()


async def refusal_of(**urls: str) -> str:
    """What is said when a process starts on these servers, none of which can be used, or one of which must not be."""
    given = " ".join(f"{name}={url}" for name, url in urls.items())
    buses, supervisor = Buses(Bus.connect_all(load(BrokerSettings, redis_urls=given))), Supervisor()
    try:
        with pytest.raises(SettingsError) as refused:
            await buses.start(supervisor)
    finally:
        await supervisor.end()
        await buses.close()
    return str(refused.value)


async def test_of_several_servers_one_must_answer() -> None:
    said = await refusal_of(one="redis://:planted@127.0.0.1:1/0", two="redis://:planted@127.0.0.1:2/0")
    assert re.match(r"TURNGATE_REDIS_URLS: Redis (one|two) at redis://127.0.0.1:[12]/0 does not answer", said)
    assert "planted" not in said


async def test_of_several_servers_none_may_be_a_cluster_or_refuse_the_password(broker_url: str, clustered: str) -> None:
    said = await refusal_of(one=broker_url, two=clustered)
    assert said.startswith(f"TURNGATE_REDIS_URLS: Redis two at {clustered} is in cluster mode")
    said = await refusal_of(one=broker_url.replace("redis://", "redis://nobody:planted@"), two="redis://127.0.0.1:1/0")
    assert said == f"TURNGATE_REDIS_URLS: Redis one at {broker_url} refused the user name or the password"
