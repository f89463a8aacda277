"""What every test may use: a broker, embedded by default, a container with ``TURNGATE_TEST_REDIS=container``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis

from turngate.local.broker import find_server, start_broker

_IN_CONTAINER = os.environ.get("TURNGATE_TEST_REDIS") == "container"


def pytest_report_header() -> str:
    return f"broker: {'a Redis container (testcontainers, redis:7-alpine)' if _IN_CONTAINER else find_server()}"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis-protocol server that lives as long as the test run."""
    if not _IN_CONTAINER:
        with start_broker() as broker:
            yield broker.url
        return
    from testcontainers.community.redis import RedisContainer

    with RedisContainer("redis:7-alpine") as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """The same server, emptied for this test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture
def own_redis_url(redis_url: str) -> str:
    """A database of this test's own on the same server, empty: for a stack beside the one that the tests share."""
    url = f"{redis_url.rpartition('/')[0]}/1"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url
