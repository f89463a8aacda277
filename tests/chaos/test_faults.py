"""Each fault once, with a crowd of conversations running: every one of them completes, and no promise is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest
import pytest_asyncio

from tests.chaos.conftest import DELAY
from tests.chaos.faults import BROKER_FAULTS, FAULTS
from tests.chaos.run import Held, hold, stack_for_faults
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with stack_for_faults() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(stack: Stack) -> Held:
    """The same crowd with nothing happening to it."""
    return await hold(stack)


@pytest.mark.parametrize("name", FAULTS)
async def test_every_conversation_survives(
    stack: Stack, undisturbed: Held, name: str, record_property: Callable[[str, object], None]
) -> None:
    held = await hold(stack, FAULTS[name], Random(name))
    record_property(DELAY, f"{name}: {held.later_than(undisturbed)}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_two() -> AsyncIterator[Stack]:
    async with stack_for_faults(redis_servers=2) as running:
        yield running


@pytest.mark.parametrize("name", BROKER_FAULTS)
async def test_every_conversation_survives_what_happens_to_one_of_two_brokers(
    on_two: Stack, undisturbed: Held, name: str, record_property: Callable[[str, object], None]
) -> None:
    held = await hold(on_two, FAULTS[name], Random(name))
    record_property(DELAY, f"{name}, one of two: {held.later_than(undisturbed)}")
