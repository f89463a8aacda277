"""A stack to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from turngate.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """One translator, and one of everything else."""
    async with Stack(redis_url=f"{redis_url.rpartition('/')[0]}/6", translators=1) as running:
        yield running
