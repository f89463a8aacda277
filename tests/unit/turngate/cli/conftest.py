from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from tests.unit.turngate.cli.fake_gateway import FakeGateway, fake_gateway


@pytest.fixture
async def server() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as server:
        yield server


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
