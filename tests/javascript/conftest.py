"""The stack that the end-to-end tests use, for programs in Node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from turngate.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """One of everything, and the simulator at five times its real pace."""
    async with Stack(redis_url=redis_url, pace=0.2, console_faults=True) as running:
        yield running
