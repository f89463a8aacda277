"""One stack of real processes for all of these tests, on the broker that the test run uses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """Two translators, one of everything else, and the simulator at five times its real pace."""
    async with Stack(redis_url=redis_url, pace=0.2) as running:
        yield running
