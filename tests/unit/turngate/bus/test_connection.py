"""The options of the two clients. What they do on a real server is in tests/integration/test_refusals.py."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection

from turngate.bus.connection import BLOCK_MS, connect, reading_options
from turngate.process.settings import BrokerSettings, load


def connection_of(settings: BrokerSettings) -> Any:
    """A connection of the client for commands, not connected."""
    pool: Any = connect(settings).connection_pool
    return pool.make_connection()


@pytest.mark.parametrize(("scheme", "tls"), [("redis", False), ("rediss", True)])
def test_both_clients_follow_the_url_and_have_their_own_timeouts(scheme: str, tls: bool) -> None:
    settings = load(BrokerSettings, redis_url=f"{scheme}://user:pw@host:1234/5", redis_timeout_ms=700)
    command = connection_of(settings)
    assert isinstance(command, SSLConnection) == tls
    assert (command.username, command.password, command.db) == ("user", "pw", 5)
    assert command.socket_timeout == 0.7
    options = reading_options(settings)
    assert issubclass(options["connection_class"], SSLConnection) == tls
    assert options["socket_timeout"] > BLOCK_MS / 1000


def test_options_of_the_url_are_used() -> None:
    settings = load(BrokerSettings, redis_url="rediss://host/0?ssl_ca_certs=/ca.pem")
    command = connection_of(settings)
    assert isinstance(command, SSLConnection)
    assert command.ssl_context.ca_certs == "/ca.pem"
